//! MirageOS on Solo5: unikernels in OCaml.
//!
//! Its recipe has not been run; see `docs/unikernels.md`.

use std::path::Path;

use super::System;
use super::unikernel::{self, Monitor, UnikernelError};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The name of the image set and its folder, and the flavor of a platform.
pub const NAME: &str = "mirage";

/// The programs that the recipe builds: the guest programs that this repository also has in OCaml.
pub const PROGRAMS: &[Program] = &[Program::Hello, Program::Sleep];

/// Returns what QEMU or a monitor of Solo5 starts.
///
/// # Errors
/// When the image is missing or changed.
pub fn system(folders: &Folders, program: Program, monitor: Monitor) -> Result<System, UnikernelError> {
    unikernel::system(folders, NAME, program, monitor)
}

/// The page size of a guest under `solo5-hvt`, which drops the remainder of the memory (`hvt_x86_mem_size`).
const PAGE: Bytes = Bytes(2 << 20);

/// Rounds the requested memory up to whole pages, so that a guest has the same memory under every monitor.
pub fn whole_pages(memory: Bytes) -> Bytes {
    Bytes(memory.0.div_ceil(PAGE.0).max(1) * PAGE.0)
}

/// Returns the arguments of Solo5's own monitors that start `kernel`.
///
/// The guest gets no arguments: MirageOS exits with status 64 at an unknown one (`argument_error` of `mirage-runtime`).
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
    fn solo5_gets_the_memory_in_mebibytes(#[case] memory: u64, #[case] line: &str) {
        assert_eq!(solo5_arguments(Bytes(memory), Path::new("/images/kernel")).join(" "), line);
    }

    #[test]
    fn a_monitor_gets_the_kernel_that_was_built_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        unikernel::tests::store(&folders, NAME, Program::Hello, "abc");
        let built = system(&folders, Program::Hello, Monitor::Qemu).unwrap();
        assert!(built.kernel.ends_with("mirage/hello/kernel-qemu"), "{}", built.kernel.display());
        let message = system(&folders, Program::Hello, Monitor::Solo5Spt).unwrap_err().to_string();
        assert_eq!(message, "mirage with hello is not built for solo5-spt");
    }
}
