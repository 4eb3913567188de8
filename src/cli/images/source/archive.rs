//! Copies archives from a mirror or downloads them with `curl`. A file appears only after its digest was verified.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cli::program_output;

/// The maximum size. The largest current archive, Redis, has about 5 MiB.
const LIMIT: u64 = 256 << 20;

/// The options of `curl`: fail on HTTP errors, print no progress, limit the time.
const CURL: &[&str] = &[
    "--fail",
    "--location",
    "--silent",
    "--show-error",
    "--proto",
    "=http,https",
    "--connect-timeout",
    "5",
    "--speed-time",
    "20",
    "--speed-limit",
    "1000",
    "--max-time",
    "900",
];

/// The expected content of an archive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected<'a> {
    /// This SHA-256.
    Digest(&'a str),
    /// Any content, which is about to be pinned.
    Anything,
}

/// Downloads `url` to `path` and returns the SHA-256.
///
/// # Errors
/// When the download fails or has another digest. Nothing is left at `path` then.
pub(super) fn download(url: &str, path: &Path, expected: Expected<'_>) -> anyhow::Result<String> {
    let mut errors = tempfile::tempfile()?;
    let mut curl = Command::new("curl")
        .args(CURL)
        .args(["--", url])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors.try_clone()?)
        .spawn()
        .context("failed to start curl")?;
    let mut body = curl.stdout.take().expect("stdout is a pipe");
    let digest = store(&mut body, path, expected, || {
        let status = curl.wait()?;
        ensure!(status.success(), "{}", program_output::last_line(&program_output::text_of(&mut errors)?));
        Ok(())
    });
    // End curl after a failure; this does nothing if it has ended.
    let _ = curl.kill();
    let _ = curl.wait();
    digest
}

/// Copies the archive at `from` to `path` and returns the SHA-256.
///
/// # Errors
/// When the archive cannot be read or has another digest. Nothing is left at `path` then.
pub(super) fn copy(from: &Path, path: &Path, expected: Expected<'_>) -> anyhow::Result<String> {
    let mut file = File::open(from).with_context(|| format!("failed to open {}", from.display()))?;
    store(&mut file, path, expected, || Ok(()))
}

/// Returns the SHA-256 of a file, in hexadecimal.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    Ok(hex(&Sha256::digest(fs::read(path)?)))
}

/// Writes `body` to `path`. `check_complete` fails if `body` ended early.
fn store(
    body: &mut dyn Read,
    path: &Path,
    expected: Expected<'_>,
    check_complete: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let folder = path.parent().context("a file in no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    let mut sha = Sha256::new();
    let (mut buffer, mut size) = (vec![0; 64 << 10], 0);
    loop {
        let read = body.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        ensure!(size <= LIMIT, "larger than {} MiB", LIMIT >> 20);
        sha.update(&buffer[..read]);
        new.write_all(&buffer[..read])?;
    }
    check_complete()?;
    let found = hex(&sha.finalize());
    match expected {
        Expected::Digest(expected) if expected != found => bail!(
            "its SHA-256 is {found}; expected {expected} from the lock file\n\
             help: fetch it again; if upstream has replaced it, `--lock` pins what a followed branch requests"
        ),
        _ => {}
    }
    new.persist(path).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::images::source::testing::Server;

    // FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_complete_download_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        let path = dir.path().join("x/good.tar.gz");
        assert_eq!(download(&server.url("good"), &path, Expected::Digest(ABC)).unwrap(), ABC);
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(digest(&path).unwrap(), ABC);
        assert_eq!(download(&server.url("good"), &path, Expected::Anything).unwrap(), ABC);
    }

    #[rstest]
    #[case::truncated("truncated", "transfer closed")]
    #[case::missing("none", "404")]
    #[case::another("other", "its SHA-256 is ")]
    fn an_incomplete_or_wrong_download_leaves_nothing(#[case] name: &str, #[case] expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        let path = dir.path().join("x.tar.gz");
        let message = format!("{:#}", download(&server.url(name), &path, Expected::Digest(ABC)).unwrap_err());
        assert!(message.contains(expected), "{message}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_copy_from_a_mirror_must_have_the_same_digest() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&from, "abd").unwrap();
        assert!(copy(&from, &to, Expected::Digest(ABC)).unwrap_err().to_string().contains("from the lock file"));
        fs::write(&from, "abc").unwrap();
        assert_eq!(copy(&from, &to, Expected::Digest(ABC)).unwrap(), ABC);
    }

    #[test]
    fn an_endless_download_is_aborted() {
        let dir = tempfile::tempdir().unwrap();
        let message = store(&mut io::repeat(0), &dir.path().join("x"), Expected::Anything, || Ok(())).unwrap_err();
        assert!(message.to_string().starts_with("larger than 256 MiB"), "{message}");
    }
}
