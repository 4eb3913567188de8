//! An input as a folder of two files, as a run or a session is stored: the first line, and all lines after it.

use std::fs;

/// The folder, which goes with the value.
pub fn folder(input: &[u8], first: &str, rest: &str) -> tempfile::TempDir {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (head, tail) = input.split_at(end);
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(dir.path().join(first), head).expect("a file can be written");
    fs::write(dir.path().join(rest), tail.get(1..).unwrap_or_default()).expect("a file can be written");
    dir
}
