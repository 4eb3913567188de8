//! Finding Firecracker, and whether it can execute anything here: it has no emulation.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::time::Duration;

use crate::host::folders::Folders;
use crate::host::tools;
use crate::model::platform::Unavailable;
use crate::platform::qemu::{self, GuestSystem};

/// Its program, in `PATH`.
const PROGRAM: &str = "firecracker";

/// How long it may take to tell its version.
const ASK: Duration = Duration::from_secs(5);

/// The first version that tells a guest of its devices by ACPI, as it is told of them by QEMU's microvm (Firecracker's
/// changelog, 1.8.0); before, only by words on the command line, which the distribution's kernel does not read.
const FIRST_WITH_ACPI: (u32, u32) = (1, 8);

/// The monitor's program.
#[derive(Debug, Clone)]
pub(super) struct Vmm {
    pub(super) program: PathBuf,
    pub(super) version: String,
    /// What a reader should know of how it was found to work.
    pub(super) note: Option<String>,
}

fn lacks(reason: impl Into<String>, cure: &str) -> Unavailable {
    Unavailable { reason: reason.into(), cure: cure.to_owned() }
}

impl Vmm {
    /// Firecracker on this host, if it can boot `system` here.
    pub(super) fn find(folders: &Folders, system: GuestSystem) -> Result<Self, Unavailable> {
        if std::env::consts::ARCH != "x86_64" {
            return Err(lacks("guest systems are built for x86-64 alone", "use a host of that kind"));
        }
        let program = tools::find(PROGRAM).ok_or_else(|| {
            lacks(
                format!("{PROGRAM} is not installed"),
                "put it in PATH: https://github.com/firecracker-microvm/firecracker/releases",
            )
        })?;
        let version = tools::version(&program, &["--version"], ASK);
        let version = version.ok_or_else(|| lacks(format!("{PROGRAM} tells no version"), "install it again"))?;
        suits(&version, system)?;
        let note = kvm(folders)?;
        Ok(Self { program, version, note })
    }
}

/// Whether KVM is here and executes guests: what is to be noted of how that is known.
pub(in crate::platform) fn kvm(folders: &Folders) -> Result<Option<String>, Unavailable> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm").map(drop).map_err(|e| e.to_string());
    judge(opened, || qemu::kvm_executes(folders))
}

/// Whether a monitor of this version can boot `system` with all its devices.
fn suits(version: &str, system: GuestSystem) -> Result<(), Unavailable> {
    let known = numbers(version).ok_or_else(|| lacks(format!("`{version}` is no version"), "install it again"))?;
    if system == GuestSystem::Linux && known < FIRST_WITH_ACPI {
        let reason =
            format!("{version} tells guests of their devices in a way that the distribution's kernel does not read");
        return Err(lacks(reason, "install 1.8 or later: https://github.com/firecracker-microvm/firecracker/releases"));
    }
    Ok(())
}

/// The first two numbers of `Firecracker v1.12.0`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let text = version.rsplit(' ').next()?.trim_start_matches('v');
    let mut parts = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// Whether KVM executes guests: what is to be noted of how that is known. `executes` tells it by a guest, where there is a
/// monitor to try it with.
fn judge(
    opened: Result<(), String>,
    executes: impl FnOnce() -> Option<Result<(), Unavailable>>,
) -> Result<Option<String>, Unavailable> {
    let cure = "give this host hardware virtualisation, or measure --platform qemu:linux, which may emulate";
    opened.map_err(|e| lacks(format!("/dev/kvm cannot be opened: {e}"), cure))?;
    match executes() {
        None => Ok(Some(
            "/dev/kvm opens; that it executes guests was not tried, which takes QEMU and its null guest".to_owned(),
        )),
        Some(Ok(())) => Ok(None),
        Some(Err(why)) => Err(lacks(why.reason, cure)),
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
    fn a_version_has_what_a_guest_needs(#[case] version: &str, #[case] linux: bool, #[case] unikraft: bool) {
        let suit = |system| suits(version, system).is_ok();
        assert_eq!((suit(GuestSystem::Linux), suit(GuestSystem::Unikraft)), (linux, unikraft));
    }

    #[test]
    fn kvm_has_to_execute_or_not_to_have_been_tried() {
        let no = || lacks("a guest under kvm had not executed after 2 s", "some");
        assert_eq!(judge(Ok(()), || Some(Ok(()))), Ok(None));
        assert!(judge(Ok(()), || None).is_ok_and(|note| note.is_some_and(|note| note.contains("was not tried"))));
        let why = judge(Ok(()), || Some(Err(no()))).expect_err("it does not");
        assert!(why.reason.contains("had not executed") && why.cure.contains("qemu:linux"), "{why}");
        let why = judge(Err("No such file".to_owned()), || panic!("asked for nothing")).expect_err("none");
        assert!(why.to_string().starts_with("/dev/kvm cannot be opened: No such file"), "{why}");
    }
}
