//! Checks out another git revision of this project below the output folder, so that its guests can be built.
//!
//! A checkout is a `git worktree` at the commit and is reused. Only the user removes it, with `git worktree remove`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::compile::{BuildError, lock};
use crate::host::folders::Folders;

/// Why a revision is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// git cannot be started.
    #[error("failed to run git: {0}\nhelp: install git, or name a folder of images")]
    NoGit(io::Error),
    /// The repository has no such commit.
    #[error("unknown revision `{revision}` of {}: {message}", .project.display())]
    Unknown {
        /// The requested revision.
        revision: String,
        /// The repository.
        project: PathBuf,
        /// git's message.
        message: String,
    },
    /// The commit cannot be checked out.
    #[error("failed to check out {commit} at {}: {message}", .path.display())]
    CheckOut {
        /// The commit.
        commit: String,
        /// The folder of the checkout.
        path: PathBuf,
        /// git's message.
        message: String,
    },
    /// A folder cannot be created or locked.
    #[error(transparent)]
    Folder(#[from] BuildError),
}

/// Returns the commit that `revision` names in the repository of `project`. Changes nothing.
///
/// # Errors
/// When there is no such commit, or git does not run.
pub fn commit(project: &Path, revision: &str) -> Result<String, RevisionError> {
    let object = format!("{revision}^{{commit}}");
    let output = git(project, ["rev-parse", "--verify", "--quiet", "--end-of-options", &object]);
    output.map_err(|error| {
        error.or_else(|message| RevisionError::Unknown {
            revision: revision.to_owned(),
            project: project.to_owned(),
            message: if message.is_empty() { "no such commit".to_owned() } else { message },
        })
    })
}

/// Returns the folders of `commit`, and checks it out if necessary. `progress` receives each step.
///
/// # Errors
/// When the commit cannot be checked out.
pub fn check_out(folders: &Folders, commit: &str, progress: &mut dyn FnMut(&str)) -> Result<Folders, RevisionError> {
    let own = folders.of_revision(commit);
    let parent = folders.output.join("revisions");
    fs::create_dir_all(&parent).map_err(BuildError::file("create", &parent))?;
    // Two processes must not check out at the same time.
    let _lock = lock(&parent, progress)?;
    if is_at(&own.project, commit)? {
        return Ok(own);
    }
    progress(&format!("check out {commit}"));
    // `--force` twice: git may still have a locked entry of this worktree from a killed process, although it is
    // missing.
    let options = ["worktree", "add", "--force", "--force", "--detach"].map(OsStr::new);
    let arguments = options.into_iter().chain([own.project.as_os_str(), OsStr::new(commit)]);
    git(&folders.project, arguments).map_err(|error| {
        error.or_else(|message| RevisionError::CheckOut {
            commit: commit.to_owned(),
            path: own.project.clone(),
            message,
        })
    })?;
    copy_sqlite_objects(folders, &own).map_err(BuildError::file("write", &own.images()))?;
    Ok(own)
}

/// Whether `folder` is a clean checkout of `commit`.
///
/// # Errors
/// When the folder contains another commit or changes: those may be the user's work, and must not be measured as
/// `commit`.
fn is_at(folder: &Path, commit: &str) -> Result<bool, RevisionError> {
    if !folder.join(".git").exists() {
        return Ok(false);
    }
    let head = successful(git(folder, ["rev-parse", "HEAD"]))?;
    let changes = successful(git(folder, ["status", "--porcelain", "--untracked-files=no"]))?;
    if head.as_deref() == Some(commit) && changes.as_deref() == Some("") {
        return Ok(true);
    }
    let message =
        "the folder has another commit or changes\nhelp: remove it with `git worktree remove --force`".to_owned();
    Err(RevisionError::CheckOut { commit: commit.to_owned(), path: folder.to_owned(), message })
}

/// Copies the compiled SQLite, which takes a minute to compile. The key in an object's name makes it reusable anywhere;
/// see `compile::sqlite`.
fn copy_sqlite_objects(from: &Folders, to: &Folders) -> io::Result<()> {
    let [from, to] = [from, to].map(|folders| folders.images().join("programs/objects"));
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(&to)?;
    for entry in entries.flatten().filter(|entry| is_sqlite_object(&entry.file_name())) {
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn is_sqlite_object(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("sqlite3-") && name.ends_with(".o"))
}

/// Why git printed no result.
#[derive(Debug, thiserror::Error)]
enum GitError {
    #[error("failed to run git: {0}")]
    Start(io::Error),
    #[error("{message}")]
    Failed { message: String },
}

impl GitError {
    /// Converts a failure with `failed`, which receives git's message.
    fn or_else(self, failed: impl FnOnce(String) -> RevisionError) -> RevisionError {
        match self {
            GitError::Start(error) => RevisionError::NoGit(error),
            GitError::Failed { message } => failed(message),
        }
    }
}

/// Returns git's output; `None` if git ran and failed.
fn successful(output: Result<String, GitError>) -> Result<Option<String>, RevisionError> {
    match output {
        Ok(text) => Ok(Some(text)),
        Err(GitError::Failed { .. }) => Ok(None),
        Err(GitError::Start(error)) => Err(RevisionError::NoGit(error)),
    }
}

/// Runs git in `folder` and returns its trimmed output.
///
/// It ignores the git variables of the environment: a hook sets them for another repository.
fn git<'a, T: AsRef<OsStr> + 'a>(folder: &Path, arguments: impl IntoIterator<Item = T>) -> Result<String, GitError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).env("LC_ALL", "C");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.output().map_err(GitError::Start)?;
    match output.status.success() {
        true => Ok(trimmed(&output.stdout)),
        false => Err(GitError::Failed { message: trimmed(&output.stderr) }),
    }
}

