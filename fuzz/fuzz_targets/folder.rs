//! Turns an input into a folder like that of a run or session, with two files: the first line, and all other lines.

use std::fs;

/// Writes the files `first` and `rest` to a temporary folder, which is removed when the value is dropped.
pub fn folder(input: &[u8], first: &str, rest: &str) -> tempfile::TempDir {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (head, tail) = input.split_at(end);
    let dir = tempfile::tempdir().expect("a temporary folder can be created");
    fs::write(dir.path().join(first), head).expect("a file can be written");
    fs::write(dir.path().join(rest), tail.get(1..).unwrap_or_default()).expect("a file can be written");
    dir
}
