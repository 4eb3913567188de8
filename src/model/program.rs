//! Guest programs.

use crate::model::names::named_enum;

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
