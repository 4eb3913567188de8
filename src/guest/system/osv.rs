//! OSv: a unikernel that runs unmodified Linux programs.
//!
//! Its recipe has not been run; see `docs/unikernels.md`.

use super::System;
use super::unikernel::{self, Monitor, UnikernelError};
use crate::host::folders::Folders;
use crate::model::program::Program;

/// The name of the image set and its folder, and the flavor of a platform.
pub const NAME: &str = "osv";

/// The programs that the recipe builds. OSv's `fork` returns ENOSYS.
pub const PROGRAMS: &[Program] = &[
    Program::Hello,
    Program::Sleep,
    Program::Prime,
    Program::Stream,
    Program::Open,
    Program::Read,
    Program::Write,
    Program::Stat,
    Program::Fork,
];

/// Returns what QEMU boots: the kernel, and a disk with the program.
///
/// # Errors
/// When the image is missing or changed.
pub fn system(folders: &Folders, program: Program) -> Result<System, UnikernelError> {
    unikernel::system(folders, NAME, program, Monitor::Qemu)
}

/// Returns the kernel's command line: its own options, then the program and its arguments.
pub fn command_line(program: Program, arguments: &[String]) -> String {
    let mut line = format!("--console=serial /fw/{program}");
    for argument in arguments {
        line += " ";
        line += argument;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_follows_the_kernels_options() {
        let line = command_line(Program::Prime, &["deadline=5".into(), "report_ms=100".into()]);
        assert_eq!(line, "--console=serial /fw/prime deadline=5 report_ms=100");
    }

    #[test]
    fn a_missing_image_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        let message = system(&folders, Program::Hello).unwrap_err().to_string();
        assert_eq!(message, "osv with hello is not built");
    }
}
