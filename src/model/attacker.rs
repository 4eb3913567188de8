//! The attackers, as data: what each one stresses, which guest it runs and the limits it lives in.

use crate::model::names::named_enum;
use crate::model::program::Program;

named_enum! {
    /// A neighbour that disturbs a victim.
    pub enum Attacker ("attacker") {
        /// CPU: tests number after number for primality.
        Prime = "prime",
        /// Memory bandwidth and shared cache: STREAM's copy, scale, add and triad for ever.
        Stream = "stream",
        /// `open` and `close` of one file on an in-memory file system.
        Open = "open",
        /// `read` of one file on an in-memory file system.
        Read = "read",
        /// `write` of one file on an in-memory file system.
        Write = "write",
        /// `stat` of one file on an in-memory file system.
        Stat = "stat",
        /// `fork`: the child exits, the parent waits; never more than two processes.
        Fork = "fork",
    }
}

impl Attacker {
    /// The guest program that this attacker is.
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
