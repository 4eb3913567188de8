//! Tests of `xtask images` as a script sees it: errors and exit codes for images from upstream's sources.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

/// Runs `xtask images` with empty folders below `home` and an empty `PATH`.
fn images(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("images").args(arguments);
    command.env("CARGO_TARGET_DIR", home).env("FEATHERWEIGHT_STATE", home.join("state"));
    command.env("PATH", home.join("bin")).output().expect("xtask starts")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Writes a lock file with the sources of `hello`, pinned to `commit` if there is one.
fn lock(home: &Path, commit: Option<&str>) -> String {
    let source = |name: &str| json!({"name": name, "url": "https://no-such-host.invalid/x.git", "commit": commit});
    let lock = json!({"schema": 1, "repositories": [source("unikraft"), source("lib-musl")]});
    let path = home.join("test.lock");
    fs::write(&path, lock.to_string()).expect("the lock file is written");
    path.display().to_string()
}

#[test]
fn missing_pins_are_reported_before_missing_programs() {
    let home = tempfile::tempdir().unwrap();
    let lock = lock(home.path(), None);
    let output = images(home.path(), &["--platform", "unikraft", "--program", "hello", "--lock-file", &lock]);
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    let message = error(&output);
    assert!(message.contains("--platform unikraft --lock") && !message.contains("missing programs"), "{message}");
}

#[test]
fn all_missing_programs_are_reported_at_once() {
    let home = tempfile::tempdir().unwrap();
    let lock = lock(home.path(), Some(&"1".repeat(40)));
    let output = images(home.path(), &["--platform", "unikraft", "--program", "hello", "--lock-file", &lock]);
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    let message = error(&output);
    assert!(message.contains("missing programs for building Unikraft images: git curl make gcc ld flex bison m4 python3 wget unzip patch\n"), "{message}");
    assert!(message.contains("apt-get install git curl make gcc binutils flex"), "{message}");
}

#[test]
fn a_set_without_a_lock_cannot_be_pinned() {
    let home = tempfile::tempdir().unwrap();
    for platform in ["programs", "mirage"] {
        let output = images(home.path(), &["--platform", platform, "--lock"]);
        assert_eq!(output.status.code(), Some(2), "{}", error(&output));
        assert!(error(&output).contains("--lock: no sources to pin"), "{}", error(&output));
    }
}

#[test]
fn an_empty_list_says_so() {
    let home = tempfile::tempdir().unwrap();
    let output = images(home.path(), &["--list"]);
    assert!(output.status.success(), "{}", error(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("no images yet"));
}
