//! Tests of a guest's first process, as an ordinary process and in a virtual machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rstest::rstest;

use super::{has_kernel, init, linux};
use crate::guest::compile::ensure::make_folder;
use crate::guest::{Image, ensure};
use crate::host::folders::Folders;
use crate::host::tools;
use crate::model::program::Program;

fn image(program: Program) -> Image {
    ensure(&Folders::from_env(), &[program], &mut |_| ()).expect("the guest builds").remove(0)
}

/// Compiles the first process for this test.
fn first_process(folder: &Path) -> PathBuf {
    make_folder(folder).unwrap();
    init::ensure(&Folders::from_env().project, folder, &mut |_| ()).unwrap()
}

/// Returns what Debian's service prints on its console for a program and its arguments, each with a zero byte at the
/// end. This machine was not booted for the program, so only the service ends.
fn console_of_service(command: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (list, console) = (folder.path().join("command"), folder.path().join("console"));
    fs::write(&list, command).unwrap();
    fs::write(&console, "").unwrap();
    let ended = Command::new(first_process(folder.path())).arg("run").args([&list, &console]).output().unwrap();
    assert_eq!((ended.stdout, ended.stderr), (vec![], vec![]));
    fs::read_to_string(console).unwrap()
}

fn command_file(arguments: &[&str]) -> Vec<u8> {
    arguments.iter().flat_map(|argument| argument.bytes().chain([0])).collect()
}

#[rstest]
#[case::code(&["do=exit", "code=7"], "FW exit code 7\n")]
#[case::signal(&["do=crash"], "FW exit signal 6\n")]
#[case::usage(&["odd"], "FW exit code 2\n")]
fn the_end_of_the_program_is_reported(#[case] arguments: &[&str], #[case] end: &str) {
    let program = image(Program::Probe).binary().display().to_string();
    let console = console_of_service(&command_file(&[&[program.as_str()], arguments].concat()));
    assert!(console.starts_with("FW main\n") && console.ends_with(end), "{console}");
}

#[test]
fn a_program_that_is_missing_is_named() {
    let console = console_of_service(&command_file(&["/fw/none"]));
    assert_eq!(console, "FW error /fw/none: No such file or directory\nFW exit code 127\n");
}

#[test]
fn a_missing_command_is_an_error() {
    let console = console_of_service(b"");
    assert!(console.starts_with("FW error ") && console.ends_with(": empty\n"), "{console}");
}

#[test]
fn it_does_nothing_unless_it_is_the_first_process() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new(first_process(folder.path())).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("is the first process of a guest"));
}

/// Boots on QEMU's standard machine under emulation, which works on every host, with an isolated network.
#[rstest]
#[case::hello(Program::Hello, "", &["FW guest", "FW main", "FW exit code 0"])]
#[case::arguments(Program::Probe, "do=exit code=255", &["FW guest", "FW main", "FW exit code 255"])]
fn it_boots_runs_its_program_and_ends_the_machine(
    #[case] program: Program,
    #[case] arguments: &str,
    #[case] lines: &[&str],
) {
    let folders = Folders::from_env();
    let Some(qemu) = tools::find("qemu-system-x86_64") else {
        return println!("skipped: qemu-system-x86_64 is not installed");
    };
    if !has_kernel(&folders) {
        return println!("skipped: no guest kernel; `cargo xtask images --platform qemu:linux` builds it");
    }
    let system = linux(&folders, &image(program), &mut |_| ()).unwrap();
    let append = format!(
        "console=ttyS0 quiet loglevel=1 panic=-1 fw.net=10.0.2.15/24,10.0.2.2,52:55:0a:00:02:02 fw.run=/fw/{program} -- {arguments}"
    );
    let mut machine = Command::new(qemu)
        .args(["-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", &format!("{}", system.memory.0 >> 20)])
        .args(["-no-user-config", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args(["-netdev", "user,id=n0,restrict=on", "-device", "virtio-net-pci,netdev=n0,romfile="])
        .arg("-kernel")
        .arg(&system.kernel)
        .arg("-initrd")
        .arg(system.initrd.unwrap())
        .args(["-append", &append])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = machine.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || sender.send(std::io::read_to_string(output)));
    let console = receiver.recv_timeout(Duration::from_secs(120));
    if console.is_err() {
        machine.kill().unwrap();
    }
    // QEMU closes its output only when it exits.
    let status = machine.wait().unwrap();
    reader.join().unwrap().unwrap();
    let console = console.expect("the machine ends in time").unwrap();
    assert_eq!(console.lines().collect::<Vec<_>>(), lines);
    assert_eq!(status.code(), Some(3), "the guest used the debug exit");
}
