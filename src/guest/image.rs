//! Guest programs and the images that hold them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::names::named_enum;
use crate::units::Bytes;

named_enum! {
    /// A guest program; each has one C source in `guest-images/programs/` for every platform.
    pub enum Program ("guest program") {
        /// Prints its line and exits.
        Hello = "hello",
        /// Prints its lines and sleeps until it is ended: the background instance.
        Sleep = "sleep",
        /// CPU attacker.
        Prime = "prime",
        /// Memory attacker.
        Stream = "stream",
        /// `open`/`close` loop.
        Open = "open",
        /// `read` loop.
        Read = "read",
        /// `write` loop.
        Write = "write",
        /// `stat` loop.
        Stat = "stat",
        /// `fork` loop.
        Fork = "fork",
        /// 60,000 single-row INSERTs: the victim.
        Sqlite = "sqlite",
        /// A web server with one static page: a victim that a load generator drives.
        Nginx = "nginx",
        /// An in-memory store without persistence: a victim that a load generator drives.
        Redis = "redis",
        /// Misbehaves on demand, or says where it is: what the tests of a platform run.
        Probe = "probe",
    }
}

impl Program {
    /// Whether it serves until it is ended, instead of working and ending by itself.
    pub const fn is_server(self) -> bool {
        self.port().is_some()
    }

    /// The TCP port on which a server answers inside its instance; `None` for a program that serves nothing.
    pub const fn port(self) -> Option<u16> {
        match self {
            Program::Nginx => Some(80),
            Program::Redis => Some(6379),
            _ => None,
        }
    }

    /// The TCP port on which it is told to listen when its instance has a network: a server's own, and one for the
    /// probe, which is no server but shows that a platform's network works.
    pub const fn listens(self) -> Option<u16> {
        match self {
            Program::Probe => Some(7),
            other => other.port(),
        }
    }
}

/// A built guest program: the same bytes for every Linux platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The program it holds.
    pub program: Program,
    /// A read-only root file system, absolute: `fw/<program>` and the empty mount points `proc sys dev tmp`; of a
    /// server also what `fw/<program>` starts.
    pub rootfs: PathBuf,
    /// SHA-256 of the program's binary, in hexadecimal; of a server, of all its files.
    pub digest: String,
    /// What the root file system holds, in bytes.
    pub size: Bytes,
}

impl Image {
    /// The program's path inside the guest.
    pub fn guest_path(&self) -> String {
        format!("/fw/{}", self.program)
    }

    /// The program's binary on the host.
    pub fn binary(&self) -> PathBuf {
        self.rootfs.join("fw").join(self.program.name())
    }
}
