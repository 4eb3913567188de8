//! Boots an image once, plainly, to see that its program begins. No measurement: TCG runs everywhere.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest::GuestLine;
use crate::guest::system::{System, unikraft};
use crate::host::tools;
use anyhow::{Context, bail};

/// What a boot may take, without acceleration and on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const QEMU: &str = "qemu-system-x86_64";

/// How a boot went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The program said its first line.
    Booted,
    /// It was not tried.
    Skipped(String),
}

/// Boots `system` with that command line, until its program says `FW main`. What it prints is kept in `log`.
///
/// # Errors
/// When it ends, or its time is over, before that.
pub(super) fn boot(system: &System, line: &str, log: &Path) -> anyhow::Result<Outcome> {
    let Some(qemu) = tools::find(QEMU) else { return Ok(Outcome::Skipped(format!("{QEMU} is not installed"))) };
    let mut child = Command::new(qemu)
        .args(arguments(system, line))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("start QEMU")?;
    let (text, result) = await_main(&mut child);
    let _ = child.kill();
    let _ = child.wait();
    fs::write(log, &text).with_context(|| format!("write {}", log.display()))?;
    match result {
        Ok(()) => Ok(Outcome::Booted),
        Err(why) => bail!(
            "the guest {why} before its program said `FW main`; what it printed is in {}\n{}",
            log.display(),
            text.lines()
                .rev()
                .take(10)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .map(|l| format!("     {l}\n"))
                .collect::<String>()
        ),
    }
}

fn arguments(system: &System, line: &str) -> Vec<String> {
    let memory = format!("{}M", system.memory.0.div_ceil(1 << 20));
    let fixed = ["-accel", "tcg", "-cpu", "max", "-smp", "1", "-nodefaults", "-no-user-config", "-no-reboot"];
    let mut arguments: Vec<String> = ["-M", unikraft::MACHINE].iter().chain(&fixed).map(|&a| a.to_owned()).collect();
    arguments.extend(["-display", "none", "-serial", "stdio", "-device", unikraft::EXIT_DEVICE].map(str::to_owned));
    arguments.extend(["-m".to_owned(), memory, "-kernel".to_owned(), system.kernel.display().to_string()]);
    arguments.extend(["-append".to_owned(), line.to_owned()]);
    if let Some(disk) = &system.disk {
        arguments.extend(["-drive".to_owned(), format!("file={},if=virtio,snapshot=on", disk.display())]);
    }
    arguments
}

/// What the guest printed, and whether its program has begun.
fn await_main(child: &mut Child) -> (String, Result<(), &'static str>) {
    let console = child.stdout.take().expect("it was asked for");
    let (sender, lines) = mpsc::channel();
    // Ends with the guest, which is ended in any case.
    thread::spawn(move || {
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        lines.take_while(|line| sender.send(String::from_utf8_lossy(line).into_owned()).is_ok()).for_each(drop);
    });
    let until = Instant::now() + LIMIT;
    let mut text = String::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                text += &format!("{line}\n");
                if GuestLine::parse(&line) == GuestLine::Main {
                    return (text, Ok(()));
                }
            }
            Err(RecvTimeoutError::Timeout) => return (text, Err("was silent for too long")),
            Err(RecvTimeoutError::Disconnected) => return (text, Err("ended")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::units::Bytes;

    use super::*;

    fn system(kernel: &Path) -> System {
        System {
            kernel: kernel.to_owned(),
            initrd: None,
            disk: None,
            digest: String::new(),
            size: Bytes(1),
            memory: Bytes(16 << 20),
        }
    }

    #[test]
    fn a_machine_is_described_by_its_image() {
        let told = arguments(&system(Path::new("/k")), "deadline=5 dir=/tmp").join(" ");
        assert!(told.starts_with("-M pc -accel tcg -cpu max -smp 1 -nodefaults"), "{told}");
        assert!(told.ends_with("-device isa-debug-exit -m 16M -kernel /k -append deadline=5 dir=/tmp"), "{told}");
    }

    #[test]
    fn what_is_no_kernel_is_told_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let (kernel, log) = (dir.path().join("kernel"), dir.path().join("smoke.log"));
        fs::write(&kernel, "nothing that boots").unwrap();
        match boot(&system(&kernel), "", &log) {
            Ok(Outcome::Skipped(why)) => eprintln!("skipped: {why}"),
            Ok(Outcome::Booted) => panic!("it cannot boot"),
            Err(error) => assert!(error.to_string().starts_with("the guest ended before"), "{error}"),
        }
    }
}
