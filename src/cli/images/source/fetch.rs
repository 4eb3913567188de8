//! Fetches sources from the chosen origin to a cache on the user's machine.
//!
//! Invariant: every returned source was compared with the lock file just before, whatever its origin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::archive::{self, Expected};
use super::git;
use super::lock::{Archive, Repository};
use super::reach;

/// The origin of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::images) enum Origin {
    /// The addresses in the lock file.
    Upstream,
    /// A folder with repositories, bare or not, and archives under their names.
    Mirror(PathBuf),
    /// The cache only.
    Cache,
}

/// Fetches sources to `cache`.
#[derive(Debug, Clone)]
pub(in crate::cli::images) struct Fetcher {
    pub(in crate::cli::images) origin: Origin,
    pub(in crate::cli::images) cache: PathBuf,
}

/// The sources of a build.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::images) struct SourceSelection<'a> {
    pub(in crate::cli::images) repositories: Vec<&'a Repository>,
    pub(in crate::cli::images) archives: Vec<&'a Archive>,
}

/// Fetched sources: the folders of repositories and the files of archives, by name.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::images) struct Sources {
    pub(in crate::cli::images) repositories: BTreeMap<String, PathBuf>,
    pub(in crate::cli::images) archives: BTreeMap<String, PathBuf>,
}

impl Sources {
    /// Returns the checkout of the repository `name`.
    pub(in crate::cli::images) fn repository(&self, name: &str) -> anyhow::Result<&Path> {
        self.repositories.get(name).map(PathBuf::as_path).with_context(|| format!("{name} was not fetched"))
    }
}

impl Fetcher {
    /// Fetches the selected sources that are not in the cache. Tries all of them before it fails.
    ///
    /// # Errors
    /// Lists every unavailable source with the reason, and explains how to work without network.
    pub(in crate::cli::images) fn fetch(
        &self,
        selection: &SourceSelection<'_>,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Sources> {
        let unreachable = self.unreachable(selection);
        let mut sources = Sources::default();
        let mut failures = Vec::new();
        for repository in &selection.repositories {
            match self.repository(repository, &unreachable, progress) {
                Ok(path) => drop(sources.repositories.insert(repository.name.clone(), path)),
                Err(error) => failures.push(failure_line(&repository.name, &repository.url, &error)),
            }
        }
        for archive in &selection.archives {
            match self.archive(archive, &unreachable, progress) {
                Ok(path) => drop(sources.archives.insert(archive.file().to_owned(), path)),
                Err(error) => failures.push(failure_line(archive.file(), &archive.url, &error)),
            }
        }
        match failures.is_empty() {
            true => Ok(sources),
            false => bail!("failed to fetch sources:\n{}\nhelp: {}", failures.join("\n"), self.help()),
        }
    }

    /// Returns the unreachable hosts of the sources that are not in the cache.
    fn unreachable(&self, selection: &SourceSelection<'_>) -> BTreeMap<String, String> {
        if self.origin != Origin::Upstream {
            return BTreeMap::new();
        }
        let repositories = selection.repositories.iter().filter(|r| !self.checkout(r).is_ok_and(|path| path.is_dir()));
        let archives = selection.archives.iter().filter(|a| !self.file(a).is_file());
        reach::unreachable(repositories.map(|r| r.url.as_str()).chain(archives.map(|a| a.url.as_str())))
    }

    /// Returns the folder of the checkout of the pinned commit.
    pub(in crate::cli::images) fn checkout(&self, repository: &Repository) -> anyhow::Result<PathBuf> {
        Ok(self.cache.join(format!("{}-{}", repository.name, &repository.pin()?[..12])))
    }

    fn file(&self, archive: &Archive) -> PathBuf {
        self.cache.join("archives").join(archive.file())
    }

    fn repository(
        &self,
        repository: &Repository,
        unreachable: &BTreeMap<String, String>,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let folder = self.checkout(repository)?;
        if folder.is_dir() && git::verify(repository, &folder).is_ok() {
            return Ok(folder);
        }
        let url = match &self.origin {
            Origin::Upstream => reachable(&repository.url, unreachable)?.to_owned(),
            Origin::Mirror(mirror) => file_url(&git::in_mirror(mirror, &repository.name)?)?,
            Origin::Cache => bail!("missing in the cache: {}", folder.display()),
        };
        progress(&format!("fetch {} at {}", repository.name, &repository.pin()?[..12]));
        git::fetch(repository, &url, &folder).map(|()| folder)
    }

