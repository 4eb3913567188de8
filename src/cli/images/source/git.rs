//! Fetches Git repositories, each at a single commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::lock::Repository;
use crate::cli::images::step::Step;

/// The time limit of every command except a fetch.
const BRIEF: Duration = Duration::from_secs(60);

/// The time limit of a fetch. A shallow fetch of Unikraft transfers about 10 MB.
const FETCH: Duration = Duration::from_secs(10 * 60);

/// Options for every Git command. They abort stalled transfers and silence advice.
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

/// Fetches the pinned commit from `url` and checks it out in `folder`. After a failure, nothing is left in `folder`.
pub(super) fn fetch(repository: &Repository, url: &str, folder: &Path) -> anyhow::Result<()> {
    let commit = repository.pin()?;
    let parent = folder.parent().context("a checkout in no folder")?;
    fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
    let new = tempfile::tempdir_in(parent)?;
    git(new.path(), BRIEF, &["init", "--quiet"])?;
    git(new.path(), FETCH, &["fetch", "--quiet", "--depth", "1", url, commit])
        .map_err(|error| explain_missing_commit(error, commit))?;
    git(new.path(), BRIEF, &["checkout", "--quiet", "--detach", "FETCH_HEAD"])?;
    verify(repository, new.path())?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    fs::rename(new.keep(), folder).with_context(|| format!("failed to write {}", folder.display()))
}

/// Checks that `folder` is at the pinned commit, then removes what a build has left in it.
pub(super) fn verify(repository: &Repository, folder: &Path) -> anyhow::Result<()> {
    let pins = [("commit", "HEAD", &repository.commit), ("tree", "HEAD^{tree}", &repository.tree)];
    for (what, revision, pin) in pins {
        let Some(pin) = pin else { continue };
        let found = git(folder, BRIEF, &["rev-parse", "--verify", revision])?;
        ensure!(found.trim() == pin, "its {what} is {}; expected {pin} from the lock file", found.trim());
    }
    git(folder, BRIEF, &["reset", "--quiet", "--hard", "HEAD"])?;
    git(folder, BRIEF, &["clean", "--quiet", "--force", "--force", "-d", "-x"])?;
    Ok(())
}

/// Returns the tree of the commit that is checked out in `folder`.
pub(super) fn tree(folder: &Path) -> anyhow::Result<String> {
    Ok(git(folder, BRIEF, &["rev-parse", "--verify", "HEAD^{tree}"])?.trim().to_owned())
}

/// Returns the tip of the first branch among `branches` that `url` has.
pub(super) fn tip(url: &str, branches: &[String]) -> anyhow::Result<String> {
    let mut arguments = vec!["ls-remote".to_owned(), url.to_owned()];
    arguments.extend(branches.iter().map(|branch| format!("refs/heads/{branch}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = git(Path::new("."), BRIEF, &arguments)?;
    let tip_of = |branch: &String| {
        let reference = format!("refs/heads/{branch}");
        text.lines().find_map(|line| line.split_once('\t').filter(|(_, name)| *name == reference).map(|(tip, _)| tip))
    };
    let found = branches.iter().find_map(tip_of);
    Ok(found.with_context(|| format!("{url} has none of the branches {}", branches.join(", ")))?.to_owned())
}

/// Returns the repository `name` in a mirror, bare or with a work tree.
pub(super) fn in_mirror(mirror: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let found = [name.to_owned(), format!("{name}.git")].map(|name| mirror.join(name)).into_iter().find(|p| p.is_dir());
    found.with_context(|| format!("neither {name} nor {name}.git is in {}", mirror.display()))
}

/// Adds an explanation if the error is one of Git's messages about a missing commit.
fn explain_missing_commit(error: anyhow::Error, commit: &str) -> anyhow::Error {
    let text = error.to_string();
    let messages = ["not our ref", "couldn't find remote ref", "no such remote ref", "unadvertised object"];
    match messages.iter().any(|message| text.contains(message)) {
        true => error.context(format!(
            "missing commit {commit}: upstream has rewritten its history, or the mirror is older or shallow\n\
             help: update the mirror, or pin another commit"
        )),
        false => error,
    }
}

fn git(folder: &Path, limit: Duration, arguments: &[&str]) -> anyhow::Result<String> {
    let command = ["git"].iter().chain(SETTINGS).chain(arguments).copied();
    let mut step = Step::brief(command, limit);
    step.folder = Some(folder.to_owned());
    // Git must not wait for an answer. If a commit hook runs this, its own GIT_DIR must not redirect Git.
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
    fn leftovers_of_a_build_are_removed_from_a_checkout() {
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
    fn a_missing_commit_and_a_wrong_tree_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let mut pinned = repository(dir.path(), "lib", &[("a", "1")]);
        let url = dir.path().join("lib").display().to_string();
        let to = dir.path().join("sources/lib");
        pinned.tree = Some("0".repeat(40));
        let message = fetch(&pinned, &url, &to).unwrap_err().to_string();
        assert!(
            message.starts_with("its tree is ")
                && message.ends_with("expected 0000000000000000000000000000000000000000 from the lock file"),
            "{message}"
        );
        pinned.commit = Some("1".repeat(40));
        let message = format!("{:#}", fetch(&pinned, &url, &to).unwrap_err());
        assert!(message.starts_with("missing commit 1111") && message.contains("upstream has rewritten"), "{message}");
        assert!(!to.exists());
    }

    #[test]
    fn the_tip_of_the_first_existing_branch_is_returned() {
        let dir = tempfile::tempdir().unwrap();
        let pinned = repository(dir.path(), "lib", &[("a", "1")]);
        let url = dir.path().join("lib").display().to_string();
        let branches = ["none", "staging"].map(str::to_owned);
        assert_eq!(Some(tip(&url, &branches).unwrap()), pinned.commit);
        assert!(tip(&url, &branches[..1]).unwrap_err().to_string().ends_with("has none of the branches none"));
    }

    #[test]
    fn a_mirror_has_work_trees_or_bare_repositories() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a.git")).unwrap();
        assert_eq!(in_mirror(dir.path(), "a").unwrap(), dir.path().join("a.git"));
        assert!(in_mirror(dir.path(), "b").unwrap_err().to_string().starts_with("neither b nor b.git is in "));
    }
}