fn trimmed(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::ensure;
    use crate::model::program::Program;

    /// A project in its own repository, with two commits whose `hello` programs differ.
    struct Project {
        dir: tempfile::TempDir,
        folders: Folders,
        commits: [String; 2],
    }

    impl Project {
        /// Returns `None` and prints the reason if there is no git.
        fn new() -> Option<Self> {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let project = dir.path().join("project");
            let sources = project.join("guest-images/programs");
            fs::create_dir_all(&sources).expect("created");
            for name in ["hello.c", "fw.c", "fw.h"] {
                let from = Folders::from_env().project.join("guest-images/programs").join(name);
                fs::copy(from, sources.join(name)).expect("copied");
            }
            let run = |arguments: &[&str]| git(&project, arguments.iter().copied());
            if let Err(error @ GitError::Start(_)) = run(&["init", "--quiet"]) {
                println!("skipped: {error}");
                return None;
            }
            let commit = |message: &str| {
                run(&["add", "."]).expect("added");
                let options =
                    ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"];
                run(&[&options[..], &["commit", "--quiet", "-m", message]].concat()).expect("committed");
                commit(&project, "HEAD").expect("a commit")
            };
            let first = commit("first");
            let hello = sources.join("hello.c");
            let text = fs::read_to_string(&hello).expect("read").replace("return 0;", "return 3;");
            fs::write(&hello, text).expect("written");
            let second = commit("second");
            let (output, state) = (dir.path().join("output"), dir.path().join("state"));
            let folders = Folders { project, output, state, images: Default::default() };
            Some(Self { dir, folders, commits: [first, second] })
        }

        fn hello(&self, commit: &str) -> Result<i32, RevisionError> {
            let own = check_out(&self.folders, commit, &mut |_| {})?;
            let image = ensure(&own, &[Program::Hello], &mut |_| {}).expect("it is built").remove(0);
            assert!(image.rootfs.starts_with(own.images().canonicalize().expect("it exists")));
            Ok(Command::new(image.binary()).stdout(Stdio::null()).status().expect("it runs").code().unwrap_or(-1))
        }
    }

    #[test]
    fn guests_of_another_revision_are_built_from_its_sources_and_kept() {
        let Some(project) = Project::new() else { return };
        let [first, second] = &project.commits;
        let before = git(&project.folders.project, ["status", "--porcelain"]).expect("git runs");
        assert_eq!((project.hello(first).expect("built"), project.hello(second).expect("built")), (0, 3));
        let mut steps = Vec::new();
        check_out(&project.folders, first, &mut |step| steps.push(step.to_owned())).expect("it exists");
        assert_eq!(steps, Vec::<String>::new(), "it is reused");
        assert_eq!(git(&project.folders.project, ["status", "--porcelain"]).expect("git runs"), before);
        assert_eq!(commit(&project.folders.project, "HEAD").expect("a commit"), *second, "HEAD has not moved");
    }

    #[test]
    fn a_checkout_that_was_removed_by_hand_is_created_again() {
        let Some(project) = Project::new() else { return };
        let [first, _] = &project.commits;
        let own = check_out(&project.folders, first, &mut |_| {}).expect("checked out");
        fs::remove_dir_all(&own.project).expect("removed");
        assert_eq!(project.hello(first).expect("created again"), 0);
    }

    #[test]
    fn a_changed_checkout_is_neither_measured_nor_overwritten() {
        let Some(project) = Project::new() else { return };
        let [first, _] = &project.commits;
        let own = check_out(&project.folders, first, &mut |_| {}).expect("checked out");
        let source = own.project.join("guest-images/programs/hello.c");
        fs::write(&source, "int main(void) { return 7; }").expect("written");
        let why = project.hello(first).expect_err("refused").to_string();
        assert!(why.contains("has another commit or changes") && why.contains("git worktree remove"), "{why}");
        assert!(fs::read_to_string(&source).expect("read").contains("return 7"));
    }

    #[test]
    fn an_unknown_revision_is_reported_with_gits_message() {
        let Some(project) = Project::new() else { return };
        for name in ["no-such-branch", "--all", "", "HEAD~99"] {
            let why = commit(&project.folders.project, name).expect_err("none").to_string();
            assert!(why.contains(&format!("unknown revision `{name}` of")), "{why}");
        }
        let nowhere = project.dir.path().join("output");
        fs::create_dir_all(&nowhere).expect("created");
        let why = commit(&nowhere, "HEAD").expect_err("no repository").to_string();
        assert!(why.contains("not a git repository"), "{why}");
    }
}
