//! Fetches what is wanted, from where the user says, into a cache on the user's machine.
//!
//! Invariant: what is given out was compared with the lock just before, wherever it came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::archive::{self, Expected};
use super::git;
use super::lock::{Archive, Repository};
use super::reach;

/// Where sources come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::images) enum Origin {
    /// From the addresses in the lock file.
    Upstream,
    /// From a folder: repositories, bare or not, and archives under their names.
    Mirror(PathBuf),
    /// From nowhere: only what was fetched before is used.
    Cache,
}

/// Fetches into `cache`.
#[derive(Debug, Clone)]
pub(in crate::cli::images) struct Fetcher {
    pub(in crate::cli::images) origin: Origin,
    pub(in crate::cli::images) cache: PathBuf,
}

/// What a build wants.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::images) struct SourceSelection<'a> {
    pub(in crate::cli::images) repositories: Vec<&'a Repository>,
    pub(in crate::cli::images) archives: Vec<&'a Archive>,
}

/// What is there now: checkouts by repository, files by their names.
#[derive(Debug, Clone, Default)]
pub(in crate::cli::images) struct Sources {
    pub(in crate::cli::images) repositories: BTreeMap<String, PathBuf>,
    pub(in crate::cli::images) archives: BTreeMap<String, PathBuf>,
}

impl Sources {
    /// The checkout of that repository.
    pub(in crate::cli::images) fn repository(&self, name: &str) -> anyhow::Result<&Path> {
        self.repositories.get(name).map(PathBuf::as_path).with_context(|| format!("{name} was not fetched"))
    }
}

impl Fetcher {
    /// Fetches what is wanted and not there yet. Each is tried before the first failure is told.
    ///
    /// # Errors
    /// Everything that could not be had, each with the reason, and how to do without network.
    pub(in crate::cli::images) fn all(
        &self,
        wanted: &SourceSelection<'_>,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Sources> {
        let silent = self.silent(wanted);
        let mut sources = Sources::default();
        let mut failures = Vec::new();
        for repository in &wanted.repositories {
            match self.repository(repository, &silent, say) {
                Ok(path) => drop(sources.repositories.insert(repository.name.clone(), path)),
                Err(error) => failures.push(told(&repository.name, &repository.url, &error)),
            }
        }
        for archive in &wanted.archives {
            match self.archive(archive, &silent, say) {
                Ok(path) => drop(sources.archives.insert(archive.file().to_owned(), path)),
                Err(error) => failures.push(told(archive.file(), &archive.url, &error)),
            }
        }
        match failures.is_empty() {
            true => Ok(sources),
            false => bail!("these sources cannot be had:\n{}\n{}", failures.join("\n"), self.advice()),
        }
    }

    /// The hosts that do not answer, of those that are needed now.
    fn silent(&self, wanted: &SourceSelection<'_>) -> BTreeMap<String, String> {
        if self.origin != Origin::Upstream {
            return BTreeMap::new();
        }
        let repositories = wanted.repositories.iter().filter(|r| !self.checkout(r).is_ok_and(|path| path.is_dir()));
        let archives = wanted.archives.iter().filter(|a| !self.file(a).is_file());
        reach::silent(repositories.map(|r| r.url.as_str()).chain(archives.map(|a| a.url.as_str())))
    }

    /// Where the checkout of a pinned commit lies.
    pub(in crate::cli::images) fn checkout(&self, repository: &Repository) -> anyhow::Result<PathBuf> {
        Ok(self.cache.join(format!("{}-{}", repository.name, &repository.pin()?[..12])))
    }

    fn file(&self, archive: &Archive) -> PathBuf {
        self.cache.join("archives").join(archive.file())
    }

    fn repository(
        &self,
        repository: &Repository,
        silent: &BTreeMap<String, String>,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let folder = self.checkout(repository)?;
        if folder.is_dir() && git::verify(repository, &folder).is_ok() {
            return Ok(folder);
        }
        let url = match &self.origin {
            Origin::Upstream => answering(&repository.url, silent)?.to_owned(),
            Origin::Mirror(mirror) => file_url(&git::in_mirror(mirror, &repository.name)?)?,
            Origin::Cache => bail!("{} is not there", folder.display()),
        };
        say(&format!("fetch {} at {}", repository.name, &repository.pin()?[..12]));
        git::fetch(repository, &url, &folder).map(|()| folder)
    }

