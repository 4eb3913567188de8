//! The attackers: what each one stresses, and its guest program.

use crate::model::names::named_enum;
use crate::model::program::Program;

named_enum! {
    /// A neighbor that disturbs a victim by repeating one operation.
    pub enum Attacker ("attacker") {
        /// CPU: tests numbers for primality.
        Prime = "prime",
        /// Memory bandwidth and shared cache: STREAM's copy, scale, add and triad.
        Stream = "stream",
        /// System calls: `open` and `close` of a file on an in-memory file system.
        Open = "open",
        /// System calls: `read` of a file on an in-memory file system.
        Read = "read",
        /// System calls: `write` of a file on an in-memory file system.
        Write = "write",
        /// System calls: `stat` of a file on an in-memory file system.
        Stat = "stat",
        /// Processes: `fork` of a child that exits, and `wait` for it. There are never more than two processes.
        Fork = "fork",
    }
}

impl Attacker {
    /// The attacker's guest program.
    pub fn program(self) -> Program {
        match self {
            Attacker::Prime => Program::Prime,
            Attacker::Stream => Program::Stream,
            Attacker::Open => Program::Open,
            Attacker::Read => Program::Read,
            Attacker::Write => Program::Write,
            Attacker::Stat => Program::Stat,
            Attacker::Fork => Program::Fork,
        }
    }
}
