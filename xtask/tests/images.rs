//! Images from upstream's sources as a script sees them: what is told when they cannot be built.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

/// Runs `xtask images` over an empty world below `home`.
fn images(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("images").args(arguments);
    command.env("CARGO_TARGET_DIR", home).env("FEATHERWEIGHT_STATE", home.join("state"));
    command.env("PATH", home.join("bin")).output().expect("xtask starts")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A lock file of everything that `hello` needs, at that commit, if at any.
fn lock(home: &Path, commit: Option<&str>) -> String {
    let source = |name: &str| json!({"name": name, "url": "https://no-such-host.invalid/x.git", "commit": commit});
    let lock = json!({"schema": 1, "repositories": [source("unikraft"), source("lib-musl")]});
    let path = home.join("test.lock");
    fs::write(&path, lock.to_string()).expect("the lock file is written");
    path.display().to_string()
}

#[test]
fn missing_pins_are_told_before_missing_programs() {
    let home = tempfile::tempdir().unwrap();
    let lock = lock(home.path(), None);
    let output = images(home.path(), &["--platform", "unikraft", "--program", "hello", "--lock-file", &lock]);
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    let told = error(&output);
    assert!(told.contains("--platform unikraft --lock") && !told.contains("is not installed here"), "{told}");
}

#[test]
fn every_missing_program_of_the_host_is_told_at_once() {
    let home = tempfile::tempdir().unwrap();
    let lock = lock(home.path(), Some(&"1".repeat(40)));
    let output = images(home.path(), &["--platform", "unikraft", "--program", "hello", "--lock-file", &lock]);
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    let told = error(&output);
    assert!(told.contains("git curl make gcc ld flex bison m4 python3 wget unzip patch; install it"), "{told}");
    assert!(told.contains("apt-get install git curl make gcc binutils flex"), "{told}");
}

#[test]
fn a_set_without_a_lock_cannot_be_pinned() {
    let home = tempfile::tempdir().unwrap();
    for platform in ["programs", "mirage"] {
        let output = images(home.path(), &["--platform", platform, "--lock"]);
        assert_eq!(output.status.code(), Some(2), "{}", error(&output));
        assert!(error(&output).contains("--lock pins the sources of "), "{}", error(&output));
    }
}

#[test]
fn where_nothing_is_built_the_list_says_so() {
    let home = tempfile::tempdir().unwrap();
    let output = images(home.path(), &["--list"]);
    assert!(output.status.success(), "{}", error(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("no images yet"));
}