    fn archive(
        &self,
        archive: &Archive,
        unreachable: &BTreeMap<String, String>,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let (path, pin) = (self.file(archive), archive.pin()?);
        if archive::digest(&path).is_ok_and(|found| found == pin) {
            return Ok(path);
        }
        self.take(archive, Expected::Digest(pin), unreachable, progress).map(|_| path)
    }

    /// Fetches an archive without a pin, and returns its SHA-256.
    pub(in crate::cli::images) fn pin(
        &self,
        archive: &Archive,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<String> {
        self.take(archive, Expected::Anything, &BTreeMap::new(), progress)
            .with_context(|| format!("failed to pin {}", archive.file()))
    }

    fn take(
        &self,
        archive: &Archive,
        expected: Expected<'_>,
        unreachable: &BTreeMap<String, String>,
        progress: &mut dyn FnMut(&str),
    ) -> anyhow::Result<String> {
        let path = self.file(archive);
        match &self.origin {
            Origin::Upstream => {
                let url = reachable(&archive.url, unreachable)?;
                progress(&format!("download {}", archive.file()));
                archive::download(url, &path, expected)
            }
            Origin::Mirror(mirror) => archive::copy(&mirror.join(archive.file()), &path, expected),
            Origin::Cache => bail!("missing or changed in the cache: {}", path.display()),
        }
    }

    /// Returns the current commits of the followed branches, in the order of `followed`.
    ///
    /// # Errors
    /// Lists every unavailable repository with the reason.
    pub(in crate::cli::images) fn tips(&self, followed: &[&Repository]) -> anyhow::Result<Vec<String>> {
        let unreachable = match self.origin {
            Origin::Upstream => reach::unreachable(followed.iter().map(|repository| repository.url.as_str())),
            _ => BTreeMap::new(),
        };
        let (mut tips, mut failures) = (Vec::new(), Vec::new());
        for repository in followed {
            match self.tip(repository, &unreachable) {
                Ok(tip) => tips.push(tip),
                Err(error) => failures.push(failure_line(&repository.name, &repository.url, &error)),
            }
        }
        match failures.is_empty() {
            true => Ok(tips),
            false => bail!(
                "failed to pin:\n{}\nhelp: without network, run the command on a machine with network and copy the \
                 lock file, or pass a folder with these repositories: `--source DIR`",
                failures.join("\n")
            ),
        }
    }

    fn tip(&self, repository: &Repository, unreachable: &BTreeMap<String, String>) -> anyhow::Result<String> {
        let url = match &self.origin {
            Origin::Upstream => reachable(&repository.url, unreachable)?.to_owned(),
            Origin::Mirror(mirror) => file_url(&git::in_mirror(mirror, &repository.name)?)?,
            Origin::Cache => bail!("--lock needs upstream or a mirror"),
        };
        git::tip(&url, &repository.follow)
    }

    /// Returns the tree of a fetched checkout.
    pub(in crate::cli::images) fn tree(&self, repository: &Repository) -> anyhow::Result<String> {
        git::tree(&self.checkout(repository)?)
    }

    fn help(&self) -> String {
        let cache = self.cache.display();
        match &self.origin {
            Origin::Mirror(_) => format!(
                "--source expects a folder with a Git repository NAME or NAME.git for each name, and the archives \
                 under their names; without --source, they are fetched from the addresses above to {cache}"
            ),
            _ => format!(
                "without network, clone the repositories on a machine with network into one folder \
                 (`git clone --bare URL NAME.git`), add the archives, and pass that folder: `--source DIR`; \
                 or copy {cache} from a machine that has fetched them, and pass `--offline`"
            ),
        }
    }
}

fn failure_line(name: &str, url: &str, error: &anyhow::Error) -> String {
    format!("  {name} ({url}): {error:#}")
}

/// Returns the address if its host is reachable.
fn reachable<'a>(url: &'a str, unreachable: &BTreeMap<String, String>) -> anyhow::Result<&'a str> {
    match reach::host(url).and_then(|host| unreachable.get(&host).map(|reason| (host, reason))) {
        Some((host, reason)) => bail!("failed to connect to {host}: {reason}"),
        None => Ok(url),
    }
}

