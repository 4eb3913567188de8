//! The lock file: the commit of every repository and the SHA-256 of every archive.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// The version of the file's format.
const SCHEMA: u32 = 1;

/// The content of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli::images) struct Lock {
    schema: u32,
    pub(in crate::cli::images) repositories: Vec<Repository>,
    #[serde(default)]
    pub(in crate::cli::images) archives: Vec<Archive>,
}

/// A Git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli::images) struct Repository {
    /// The repository's name, which a mirror also uses.
    pub(in crate::cli::images) name: String,
    pub(in crate::cli::images) url: String,
    /// The full commit; `None` until `--lock` has pinned it.
    pub(in crate::cli::images) commit: Option<String>,
    /// The tree of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli::images) tree: Option<String>,
    /// The branches that `--lock` follows; it uses the first that exists. If empty, the commit stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli::images) follow: Vec<String>,
    /// The reason for this commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli::images) why: Option<String>,
}

/// An archive that a repository's build would download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli::images) struct Archive {
    /// The repository whose build uses the archive.
    pub(in crate::cli::images) of: String,
    /// The build folder where the build looks before it downloads.
    pub(in crate::cli::images) folder: String,
    pub(in crate::cli::images) url: String,
    /// The digest; `None` until `--lock` has pinned it.
    pub(in crate::cli::images) sha256: Option<String>,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// When the file cannot be read or is invalid.
    pub(in crate::cli::images) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{}: invalid lock file", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let lock: Self = serde_json::from_str(text)?;
        ensure!(lock.schema == SCHEMA, "unsupported schema {}; expected {SCHEMA}", lock.schema);
        for repository in &lock.repositories {
            let pins = [&repository.commit, &repository.tree];
            let valid = pins.into_iter().flatten().all(|pin| is_hex(pin, 40));
            ensure!(valid, "{}: invalid commit or tree; expected 40 hexadecimal digits", repository.name);
            ensure!(is_plain(&repository.name), "invalid name `{}`; expected the name of a folder", repository.name);
        }
        for archive in &lock.archives {
            let valid = archive.sha256.iter().all(|pin| is_hex(pin, 64));
            ensure!(valid, "{}: invalid SHA-256; expected 64 hexadecimal digits", archive.file());
            ensure!(
                is_plain(archive.file()),
                "invalid address {}; expected the name of a file at the end",
                archive.url
            );
            lock.repository(&archive.of)?;
        }
        Ok(lock)
    }

    /// Replaces the lock file atomically.
    pub(in crate::cli::images) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let new = path.with_extension("lock.new");
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, path))
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// Returns the repository `name`.
    pub(in crate::cli::images) fn repository(&self, name: &str) -> anyhow::Result<&Repository> {
        let found = self.repositories.iter().find(|repository| repository.name == name);
        found.with_context(|| format!("missing repository `{name}` in the lock file"))
    }

    /// Returns the archives that the builds of these repositories use.
    pub(in crate::cli::images) fn archives_of(&self, names: &[&str]) -> Vec<&Archive> {
        self.archives.iter().filter(|archive| names.contains(&archive.of.as_str())).collect()
    }

    /// Returns the names of these repositories and their archives that are not pinned.
    pub(in crate::cli::images) fn unpinned(&self, names: &[&str]) -> Vec<&str> {
        let selected = self.repositories.iter().filter(|repository| names.contains(&repository.name.as_str()));
        let repositories = selected.filter(|repository| repository.commit.is_none()).map(|r| r.name.as_str());
        let archives = self.archives_of(names).into_iter().filter(|archive| archive.sha256.is_none());
        repositories.chain(archives.map(Archive::file)).collect()
    }
}

impl Repository {
    /// Returns the pinned commit.
    pub(in crate::cli::images) fn pin(&self) -> anyhow::Result<&str> {
        self.commit.as_deref().with_context(|| format!("{} is not pinned", self.name))
    }
}

impl Archive {
    /// Returns the file name, the end of the address.
    pub(in crate::cli::images) fn file(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Returns the pinned SHA-256.
    pub(in crate::cli::images) fn pin(&self) -> anyhow::Result<&str> {
        self.sha256.as_deref().with_context(|| format!("{} is not pinned", self.file()))
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Whether `name` is a file name that does not lead to another folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['.', '-']) && !name.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use crate::host::folders::Folders;
    use rstest::rstest;

    use super::*;

    const GOOD: &str = r#"{"schema": 1,
        "repositories": [{"name": "a", "url": "https://x.org/a.git", "commit": null, "follow": ["main"]}],
        "archives": [{"of": "a", "folder": "liba", "url": "https://x.org/a-1.zip", "sha256": null}]}"#;

    #[test]
    fn unpinned_sources_are_listed() {
        let lock = Lock::parse(GOOD).unwrap();
        assert_eq!(lock.unpinned(&["a"]), ["a", "a-1.zip"]);
        assert_eq!(lock.unpinned(&["b"]), Vec::<&str>::new());
        assert!(lock.repository("b").unwrap_err().to_string().contains("missing repository `b`"));
    }

    #[rstest]
    #[case::another_schema("\"schema\": 1", "\"schema\": 2", "unsupported schema 2; expected 1")]
    #[case::a_short_commit("null, \"follow\"", "\"eb8fa2368618\", \"follow\"", "expected 40 hexadecimal digits")]
    #[case::a_short_checksum("\"sha256\": null", "\"sha256\": \"1cf15ac8\"", "expected 64 hexadecimal digits")]
    #[case::a_name_that_leads_elsewhere("\"a\", \"url\"", "\"../a\", \"url\"", "expected the name of a folder")]
    #[case::an_archive_without_a_name("a-1.zip", "", "expected the name of a file")]
    #[case::an_archive_without_a_repository("\"of\": \"a\"", "\"of\": \"b\"", "missing repository `b`")]
    #[case::a_misspelt_field("\"folder\"", "\"floder\"", "unknown field `floder`")]
    fn an_invalid_lock_is_rejected(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
        let error = format!("{:#}", Lock::parse(&GOOD.replace(from, to)).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_lock_reads_back_as_it_was_saved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let lock = Lock::parse(GOOD).unwrap();
        lock.save(&path).unwrap();
        assert_eq!(Lock::load(&path).unwrap(), lock);
    }

    #[test]
    fn the_locks_of_this_repository_are_valid_and_name_only_upstream() {
        let project = Folders::from_env().project;
        for (path, least) in [("unikraft/unikraft.lock", 6), ("osv/osv.lock", 1)] {
            let lock = Lock::load(&project.join("guest-images").join(path)).unwrap();
            assert!(lock.repositories.len() >= least, "{path}");
            let urls = lock.repositories.iter().map(|r| &r.url).chain(lock.archives.iter().map(|a| &a.url));
            let hosts = ["github.com/", "www.musl-libc.org/", "nginx.org/", "www.sqlite.org/"];
            for url in urls {
                let rest = url.split_once("://").unwrap().1;
                assert!(hosts.iter().any(|host| rest.starts_with(host)), "{url}");
            }
            let fixed = lock.repositories.iter().filter(|r| r.commit.is_some());
            assert!(fixed.into_iter().all(|r| r.why.is_some() || !r.follow.is_empty()), "{path}");
        }
    }
}
