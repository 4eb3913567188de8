//! MirageOS on Solo5: unikernels in OCaml. A recipe that has not been run by its authors; see `docs/unikernels.md`.

use super::System;
use super::unikernel::{self, Monitor, UnikernelError};
use crate::guest::Program;
use crate::run::Folders;

/// Its name: of the image set, of its folder, after the colon of a platform.
pub const NAME: &str = "mirage";

/// The programs that its recipe builds: of the guests, those that have a counterpart in OCaml here.
pub const PROGRAMS: &[Program] = &[Program::Hello, Program::Sleep];

/// What a monitor of Solo5, or QEMU, starts.
///
/// # Errors
/// When it was not built, or is not what was built.
pub fn system(folders: &Folders, program: Program, monitor: Monitor) -> Result<System, UnikernelError> {
    unikernel::system(folders, NAME, program, monitor)
}

/// The program and arguments that start `system` under Solo5's own monitors; `None` for QEMU, which has its driver.
pub fn solo5_command(monitor: Monitor, system: &System) -> Option<Vec<String>> {
    matches!(monitor, Monitor::Solo5Hvt | Monitor::Solo5Spt).then(|| {
        let memory = system.memory.0.div_ceil(1 << 20);
        vec![monitor.to_string(), format!("--mem={memory}"), "--".into(), system.kernel.display().to_string()]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solo5_is_told_the_memory_in_mebibytes() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        unikernel::tests::put(&folders, NAME, Program::Hello, "abc");
        let built = system(&folders, Program::Hello, Monitor::Qemu).unwrap();
        let command = solo5_command(Monitor::Solo5Hvt, &built).unwrap();
        assert_eq!(command[..3], ["solo5-hvt", "--mem=16", "--"].map(str::to_owned));
        assert!(command[3].ends_with("mirage/hello/kernel-qemu"), "{command:?}");
        assert_eq!(solo5_command(Monitor::Qemu, &built), None);
    }
}
