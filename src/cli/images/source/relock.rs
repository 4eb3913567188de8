//! `--lock`: pins unpinned sources, and moves repositories that follow a branch to its current commit.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::addresses::archive_addresses;
use super::fetch::{Fetcher, SourceSelection};
use super::lock::{Lock, Repository};

/// Pins all sources and saves the lock file. Returns a line for each change.
///
/// # Errors
/// When a source is unavailable. The lock file is unchanged then.
pub(in crate::cli::images) fn relock(
    path: &Path,
    fetcher: &Fetcher,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<String>> {
    let mut lock = Lock::load(path)?;
    let mut changes = Vec::new();
    let followed = lock.repositories.iter().filter(|repository| !repository.follow.is_empty());
    let tips = fetcher.tips(&followed.collect::<Vec<_>>())?;
    let followed = (0..lock.repositories.len()).filter(|&index| !lock.repositories[index].follow.is_empty());
    for (index, tip) in followed.collect::<Vec<_>>().into_iter().zip(tips) {
        let repository = fetch_at(&lock.repositories[index], tip, fetcher, progress)?;
        if repository.commit != lock.repositories[index].commit {
            let commit = repository.commit.as_deref().unwrap_or_default();
            changes.push(format!("{} is pinned at {commit}", repository.name));
        }
        let makefile = fetcher.checkout(&repository)?.join("Makefile.uk");
        lock.repositories[index] = repository;
        changes.extend(update_archive(&mut lock, index, &makefile)?);
    }
    for archive in lock.archives.iter_mut().filter(|archive| archive.sha256.is_none()) {
        let pin = fetcher.pin(archive, progress)?;
        changes.push(format!("{} is pinned at {pin}", archive.file()));
        archive.sha256 = Some(pin);
    }
    lock.save(path)?;
    Ok(changes)
}

/// Fetches the repository at another commit.
fn fetch_at(
    old: &Repository,
    commit: String,
    fetcher: &Fetcher,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<Repository> {
    let mut new = Repository { commit: Some(commit), tree: None, ..old.clone() };
    fetcher.fetch(&SourceSelection { repositories: vec![&new], ..SourceSelection::default() }, progress)?;
    new.tree = Some(fetcher.tree(&new)?);
    Ok(new)
}

/// Updates the address of a repository's archive from its `Makefile.uk`. If that names several, the address stays.
fn update_archive(lock: &mut Lock, index: usize, makefile: &Path) -> anyhow::Result<Option<String>> {
    let name = &lock.repositories[index].name;
    let Some(archive) = lock.archives.iter_mut().find(|archive| archive.of == *name) else { return Ok(None) };
    let text = fs::read_to_string(makefile).with_context(|| format!("failed to read {}", makefile.display()))?;
    match archive_addresses(&text).as_slice() {
        [url] if *url != archive.url => {
            archive.url.clone_from(url);
            archive.sha256 = None;
            Ok(Some(format!("{name} now builds {}", archive.file())))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::images::source::fetch::Origin;
    use crate::cli::images::source::testing::{Server, repository};

    fn lock(dir: &Path, url: &str, commit: &str) -> std::path::PathBuf {
        let path = dir.join("x.lock");
        let text = format!(
            r#"{{"schema": 1, "repositories": [
                {{"name": "lib", "url": "https://no-such-host.invalid/lib.git", "commit": {commit}, "follow": ["none", "staging"]}},
                {{"name": "held", "url": "https://no-such-host.invalid/held.git", "commit": "{}", "why": "proven"}}],
              "archives": [{{"of": "lib", "folder": "liblib", "url": "{url}", "sha256": null}}]}}"#,
            "1".repeat(40)
        );
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_followed_repository_is_pinned_with_its_archive_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let makefile = "V=2.0\nURL=https://no-such-host.invalid/lib-$(V).zip\n";
        let tip = repository(dir.path(), "lib", &[("Makefile.uk", makefile)]);
        fs::write(dir.path().join("lib-2.0.zip"), "abc").unwrap();
        let path = lock(dir.path(), "https://no-such-host.invalid/lib-1.0.zip", "null");
        let fetcher = Fetcher { origin: Origin::Mirror(dir.path().into()), cache: dir.path().join("cache") };
        let changes = relock(&path, &fetcher, &mut |_| ()).unwrap();
        let commit = tip.commit.clone().unwrap();
        assert_eq!(changes[0], format!("lib is pinned at {commit}"));
        assert_eq!(changes[1], "lib now builds lib-2.0.zip");
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(changes[2], format!("lib-2.0.zip is pinned at {abc}"));
        let lock = Lock::load(&path).unwrap();
        assert_eq!(lock.repositories[0].commit, Some(commit));
        assert_eq!(lock.repositories[0].tree.as_ref().map(String::len), Some(40));
        assert_eq!(lock.repositories[1].commit, Some("1".repeat(40)));
        assert_eq!(lock.unpinned(&["lib", "held"]), Vec::<&str>::new());
        assert_eq!(relock(&path, &fetcher, &mut |_| ()).unwrap(), Vec::<String>::new(), "nothing has moved");
    }

    #[test]
    fn an_error_without_network_explains_how_to_pin_offline() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock(dir.path(), "https://no-such-host.invalid/lib-1.0.zip", "null");
        let fetcher = Fetcher { origin: Origin::Upstream, cache: dir.path().join("cache") };
        let message = relock(&path, &fetcher, &mut |_| ()).unwrap_err().to_string();
        assert!(message.contains("lib (https://no-such-host.invalid/lib.git): "), "{message}");
        assert!(!message.contains("held") && message.contains("--source DIR"), "{message}");
    }

    #[test]
    fn a_lock_stays_unchanged_unless_everything_is_pinned() {
        let dir = tempfile::tempdir().unwrap();
        repository(dir.path(), "lib", &[("Makefile.uk", "")]);
        let path = lock(dir.path(), &Server::start().url("none.zip"), "null");
        let before = fs::read_to_string(&path).unwrap();
        let fetcher = Fetcher { origin: Origin::Mirror(dir.path().into()), cache: dir.path().join("cache") };
        let message = format!("{:#}", relock(&path, &fetcher, &mut |_| ()).unwrap_err());
        assert!(message.starts_with("failed to pin none.zip: "), "{message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }
}
