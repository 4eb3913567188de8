//! Boots an image once to check that its program starts. This is not a measurement, so TCG suffices.

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

use crate::cli::program_output::end_of;

/// The time limit of a boot without acceleration on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const QEMU: &str = "qemu-system-x86_64";

/// The outcome of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The program printed its first line.
    Booted,
    /// The image was not booted, for this reason.
    Skipped(String),
}

/// Boots `system` with the kernel's command line `line` until its program prints `FW main`. Writes the output to `log`.
///
/// # Errors
/// When the guest ends or the time limit passes before that line.
pub(super) fn boot(system: &System, line: &str, log: &Path) -> anyhow::Result<Outcome> {
    let Some(qemu) = tools::find(QEMU) else { return Ok(Outcome::Skipped(format!("{QEMU} is not installed"))) };
    let mut child = Command::new(qemu)
        .args(arguments(system, line))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start QEMU")?;
    let (text, result) = await_main(&mut child);
    let _ = child.kill();
    let _ = child.wait();
    fs::write(log, &text).with_context(|| format!("failed to write {}", log.display()))?;
    match result {
        Ok(()) => Ok(Outcome::Booted),
        Err(why) => bail!(
            "the guest {why} before its program printed `FW main`; its output is in {}\n{}",
            log.display(),
            end_of(&text)
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

/// Returns the guest's output, and whether its program has started.
fn await_main(child: &mut Child) -> (String, Result<(), &'static str>) {
    let console = child.stdout.take().expect("stdout is a pipe");
    let (sender, lines) = mpsc::channel();
    // The thread ends with the guest, which the caller ends.
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
            Err(RecvTimeoutError::Timeout) => return (text, Err("timed out")),
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
        let message = arguments(&system(Path::new("/k")), "deadline=5 dir=/tmp").join(" ");
        assert!(message.starts_with("-M pc -accel tcg -cpu max -smp 1 -nodefaults"), "{message}");
        assert!(message.ends_with("-device isa-debug-exit -m 16M -kernel /k -append deadline=5 dir=/tmp"), "{message}");
    }

    #[test]
    fn an_invalid_kernel_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (kernel, log) = (dir.path().join("kernel"), dir.path().join("smoke.log"));
        fs::write(&kernel, "nothing that boots").unwrap();
        match boot(&system(&kernel), "", &log) {
            Ok(Outcome::Skipped(why)) => eprintln!("skipped: {why}"),
            Ok(Outcome::Booted) => panic!("an invalid kernel booted"),
            Err(error) => assert!(error.to_string().starts_with("the guest ended before"), "{error}"),
        }
    }
}
