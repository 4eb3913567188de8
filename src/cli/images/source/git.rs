//! Git repositories, each at one commit and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::lock::Repository;
use crate::cli::images::step::Step;

/// What only asks the repository on this machine.
const BRIEF: Duration = Duration::from_secs(60);

/// One commit of Unikraft is some ten megabytes.
const FETCH: Duration = Duration::from_secs(10 * 60);

/// What Git is told: no credentials are asked for, and who sends nothing is given up on.
const SETTINGS: &[&str] = &[
    "-c",
    "http.lowSpeedLimit=1000",
    "-c",
    "http.lowSpeedTime=20",
    "-c",
    "advice.detachedHead=false",
    "-c",
    "init.defaultBranch=main",
];

/// Makes `folder` a checkout of the pinned commit, fetched from `url`. Nothing is there when it fails.
pub(super) fn fetch(repository: &Repository, url: &str, folder: &Path) -> anyhow::Result<()> {
    let commit = repository.pin()?;
    let parent = folder.parent().context("a checkout in no folder")?;
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    let new = tempfile::tempdir_in(parent)?;
    git(new.path(), BRIEF, &["init", "--quiet"])?;
    git(new.path(), FETCH, &["fetch", "--quiet", "--depth", "1", url, commit]).map_err(|error| moved(error, commit))?;
    git(new.path(), BRIEF, &["checkout", "--quiet", "--detach", "FETCH_HEAD"])?;
    verify(repository, new.path())?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::rename(new.keep(), folder).with_context(|| format!("write {}", folder.display()))
}

/// Whether `folder` holds the pinned commit and nothing else; what a build left in it is removed first.
pub(super) fn verify(repository: &Repository, folder: &Path) -> anyhow::Result<()> {
    let pins = [("commit", "HEAD", &repository.commit), ("tree", "HEAD^{tree}", &repository.tree)];
    for (what, revision, pin) in pins {
        let Some(pin) = pin else { continue };
        let found = git(folder, BRIEF, &["rev-parse", "--verify", revision])?;
        ensure!(found.trim() == pin, "its {what} is {}, the lock file says {pin}", found.trim());
    }
    git(folder, BRIEF, &["reset", "--quiet", "--hard", "HEAD"])?;
    git(folder, BRIEF, &["clean", "--quiet", "--force", "--force", "-d", "-x"])?;
    Ok(())
}

/// The tree of what is checked out in `folder`.
pub(super) fn tree(folder: &Path) -> anyhow::Result<String> {
    Ok(git(folder, BRIEF, &["rev-parse", "--verify", "HEAD^{tree}"])?.trim().to_owned())
}

