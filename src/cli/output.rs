//! Writes `--output`: replaces a file atomically, or writes into a device, a pipe or a link.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

use crate::cli;
use crate::cli::exit::BadInput;

/// Writes `text` to `path`, or to standard output without one. Readers of a file see the old or the new text, never a
/// part. A device, a pipe or a link is not replaced.
///
/// # Errors
/// When `path` cannot be written; an existing file then keeps its text.
pub(in crate::cli) fn write_output(path: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = path else {
        return io::stdout().write_all(text.as_bytes()).context("failed to write to standard output");
    };
    let is_file = fs::symlink_metadata(path).map_or(true, |metadata| metadata.is_file());
    let written = if is_file { replace(path, text) } else { fs::write(path, text) };
    Ok(written.map_err(|e| unwritable(path, &e))?)
}

/// Checks before anything is measured that [`write_output`] can write to `path`. Only files are tried, because opening a
/// pipe would wake its reader.
///
/// # Errors
/// When `path` is a folder, or the folder around it is missing or cannot be written.
pub(in crate::cli) fn check_output(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() && !path.is_dir() => return Ok(()),
        _ if path.is_dir() || !folder.is_dir() => {
            let option = format!("--output {}", path.display());
            return Err(BadInput::new(option, "not writable; expected a file in an existing folder").into());
        }
        _ => {}
    }
    Ok(cli::check_writable("--output: folder", folder)?)
}

/// The error for an output that cannot be written.
pub(in crate::cli) fn unwritable(path: &Path, error: &io::Error) -> BadInput {
    BadInput::new(
        format!("--output {}", path.display()),
        format!("not writable: {error}; expected a file in a writable folder"),
    )
}

/// Writes a draft next to the file and renames it. The process id makes the name of the draft unique.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!("{name}.{}.new", std::process::id()));
    let written = File::create_new(&draft).and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all()));
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn a_file_is_replaced_and_its_neighbors_stay() {
        let dir = tempfile::tempdir().unwrap();
        let [path, other] = ["bench.json", "bench.new"].map(|name| dir.path().join(name));
        fs::write(&other, "mine").unwrap();
        for text in ["first", "second"] {
            write_output(Some(&path), text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn a_device_and_a_link_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        // Through a link, so that a failing test replaces the link and not the device.
        let [null, link, file] = ["null", "link", "file"].map(|name| dir.path().join(name));
        symlink("/dev/null", &null).unwrap();
        symlink(&file, &link).unwrap();
        for path in [&null, &link] {
            write_output(Some(path), "text").unwrap();
            assert!(fs::symlink_metadata(path).unwrap().is_symlink());
        }
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert_eq!(fs::read_to_string(file).unwrap(), "text");
    }

    #[test]
    fn an_unwritable_output_is_reported_before_measuring() {
        let dir = tempfile::tempdir().unwrap();
        let [null, file, nowhere] = ["null", "file", "no/file"].map(|name| dir.path().join(name));
        symlink("/dev/null", &null).unwrap();
        assert!(check_output(&null).is_ok() && check_output(&file).is_ok());
        assert!(check_output(&nowhere).is_err() && check_output(dir.path()).is_err());
        assert!(!file.exists());
    }

    #[test]
    fn a_pipe_is_written_into() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        write_output(Some(&pipe), "text").unwrap();
        assert_eq!(reader.join().unwrap(), "text");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    }

    #[test]
    fn an_unwritable_output_is_bad_input() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path(), &dir.path().join("no such/file")] {
            assert!(write_output(Some(path), "text").unwrap_err().is::<BadInput>());
        }
    }
}
