//! MirageOS on Solo5: unikernels in OCaml. A recipe that has not been run by its authors; see `docs/unikernels.md`.

use std::path::Path;

use super::System;
use super::unikernel::{self, Monitor, UnikernelError};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

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

/// The pages of a guest under `solo5-hvt`, which takes what is no multiple of them away (`hvt_x86_mem_size`).
const PAGE: Bytes = Bytes(2 << 20);

/// The memory that a guest gets of what is asked for: whole pages, rounded up, and the same under either monitor.
pub fn whole_pages(memory: Bytes) -> Bytes {
    Bytes(memory.0.div_ceil(PAGE.0).max(1) * PAGE.0)
}

/// The arguments that start `kernel` under Solo5's own monitors, without the monitor's name; QEMU has its driver. The guest
/// gets none: a word that MirageOS does not know ends it with status 64 (`argument_error` of `mirage-runtime`).
pub fn solo5_arguments(memory: Bytes, kernel: &Path) -> Vec<String> {
    let mebibytes = whole_pages(memory).0 / Bytes::MIB.0;
    vec![format!("--mem={mebibytes}"), "--".to_owned(), kernel.display().to_string()]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "--mem=2 -- /images/kernel")]
    #[case(32 << 20, "--mem=32 -- /images/kernel")]
    #[case((32 << 20) + 1, "--mem=34 -- /images/kernel")]
    fn solo5_is_told_the_memory_in_mebibytes(#[case] memory: u64, #[case] line: &str) {
        assert_eq!(solo5_arguments(Bytes(memory), Path::new("/images/kernel")).join(" "), line);
    }

    #[test]
    fn a_monitor_gets_what_was_built_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        unikernel::tests::put(&folders, NAME, Program::Hello, "abc");
        let built = system(&folders, Program::Hello, Monitor::Qemu).unwrap();
        assert!(built.kernel.ends_with("mirage/hello/kernel-qemu"), "{}", built.kernel.display());
        let none = system(&folders, Program::Hello, Monitor::Solo5Spt).unwrap_err().to_string();
        assert!(none.contains("not built for solo5-spt: `cargo xtask images --platform mirage --force`"), "{none}");
    }
}
