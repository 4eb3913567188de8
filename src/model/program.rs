//! Guest programs.

use crate::model::names::named_enum;

named_enum! {
    /// A guest program. Our own programs have one C source each in `guest-images/programs/`, used by every platform.
    pub enum Program ("guest program") {
        /// Prints a line and exits: the guest of boot.
        Hello = "hello",
        /// Prints its lines and sleeps until it is ended: a background instance.
        Sleep = "sleep",
        /// An attacker: CPU.
        Prime = "prime",
        /// An attacker: memory.
        Stream = "stream",
        /// An attacker: `open` and `close`.
        Open = "open",
        /// An attacker: `read`.
        Read = "read",
        /// An attacker: `write`.
        Write = "write",
        /// An attacker: `stat`.
        Stat = "stat",
        /// An attacker: `fork`.
        Fork = "fork",
        /// A victim: single-row INSERTs into SQLite.
        Sqlite = "sqlite",
        /// A victim that a load generator drives: a web server with one static page.
        Nginx = "nginx",
        /// A victim that a load generator drives: an in-memory store without persistence.
        Redis = "redis",
        /// For tests of platforms: misbehaves on demand, or prints facts about its instance.
        Probe = "probe",
    }
}

impl Program {
    /// Whether it serves until it is ended. Other programs work and end by themselves.
    pub const fn is_server(self) -> bool {
        self.port().is_some()
    }

    /// The TCP port on which a server answers inside its instance; `None` for other programs.
    pub const fn port(self) -> Option<u16> {
        match self {
            Program::Nginx => Some(80),
            Program::Redis => Some(6379),
            _ => None,
        }
    }

    /// The TCP port on which it listens if its instance has a network. The probe is not a server but also listens, to check
    /// a platform's network.
    pub const fn listens(self) -> Option<u16> {
        match self {
            Program::Probe => Some(7),
            other => other.port(),
        }
    }
}