/// The commit at the tip of the first of `branches` that `url` has.
pub(super) fn tip(url: &str, branches: &[String]) -> anyhow::Result<String> {
    let mut arguments = vec!["ls-remote".to_owned(), url.to_owned()];
    arguments.extend(branches.iter().map(|branch| format!("refs/heads/{branch}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = git(Path::new("."), BRIEF, &arguments)?;
    let of = |branch: &String| {
        let wanted = format!("refs/heads/{branch}");
        text.lines().find_map(|line| line.split_once('\t').filter(|(_, name)| *name == wanted).map(|(tip, _)| tip))
    };
    let found = branches.iter().find_map(of);
    Ok(found.with_context(|| format!("{url} has none of the branches {}", branches.join(", ")))?.to_owned())
}

/// Where a mirror has that repository: with its work tree, or bare.
pub(super) fn in_mirror(mirror: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let found = [name.to_owned(), format!("{name}.git")].map(|name| mirror.join(name)).into_iter().find(|p| p.is_dir());
    found.with_context(|| format!("neither {name} nor {name}.git is in {}", mirror.display()))
}

/// A server that has no such commit any more says so in words of its own.
fn moved(error: anyhow::Error, commit: &str) -> anyhow::Error {
    let text = error.to_string();
    let is_gone = ["not our ref", "couldn't find remote ref", "no such remote ref", "unadvertised object"];
    match is_gone.iter().any(|words| text.contains(words)) {
        true => error.context(format!(
            "it has no commit {commit} (any more): upstream has rewritten its history, or a mirror is older or shallow; \
             update the mirror, or pin another commit"
        )),
        false => error,
    }
}

fn git(folder: &Path, limit: Duration, arguments: &[&str]) -> anyhow::Result<String> {
    let command = ["git"].iter().chain(SETTINGS).chain(arguments).copied();
    let mut step = Step::brief(command, limit);
    step.folder = Some(folder.to_owned());
    // Its questions would wait for ever; a commit hook of the user's that names these would lead Git elsewhere.
    step.environment = vec![("GIT_TERMINAL_PROMPT".into(), "0".into())];
    if folder.join(".git").exists() {
        step.environment.push(("GIT_DIR".into(), folder.join(".git").display().to_string()));
        step.environment.push(("GIT_WORK_TREE".into(), folder.display().to_string()));
    }
    match step.run() {
        Ok(text) => Ok(text),
        Err(error) => bail!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::images::source::testing::repository;

    #[test]
    fn exactly_the_pinned_commit_is_checked_out() {
        let dir = tempfile::tempdir().unwrap();
        let old = repository(dir.path(), "lib", &[("a", "1")]);
        // A newer commit on the branch changes nothing.
        let new = repository(dir.path(), "lib", &[("a", "2")]);
        assert_ne!(old.commit, new.commit);
        let to = dir.path().join("sources/lib");
        fetch(&old, &dir.path().join("lib").display().to_string(), &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "1");
        assert!(verify(&new, &to).unwrap_err().to_string().starts_with("its commit is "));
    }

    #[test]
    fn what_a_build_left_in_a_checkout_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let pinned = repository(dir.path(), "lib", &[("a", "1"), (".gitignore", "b\n")]);
        let folder = dir.path().join("lib");
        fs::write(folder.join("a"), "changed").unwrap();
        fs::write(folder.join("b"), "ignored").unwrap();
        verify(&pinned, &folder).unwrap();
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "1");
        assert!(!folder.join("b").exists());
    }

    #[test]
    fn a_commit_that_is_gone_and_another_tree_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let mut pinned = repository(dir.path(), "lib", &[("a", "1")]);
        let url = dir.path().join("lib").display().to_string();
        let to = dir.path().join("sources/lib");
        pinned.tree = Some("0".repeat(40));
        let told = fetch(&pinned, &url, &to).unwrap_err().to_string();
        assert!(
            told.starts_with("its tree is ")
                && told.ends_with("the lock file says 0000000000000000000000000000000000000000"),
            "{told}"
        );
        pinned.commit = Some("1".repeat(40));
        let told = format!("{:#}", fetch(&pinned, &url, &to).unwrap_err());
        assert!(told.starts_with("it has no commit 1111") && told.contains("upstream has rewritten"), "{told}");
        assert!(!to.exists());
    }

    #[test]
    fn the_tip_of_the_first_branch_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let pinned = repository(dir.path(), "lib", &[("a", "1")]);
        let url = dir.path().join("lib").display().to_string();
        let branches = ["none", "staging"].map(str::to_owned);
        assert_eq!(Some(tip(&url, &branches).unwrap()), pinned.commit);
        assert!(tip(&url, &branches[..1]).unwrap_err().to_string().ends_with("has none of the branches none"));
    }

    #[test]
    fn a_mirror_has_work_trees_or_bare_ones() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a.git")).unwrap();
        assert_eq!(in_mirror(dir.path(), "a").unwrap(), dir.path().join("a.git"));
        assert!(in_mirror(dir.path(), "b").unwrap_err().to_string().starts_with("neither b nor b.git is in "));
    }
}