    fn archive(
        &self,
        archive: &Archive,
        silent: &BTreeMap<String, String>,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<PathBuf> {
        let (path, pin) = (self.file(archive), archive.pin()?);
        if archive::digest(&path).is_ok_and(|found| found == pin) {
            return Ok(path);
        }
        self.take(archive, Expected::Digest(pin), silent, say).map(|_| path)
    }

    /// Fetches an archive whatever it is, for pinning it: its SHA-256.
    pub(in crate::cli::images) fn pin(&self, archive: &Archive, say: &mut dyn FnMut(&str)) -> anyhow::Result<String> {
        self.take(archive, Expected::Anything, &BTreeMap::new(), say).with_context(|| format!("pin {}", archive.file()))
    }

    fn take(
        &self,
        archive: &Archive,
        expected: Expected<'_>,
        silent: &BTreeMap<String, String>,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<String> {
        let path = self.file(archive);
        match &self.origin {
            Origin::Upstream => {
                let url = answering(&archive.url, silent)?;
                say(&format!("download {}", archive.file()));
                archive::download(url, &path, expected)
            }
            Origin::Mirror(mirror) => archive::copy(&mirror.join(archive.file()), &path, expected),
            Origin::Cache => bail!("{} is not there, or is another", path.display()),
        }
    }

    /// The commits that followed repositories have now, in their order.
    ///
    /// # Errors
    /// Every one that could not be asked, each with the reason.
    pub(in crate::cli::images) fn tips(&self, followed: &[&Repository]) -> anyhow::Result<Vec<String>> {
        let silent = match self.origin {
            Origin::Upstream => reach::silent(followed.iter().map(|repository| repository.url.as_str())),
            _ => BTreeMap::new(),
        };
        let (mut tips, mut failures) = (Vec::new(), Vec::new());
        for repository in followed {
            match self.tip(repository, &silent) {
                Ok(tip) => tips.push(tip),
                Err(error) => failures.push(told(&repository.name, &repository.url, &error)),
            }
        }
        match failures.is_empty() {
            true => Ok(tips),
            false => bail!(
                "these cannot be pinned:\n{}\nwithout network here: run the same on a machine that has it and bring \
                 the lock file, or pass a folder with these repositories with `--source DIR`",
                failures.join("\n")
            ),
        }
    }

    fn tip(&self, repository: &Repository, silent: &BTreeMap<String, String>) -> anyhow::Result<String> {
        let url = match &self.origin {
            Origin::Upstream => answering(&repository.url, silent)?.to_owned(),
            Origin::Mirror(mirror) => file_url(&git::in_mirror(mirror, &repository.name)?)?,
            Origin::Cache => bail!("--lock has to ask upstream or a mirror"),
        };
        git::tip(&url, &repository.follow)
    }

    /// The tree of a checkout that was fetched.
    pub(in crate::cli::images) fn tree(&self, repository: &Repository) -> anyhow::Result<String> {
        git::tree(&self.checkout(repository)?)
    }

    fn advice(&self) -> String {
        let cache = self.cache.display();
        match &self.origin {
            Origin::Mirror(_) => format!(
                "in the folder of --source there is a Git repository a name (or NAME.git), and the archives under \
                 their names beside them; without --source they are fetched from the addresses above, into {cache}"
            ),
            _ => format!(
                "without network here: on a machine that has it, clone the repositories into a folder, each under its \
                 name (`git clone --bare URL NAME.git`), put the archives beside them, and pass that folder with \
                 `--source DIR`; or copy {cache} from a machine that has fetched them and pass `--offline`"
            ),
        }
    }
}

fn told(name: &str, url: &str, error: &anyhow::Error) -> String {
    format!("  {name} ({url}): {error:#}")
}

/// The address itself, if its host answers.
fn answering<'a>(url: &'a str, silent: &BTreeMap<String, String>) -> anyhow::Result<&'a str> {
    match reach::host(url).and_then(|host| silent.get(&host).map(|reason| (host, reason))) {
        Some((host, reason)) => bail!("{host} does not answer: {reason}"),
        None => Ok(url),
    }
}

fn file_url(path: &Path) -> anyhow::Result<String> {
    let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
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
        fetcher.all(&SourceSelection { repositories: vec![repository], archives: vec![archive] }, &mut |_| ())
    }

    #[test]
    fn a_mirror_is_enough_once_and_the_cache_from_then_on() {
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
        // What was spoilt since is not used.
        fs::write(&again.archives["x-1.zip"], "abd").unwrap();
        let told = fetch(&offline, &pinned, &archive).unwrap_err().to_string();
        assert!(
            told.contains("x-1.zip (https://no-such-host.invalid/x-1.zip): ") && told.contains("--offline"),
            "{told}"
        );
        assert!(fetch(&mirror, &pinned, &archive).is_ok(), "the mirror has a good one");
    }

    #[test]
    fn every_source_that_is_missing_is_named_with_the_offline_way() {
        // A port that was just free and is not listened on.
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut pinned = repository(dir.path(), "lib", &[("a", "1")]);
        pinned.url = format!("http://{gone}/lib.git");
        let fetcher = Fetcher { origin: Origin::Upstream, cache: dir.path().join("cache") };
        let told = fetch(&fetcher, &pinned, &archive(&format!("http://{gone}/x-1.zip"))).unwrap_err().to_string();
        assert!(told.contains(&format!("lib (http://{gone}/lib.git): ")), "{told}");
        assert!(told.contains(&format!("x-1.zip (http://{gone}/x-1.zip): ")), "{told}");
        assert!(told.contains("--source DIR") && told.contains("--offline"), "{told}");
        let mirror = Fetcher { origin: Origin::Mirror(dir.path().join("none")), cache: dir.path().join("cache") };
        let told = fetch(&mirror, &pinned, &archive("http://x.invalid/x-1.zip")).unwrap_err().to_string();
        assert!(told.contains("neither lib nor lib.git is in ") && told.contains("none/x-1.zip"), "{told}");
    }

    #[test]
    fn an_archive_comes_over_http_and_can_be_pinned_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start();
        let fetcher = Fetcher { origin: Origin::Upstream, cache: dir.path().join("cache") };
        let good = archive(&server.url("good.tar.gz"));
        let wanted = SourceSelection { archives: vec![&good], ..SourceSelection::default() };
        assert_eq!(fs::read(&fetcher.all(&wanted, &mut |_| ()).unwrap().archives["good.tar.gz"]).unwrap(), b"abc");
        assert_eq!(fetcher.pin(&good, &mut |_| ()).unwrap(), ABC);
    }
}
