//! Finding Firecracker, and checking that it can execute guests here: it has no emulation.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::host::folders::Folders;
use crate::model::platform::Unavailable;
use crate::platform::machine::find_monitor;
use crate::platform::qemu::{self, GuestSystem};

/// Its program, in `PATH`.
const PROGRAM: &str = "firecracker";

/// How to install it.
const INSTALL: &str = "put it in PATH: https://github.com/firecracker-microvm/firecracker/releases";

/// The first version that describes its devices in ACPI, as QEMU's microvm does (Firecracker's changelog, 1.8.0). Earlier
/// ones describe them on the command line only, which the distribution's kernel does not read.
const FIRST_WITH_ACPI: (u32, u32) = (1, 8);

/// The monitor's program.
#[derive(Debug, Clone)]
pub(super) struct Vmm {
    pub(super) program: PathBuf,
    pub(super) version: String,
    /// What a reader should know about how it was tested.
    pub(super) note: Option<String>,
}

impl Vmm {
    /// Finds Firecracker, if it can boot `system` here.
    pub(super) fn find(folders: &Folders, system: GuestSystem) -> Result<Self, Unavailable> {
        let (program, version) = find_monitor(PROGRAM, None, INSTALL)?;
        check_version(&version, system)?;
        let note = check_kvm(folders)?;
        Ok(Self { program, version, note })
    }
}

/// Checks that KVM is here and executes guests. Returns a note if that could not be tested.
pub(in crate::platform) fn check_kvm(folders: &Folders) -> Result<Option<String>, Unavailable> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm").map(drop).map_err(|e| e.to_string());
    judge_kvm(opened, || qemu::kvm_executes(folders))
}

/// Checks that a monitor of this version can boot `system` with all its devices.
fn check_version(version: &str, system: GuestSystem) -> Result<(), Unavailable> {
    let known = numbers(version)
        .ok_or_else(|| Unavailable::new(format!("invalid version of {PROGRAM}: `{version}`"), INSTALL))?;
    if system == GuestSystem::Linux && known < FIRST_WITH_ACPI {
        return Err(Unavailable::new(
            format!("{version} does not describe its devices in ACPI, where the distribution's kernel looks for them"),
            "install 1.8 or later: https://github.com/firecracker-microvm/firecracker/releases",
        ));
    }
    Ok(())
}

/// The first two numbers of `Firecracker v1.12.0`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let text = version.rsplit(' ').next()?.trim_start_matches('v');
    let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Judges KVM by whether its device `opened` and whether a guest `executes`, which is `None` if there is no monitor to
/// boot one with.
fn judge_kvm(
    opened: Result<(), String>,
    executes: impl FnOnce() -> Option<Result<(), Unavailable>>,
) -> Result<Option<String>, Unavailable> {
    let help = "enable hardware virtualization on this host, or measure --platform qemu:linux, which may emulate";
    opened.map_err(|e| Unavailable::new(format!("/dev/kvm cannot be opened: {e}"), help))?;
    match executes() {
        None => Ok(Some("/dev/kvm opens; without QEMU, it was not tested whether it executes guests".to_owned())),
        Some(Ok(())) => Ok(None),
        Some(Err(why)) => Err(Unavailable::new(why.reason, help)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Firecracker v1.8.0", true, true)]
    #[case("Firecracker v1.13.1-dev", true, true)]
    #[case("Firecracker v2.0", true, true)]
    #[case("Firecracker v1.7.0", false, true)]
    #[case("Firecracker v0.24.6", false, true)]
    #[case("Firecracker", false, false)]
    fn a_version_supports_a_guest_or_not(#[case] version: &str, #[case] linux: bool, #[case] unikraft: bool) {
        let supports = |system| check_version(version, system).is_ok();
        assert_eq!((supports(GuestSystem::Linux), supports(GuestSystem::Unikraft)), (linux, unikraft));
    }

    #[test]
    fn kvm_must_execute_guests_unless_that_was_not_tested() {
        let no = || Unavailable::new("a guest under kvm did not finish within 2 s", "some");
        assert_eq!(judge_kvm(Ok(()), || Some(Ok(()))), Ok(None));
        assert!(judge_kvm(Ok(()), || None).is_ok_and(|note| note.is_some_and(|note| note.contains("was not tested"))));
        let why = judge_kvm(Ok(()), || Some(Err(no()))).expect_err("it does not");
        assert!(why.reason.contains("did not finish") && why.cure.contains("qemu:linux"), "{why}");
        let why = judge_kvm(Err("No such file".to_owned()), || panic!("not needed")).expect_err("none");
        assert!(why.to_string().starts_with("/dev/kvm cannot be opened: No such file"), "{why}");
    }
}
