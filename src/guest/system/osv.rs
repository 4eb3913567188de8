//! OSv: a unikernel that runs unmodified Linux programs. A recipe that has not been run by its authors; see
//! `docs/unikernels.md`.

use super::System;
use super::unikernel::{self, Monitor, UnikernelError};
use crate::host::folders::Folders;
use crate::model::program::Program;

/// Its name: of the image set, of its folder, after the colon of a platform.
pub const NAME: &str = "osv";

/// The programs that its recipe builds. Its fork returns ENOSYS.
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

/// What QEMU boots: the kernel with a disk that holds the program.
///
/// # Errors
/// When it was not built, or is not what was built.
pub fn system(folders: &Folders, program: Program) -> Result<System, UnikernelError> {
    unikernel::system(folders, NAME, program, Monitor::Qemu)
}

/// The kernel's command line: its own options, then the program and its arguments.
pub fn command_line(program: Program, arguments: &[String]) -> String {
    let program = [format!("/fw/{program}")];
    ["--console=serial".to_owned()].iter().chain(&program).chain(arguments).cloned().collect::<Vec<_>>().join(" ")
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
    fn what_is_not_built_names_its_recipe() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        let told = system(&folders, Program::Hello).unwrap_err().to_string();
        assert!(told.contains("`cargo xtask images --platform osv`"), "{told}");
    }
}
