//! What executes guests here, detected by booting a guest that has to compute.
//!
//! That `/dev/kvm` opens and creates machines proves nothing. Some nested hosts run a guest's first instructions in their
//! instruction emulator, and give up or loop forever at the first one that it does not know. So the guest executes
//! something that only a processor can do in time.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::guest::system::{self, System};
use crate::host::folders::Folders;
use crate::host::{HostFacts, tools};
use crate::model::platform::{Accelerator, Unavailable};

/// How long the guest may take on hardware; it takes about 50 ms with the monitor's start. The second attempt is for a
/// busy host.
const HARDWARE: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(2)];

/// Emulation may be slow, and nothing else could be mistaken for it.
const EMULATION: &[Duration] = &[Duration::from_secs(20)];

/// The guest's last line.
const DONE: &str = "FW exit code 0";

/// The file in the output folder that keeps the answers until the host boots again.
const RECORD: &str = "accelerator.json";

/// What executes guests here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Detected {
    /// Hardware virtualization or emulation.
    pub(super) accelerator: Accelerator,
    /// Why it is not the hardware.
    pub(super) note: Option<String>,
}

/// The answers so far, and the host they are true for.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    host: Vec<String>,
    answers: Vec<(Accelerator, Result<(), String>)>,
}

/// Why an accelerator does not execute guests.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Another attempt would fail as well: the host is not just busy.
    is_permanent: bool,
}

/// Detects what executes guests with `program`, or checks the one that is `required`. Cached until the host boots again.
///
/// # Errors
/// Fails if nothing does, or not the required one.
pub(super) fn detect(
    folders: &Folders,
    program: &Path,
    version: &str,
    required: Option<Accelerator>,
) -> Result<Detected, Unavailable> {
    let guest = system::null(folders, &mut |_| {}).map_err(|e| {
        let reason = format!("failed to build the guest that tests accelerators: {e}");
        Unavailable::new(reason, "cargo xtask doctor shows what is missing")
    })?;
    let host = host(version, &guest);
    let path = folders.output.join(RECORD);
    let mut record = load(&path).filter(|record| record.host == host).unwrap_or(Record { host, answers: Vec::new() });
    let detected = choose(required, |accelerator| {
        if let Some((_, answer)) = record.answers.iter().find(|(known, _)| *known == accelerator) {
            return answer.clone();
        }
        let outcome = test(program, &guest, accelerator);
        if !matches!(outcome, Err(Failure { is_permanent: false, .. })) {
            let answer = outcome.as_ref().copied().map_err(|failure| failure.reason.clone());
            record.answers.push((accelerator, answer));
            // Without the record, the next run only tests again.
            let _ = save(&path, &record);
        }
        outcome.map_err(|failure| failure.reason)
    });
    let help =
        "enable hardware virtualization on this host; to measure emulation, name the platform: --platform qemu:linux";
    detected.map_err(|reason| Unavailable::new(reason, help))
}

/// Hardware before emulation, unless one is required.
fn choose(
    required: Option<Accelerator>,
    mut test: impl FnMut(Accelerator) -> Result<(), String>,
) -> Result<Detected, String> {
    if let Some(accelerator) = required {
        test(accelerator)?;
        return Ok(Detected { accelerator, note: None });
    }
    let Err(no_kvm) = test(Accelerator::Kvm) else {
        return Ok(Detected { accelerator: Accelerator::Kvm, note: None });
    };
    match test(Accelerator::Tcg) {
        Ok(()) => Ok(Detected { accelerator: Accelerator::Tcg, note: Some(format!("no KVM: {no_kvm}")) }),
        Err(no_tcg) => Err(format!("{no_kvm}; {no_tcg}")),
    }
}

/// What the answers depend on. After a reboot they are detected again, because a nested host may have moved.
fn host(version: &str, guest: &System) -> Vec<String> {
    let facts = HostFacts::read(Path::new("/"));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let kvm = format!("/dev/kvm {:?}", open_kvm().map_err(|e| e.kind()).err());
    let known = [facts.kernel, facts.cpu_model, Some(boot.trim().to_owned()), Some(kvm)];
    known.into_iter().flatten().chain([version.to_owned(), guest.digest.clone()]).collect()
}