fn file_url(path: &Path) -> anyhow::Result<String> {
    let path = path.canonicalize().with_context(|| format!("failed to find {}", path.display()))?;
    Ok(format!("file://{}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;

    use super::*;
    use crate::cli::images::source::testing::{Server, repository};

    // FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn archive(url: &str) -> Archive {
        Archive { of: "lib".into(), folder: "lib".into(), url: url.into(), sha256: Some(ABC.into()) }
    }

    fn fetch(fetcher: &Fetcher, repository: &Repository, archive: &Archive) -> anyhow::Result<Sources> {
        fetcher.fetch(&SourceSelection { repositories: vec![repository], archives: vec![archive] }, &mut |_| ())
    }

    #[test]
    fn a_mirror_fills_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let pinned = repository(dir.path(), "lib", &[("a", "1")]);
        fs::write(dir.path().join("x-1.zip"), "abc").unwrap();
        let archive = archive("https://no-such-host.invalid/x-1.zip");
        let mirror = Fetcher { origin: Origin::Mirror(dir.path().into()), cache: dir.path().join("cache") };
        let sources = fetch(&mirror, &pinned, &archive).unwrap();
        assert_eq!(fs::read_to_string(sources.repository("lib").unwrap().join("a")).unwrap(), "1");
        let offline = Fetcher { origin: Origin::Cache, ..mirror.clone() };
        let again = fetch(&offline, &pinned, &archive).unwrap();
        assert_eq!(fs::read_to_string(&again.archives["x-1.zip"]).unwrap(), "abc");
        // A changed file is not used.
        fs::write(&again.archives["x-1.zip"], "abd").unwrap();
        let message = fetch(&offline, &pinned, &archive).unwrap_err().to_string();
        assert!(
            message.contains("x-1.zip (https://no-such-host.invalid/x-1.zip): ") && message.contains("--offline"),
            "{message}"
        );
        assert!(fetch(&mirror, &pinned, &archive).is_ok(), "the mirror has the right file");
    }

    #[test]
    fn an_error_names_every_missing_source_and_explains_how_to_work_offline() {
        // A port without a listener: it was free a moment ago.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut pinned = repository(dir.path(), "lib", &[("a", "1")]);
        pinned.url = format!("http://{closed}/lib.git");
        let fetcher = Fetcher { origin: Origin::Upstream, cache: dir.path().join("cache") };
        let message = fetch(&fetcher, &pinned, &archive(&format!("http://{closed}/x-1.zip"))).unwrap_err().to_string();
        assert!(message.contains(&format!("lib (http://{closed}/lib.git): ")), "{message}");
        assert!(message.contains(&format!("x-1.zip (http://{closed}/x-1.zip): ")), "{message}");
        assert!(message.contains("--source DIR") && message.contains("--offline"), "{message}");
        let mirror = Fetcher { origin: Origin::Mirror(dir.path().join("none")), cache: dir.path().join("cache") };
        let message = fetch(&mirror, &pinned, &archive("http://x.invalid/x-1.zip")).unwrap_err().to_string();
        assert!(message.contains("neither lib nor lib.git is in ") && message.contains("none/x-1.zip"), "{message}");
    }

    #[test]
    fn an_archive_is_downloaded_and_pinned_over_http() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        let fetcher = Fetcher { origin: Origin::Upstream, cache: dir.path().join("cache") };
        let good = archive(&server.url("good.tar.gz"));
        let selection = SourceSelection { archives: vec![&good], ..SourceSelection::default() };
        assert_eq!(fs::read(&fetcher.fetch(&selection, &mut |_| ()).unwrap().archives["good.tar.gz"]).unwrap(), b"abc");
        assert_eq!(fetcher.pin(&good, &mut |_| ()).unwrap(), ABC);
    }
}
