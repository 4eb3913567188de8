//! Archives: copied from a mirror or downloaded by `curl`, digested on the way, and there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::cli::images::step;

/// The largest that is taken; the largest of today, Redis, has about 5 MiB.
const LIMIT: u64 = 256 << 20;

/// What `curl` is told: what an error is, no questions, and how long it may try.
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

/// What is known of an archive before it is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected<'a> {
    /// Its SHA-256.
    Digest(&'a str),
    /// Nothing: it is being pinned.
    Anything,
}

/// Downloads `url` to `path` and returns the SHA-256.
///
/// # Errors
/// When it cannot be downloaded whole, or is not what is expected; nothing is left at `path` then.
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
        .context("start curl")?;
    let mut body = curl.stdout.take().expect("it was asked for");
    let taken = take(&mut body, path, expected, || {
        let status = curl.wait()?;
        ensure!(status.success(), "{}", step::last_line(&step::text_of(&mut errors)?));
        Ok(())
    });
    // Of one that was given up on; harmless for one that has ended.
    let _ = curl.kill();
    let _ = curl.wait();
    taken
}

/// Copies the archive at `from` to `path` and returns the SHA-256.
///
/// # Errors
/// When it cannot be read, or is not what is expected; nothing is left at `path` then.
pub(super) fn copy(from: &Path, path: &Path, expected: Expected<'_>) -> anyhow::Result<String> {
    let mut file = File::open(from).with_context(|| format!("open {}", from.display()))?;
    take(&mut file, path, expected, || Ok(()))
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    Ok(hex(&Sha256::digest(fs::read(path)?)))
}

/// Writes what `body` gives; `whole` fails when that was not all.
fn take(
    body: &mut dyn Read,
    path: &Path,
    expected: Expected<'_>,
    whole: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let folder = path.parent().context("a file in no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    let mut sha = Sha256::new();
    let (mut buffer, mut size) = (vec![0; 64 << 10], 0);
    loop {
        let read = body.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        ensure!(size <= LIMIT, "more than {} MiB, which no archive of ours has", LIMIT >> 20);
        sha.update(&buffer[..read]);
        new.write_all(&buffer[..read])?;
    }
    whole()?;
    let found = hex(&sha.finalize());
    match expected {
        Expected::Digest(wanted) if wanted != found => bail!(
            "has the SHA-256 {found}, the lock file says {wanted}: it was damaged on the way, or upstream has another \
             one now; `--lock` pins what a followed branch asks for"
        ),
        _ => {}
    }
    new.persist(path).with_context(|| format!("write {}", path.display()))?;
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
    fn what_is_served_whole_is_there_with_its_digest() {
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
    #[case::not_there("none", "404")]
    #[case::another("other", "has the SHA-256 ")]
    fn what_is_not_whole_or_another_is_refused_and_leaves_nothing(#[case] name: &str, #[case] expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        let path = dir.path().join("x.tar.gz");
        let told = format!("{:#}", download(&server.url(name), &path, Expected::Digest(ABC)).unwrap_err());
        assert!(told.contains(expected), "{told}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_mirrors_copy_is_held_to_the_same_digest() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&from, "abd").unwrap();
        assert!(copy(&from, &to, Expected::Digest(ABC)).unwrap_err().to_string().contains("the lock file says"));
        fs::write(&from, "abc").unwrap();
        assert_eq!(copy(&from, &to, Expected::Digest(ABC)).unwrap(), ABC);
    }

    #[test]
    fn what_has_no_end_is_given_up_on() {
        let dir = tempfile::tempdir().unwrap();
        let told = take(&mut io::repeat(0), &dir.path().join("x"), Expected::Anything, || Ok(())).unwrap_err();
        assert!(told.to_string().starts_with("more than 256 MiB"), "{told}");
    }
}