fn open_kvm() -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).write(true).open("/dev/kvm")
}

fn test(program: &Path, guest: &System, accelerator: Accelerator) -> Result<(), Failure> {
    if accelerator == Accelerator::Kvm {
        open_kvm().map_err(|e| Failure { reason: format!("/dev/kvm cannot be opened: {e}"), is_permanent: true })?;
    }
    let deadlines = if accelerator == Accelerator::Kvm { HARDWARE } else { EMULATION };
    let mut outcome = Ok(());
    for &deadline in deadlines {
        outcome = boot(program, guest, accelerator, deadline);
        if !matches!(outcome, Err(Failure { is_permanent: false, .. })) {
            break;
        }
    }
    outcome
}

fn boot(program: &Path, guest: &System, accelerator: Accelerator, deadline: Duration) -> Result<(), Failure> {
    let kernel = guest.kernel.display().to_string();
    let processor = if accelerator == Accelerator::Kvm { "host" } else { "max" };
    #[rustfmt::skip]
    let arguments = [
        "-no-user-config", "-nodefaults", "-no-reboot", "-display", "none", "-m", "4M",
        "-machine", "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,acpi=off",
        "-accel", accelerator.name(), "-cpu", processor,
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", &kernel, "-append", "fw.run=/fw/probe -- do=compute",
    ];
    let failure = |is_permanent, reason| Err(Failure { reason, is_permanent });
    match tools::output(program, &arguments, deadline) {
        Err(e) => failure(false, e.to_string()),
        Ok(None) => {
            failure(false, format!("a guest under {accelerator} did not finish within {} s", deadline.as_secs()))
        }
        Ok(Some(text)) if text.lines().any(|line| line == DONE) => Ok(()),
        Ok(Some(text)) => {
            let complaint = text.lines().find(|line| !line.starts_with("FW") && !line.trim().is_empty());
            let complaint = complaint.unwrap_or("QEMU printed nothing");
            failure(true, format!("a guest under {accelerator} did not execute: {complaint}"))
        }
    }
}

fn load(path: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn save(path: &Path, record: &Record) -> io::Result<()> {
    let new = path.with_extension(format!("json.{}", std::process::id()));
    fs::write(&new, serde_json::to_vec_pretty(record)?)?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(accelerator: Accelerator) -> Result<(), String> {
        Err(format!("no {accelerator}"))
    }

    #[test]
    fn hardware_comes_before_emulation_and_emulation_has_a_note() {
        let both = choose(None, |_| Ok(())).expect("detected");
        assert_eq!((both.accelerator, both.note), (Accelerator::Kvm, None));
        let emulated = choose(None, |a| if a == Accelerator::Kvm { fails(a) } else { Ok(()) }).expect("detected");
        assert_eq!((emulated.accelerator, emulated.note), (Accelerator::Tcg, Some("no KVM: no kvm".to_owned())));
        assert_eq!(choose(None, fails).expect_err("nothing"), "no kvm; no tcg");
    }

    #[test]
    fn only_the_required_accelerator_is_tested() {
        let mut tested = Vec::new();
        let rejected = choose(Some(Accelerator::Kvm), |a| {
            tested.push(a);
            fails(a)
        });
        assert_eq!((rejected, tested.as_slice()), (Err("no kvm".to_owned()), [Accelerator::Kvm].as_slice()));
    }

    #[test]
    fn emulation_executes_the_guest_and_the_answer_is_cached() {
        let Some(program) = tools::find("qemu-system-x86_64") else { return eprintln!("skipped: no QEMU here") };
        let output = tempfile::tempdir().expect("a folder");
        let folders = Folders { output: output.path().to_owned(), ..Folders::from_env() };
        let found = detect(&folders, &program, "a version", Some(Accelerator::Tcg)).expect("it executes");
        assert_eq!(found, Detected { accelerator: Accelerator::Tcg, note: None });
        // A missing program is not started while the answer is cached, and is when the version differs.
        let missing = Path::new("/no/such/program");
        assert_eq!(detect(&folders, missing, "a version", Some(Accelerator::Tcg)), Ok(found));
        let error = detect(&folders, missing, "another version", Some(Accelerator::Tcg)).expect_err("no program");
        assert!(error.reason.contains("No such file"), "{error}");
    }
}
