//! What executes guests here: found out by a guest that has to execute, not by asking whether it could.
//!
//! That `/dev/kvm` opens, and makes machines, proves nothing: some nested hosts take a guest's first steps through their
//! emulator of instructions, and give up, or spin for ever, at the first that it does not know. So the guest does what only
//! a processor does in time.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::guest::system::{self, System};
use crate::host::folders::Folders;
use crate::host::{HostFacts, tools};
use crate::model::platform::{Accelerator, Unavailable};

/// How long the guest may take on hardware: it takes some 50 ms, the monitor's start included. Twice, since a busy host may
/// hold it up.
const HARDWARE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// Emulation may be slow, but there is nothing that it could be mistaken for.
const EMULATION: [Duration; 1] = [Duration::from_secs(20)];

/// What the guest says at its end.
const DONE: &str = "FW exit code 0";

/// What executes guests here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detected {
    /// Hardware virtualisation, or emulation.
    pub accelerator: Accelerator,
    /// Why it is not the hardware.
    pub note: Option<String>,
}

/// What was found, and on what host.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    host: Vec<String>,
    answers: Vec<(Accelerator, Result<(), String>)>,
}

/// What executes guests by `program` here; of one that is `wanted`, whether it does. Found out once a boot of the host, and
/// kept in the output folder.
///
/// # Errors
/// When nothing does, or not what is wanted.
pub fn probe(
    folders: &Folders,
    program: &Path,
    version: &str,
    wanted: Option<Accelerator>,
) -> Result<Detected, Unavailable> {
    let guest = system::null(folders, &mut |_| {}).map_err(|e| Unavailable {
        reason: format!("the guest that tries the accelerators cannot be built: {e}"),
        cure: "cargo xtask doctor tells what is missing".to_owned(),
    })?;
    let host = host(version, &guest);
    let path = folders.output.join("accelerator.json");
    let mut record = load(&path).filter(|record| record.host == host).unwrap_or(Record { host, answers: Vec::new() });
    let found = choose(wanted, |accelerator| {
        if let Some((_, known)) = record.answers.iter().find(|(known, _)| *known == accelerator) {
            return known.clone();
        }
        match try_it(program, &guest, accelerator) {
            Err(Refusal { reason, lasts: false }) => Err(reason),
            answer => {
                let answer = answer.map_err(|refusal| refusal.reason);
                record.answers.push((accelerator, answer.clone()));
                // It would only be found out again.
                let _ = save(&path, &record);
                answer
            }
        }
    });
    found.map_err(|reason| Unavailable {
        reason,
        cure:
            "give this host hardware virtualisation; emulated, it is measured when it is named: --platform qemu:linux"
                .to_owned(),
    })
}

/// Why guests are not executed.
#[derive(Debug)]
struct Refusal {
    reason: String,
    /// It is no matter of a busy host.
    lasts: bool,
}

/// Hardware before emulation, unless one is wanted.
fn choose(
    wanted: Option<Accelerator>,
    mut works: impl FnMut(Accelerator) -> Result<(), String>,
) -> Result<Detected, String> {
    match wanted {
        Some(accelerator) => works(accelerator).map(|()| Detected { accelerator, note: None }),
        None => match works(Accelerator::Kvm) {
            Ok(()) => Ok(Detected { accelerator: Accelerator::Kvm, note: None }),
            Err(why) => works(Accelerator::Tcg)
                .map(|()| Detected { accelerator: Accelerator::Tcg, note: Some(format!("no KVM: {why}")) })
                .map_err(|neither| format!("{why}; {neither}")),
        },
    }
}

/// What the answers depend on; a host is another after it was booted again, since it may be nested elsewhere now.
fn host(version: &str, guest: &System) -> Vec<String> {
    let facts = HostFacts::read(Path::new("/"));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let kvm = format!(
        "/dev/kvm {:?}",
        fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").map_err(|e| e.kind()).err()
    );
    let known = [facts.kernel, facts.cpu_model, Some(boot.trim().to_owned()), Some(kvm)];
    known.into_iter().flatten().chain([version.to_owned(), guest.digest.clone()]).collect()
}

fn try_it(program: &Path, guest: &System, accelerator: Accelerator) -> Result<(), Refusal> {
    if accelerator == Accelerator::Kvm {
        let opened = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
        opened.map_err(|e| Refusal { reason: format!("/dev/kvm cannot be opened: {e}"), lasts: true })?;
    }
    let patience: &[Duration] = if accelerator == Accelerator::Kvm { &HARDWARE } else { &EMULATION };
    let mut tries = patience.iter().map(|&deadline| boot(program, guest, accelerator, deadline));
    let first = tries.next().unwrap_or(Ok(()));
    // What is told for good need not be tried again.
    if matches!(first, Err(Refusal { lasts: false, .. })) { tries.next().unwrap_or(first) } else { first }
}

fn boot(program: &Path, guest: &System, accelerator: Accelerator, deadline: Duration) -> Result<(), Refusal> {
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
    let refuse = |lasts: bool, reason: String| Err(Refusal { reason, lasts });
    match tools::output(program, &arguments, deadline) {
        Err(e) => refuse(false, e.to_string()),
        Ok(None) => {
            refuse(false, format!("a guest under {accelerator} had not executed after {} s", deadline.as_secs()))
        }
        Ok(Some(text)) if text.lines().any(|line| line == DONE) => Ok(()),
        Ok(Some(text)) => {
            let said = text.lines().find(|line| !line.starts_with("FW") && !line.trim().is_empty());
            let said = said.unwrap_or("QEMU said nothing");
            refuse(true, format!("a guest under {accelerator} did not execute: {said}"))
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
    fn hardware_comes_before_emulation_and_emulation_says_why() {
        let both = choose(None, |_| Ok(())).expect("found");
        assert_eq!((both.accelerator, both.note), (Accelerator::Kvm, None));
        let emulated = choose(None, |a| if a == Accelerator::Kvm { fails(a) } else { Ok(()) }).expect("found");
        assert_eq!((emulated.accelerator, emulated.note), (Accelerator::Tcg, Some("no KVM: no kvm".to_owned())));
        assert_eq!(choose(None, fails).expect_err("nothing"), "no kvm; no tcg");
    }

    #[test]
    fn what_is_wanted_is_had_or_refused_and_nothing_else_is_tried() {
        let mut tried = Vec::new();
        let refused = choose(Some(Accelerator::Kvm), |a| {
            tried.push(a);
            fails(a)
        });
        assert_eq!((refused, tried.as_slice()), (Err("no kvm".to_owned()), [Accelerator::Kvm].as_slice()));
    }

    #[test]
    fn emulation_executes_the_guest_and_the_answer_is_kept() {
        let Some(program) = tools::find("qemu-system-x86_64") else { return eprintln!("skipped: no QEMU here") };
        let output = tempfile::tempdir().expect("a folder");
        let folders = Folders { output: output.path().to_owned(), ..Folders::from_env() };
        let found = probe(&folders, &program, "a version", Some(Accelerator::Tcg)).expect("it executes");
        assert_eq!(found, Detected { accelerator: Accelerator::Tcg, note: None });
        // Kept: a program that is none is not asked again on the same host, and asked on another.
        let none = Path::new("/no/such/program");
        assert_eq!(probe(&folders, none, "a version", Some(Accelerator::Tcg)), Ok(found));
        let refused = probe(&folders, none, "another version", Some(Accelerator::Tcg)).expect_err("no program");
        assert!(refused.reason.contains("No such file"), "{refused}");
    }
}
