//! Another git revision of this project, checked out below the output so that its guests can be built.
//!
//! A checkout is a `git worktree` at the commit, kept and used again. Nothing here removes one: `git worktree remove` does.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::build::{BuildError, lock};
use crate::run::Folders;

/// Why a revision cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// git does not run.
    #[error("git does not run: {0}; install it, or name a folder of images")]
    NoGit(io::Error),
    /// git knows no such commit.
    #[error("`{revision}` is no revision of {}: {said}", .project.display())]
    Unknown {
        /// What was asked for.
        revision: String,
        /// Where.
        project: PathBuf,
        /// What git said.
        said: String,
    },
    /// It cannot be checked out.
    #[error("check {commit} out at {}: {said}", .path.display())]
    CheckOut {
        /// The commit.
        commit: String,
        /// Where.
        path: PathBuf,
        /// What git said.
        said: String,
    },
    /// A folder cannot be made, or its lock cannot be had.
    #[error(transparent)]
    Folder(#[from] BuildError),
}

/// The commit that `revision` names in the repository of `project`. Changes nothing.
///
/// # Errors
/// When there is none, or no git.
pub fn commit(project: &Path, revision: &str) -> Result<String, RevisionError> {
    let wanted = format!("{revision}^{{commit}}");
    let answer = git(project, ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
    answer.map_err(|said| RevisionError::Unknown {
        revision: revision.to_owned(),
        project: project.to_owned(),
        said: if said.is_empty() { "git knows no such commit".to_owned() } else { said },
    })
}

/// The folders of `commit`, checked out if it is not. `progress` hears what is being done.
///
/// # Errors
/// When it cannot be checked out.
pub fn check_out(folders: &Folders, commit: &str, progress: &mut dyn FnMut(&str)) -> Result<Folders, RevisionError> {
    let own = folders.of_revision(commit);
    let parent = folders.output.join("revisions");
    fs::create_dir_all(&parent).map_err(BuildError::file("make", &parent))?;
    // Two that build at once must not check out at once.
    let _lock = lock(&parent, progress)?;
    if is_at(&own.project, commit)? {
        return Ok(own);
    }
    progress(&format!("check out {commit}"));
    let failed = |said| RevisionError::CheckOut { commit: commit.to_owned(), path: own.project.clone(), said };
    let path = own.project.as_os_str();
    // Twice by force: it may be known to git, and locked by a check-out that was killed, without being there.
    let words = ["worktree", "add", "--force", "--force", "--detach"].map(OsStr::new);
    git(&folders.project, words.into_iter().chain([path, OsStr::new(commit)]))?.map_err(failed)?;
    spare_sqlite(folders, &own).map_err(BuildError::file("make", &own.images()))?;
    Ok(own)
}

/// Whether `folder` is a checkout of `commit`.
///
/// # Errors
/// When it is one of something else: what is measured has to be what is in the commit, and what is there may be somebody's.
fn is_at(folder: &Path, commit: &str) -> Result<bool, RevisionError> {
    if !folder.join(".git").exists() {
        return Ok(false);
    }
    let head = git(folder, ["rev-parse", "HEAD"])?;
    let changed = git(folder, ["status", "--porcelain", "--untracked-files=no"])?;
    if head.as_deref() == Ok(commit) && changed.as_deref() == Ok("") {
        return Ok(true);
    }
    let said = "what is there is not that commit as it is; remove it: git worktree remove --force".to_owned();
    Err(RevisionError::CheckOut { commit: commit.to_owned(), path: folder.to_owned(), said })
}

/// SQLite takes a minute to compile, and its object is the same wherever its key is: see `build::sqlite`.
fn spare_sqlite(from: &Folders, to: &Folders) -> io::Result<()> {
    let [from, to] = [from, to].map(|folders| folders.images().join("programs/objects"));
    let Ok(objects) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(&to)?;
    let is_object =
        |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with("sqlite3-") && name.ends_with(".o"));
    for object in objects.flatten().filter(|object| is_object(&object.file_name())) {
        fs::copy(object.path(), to.join(object.file_name()))?;
    }
    Ok(())
}

/// What git answers in `folder`, or else what it complains of. The caller's own git variables, as a hook has them, are not
/// for this repository.
fn git<'a, T: AsRef<OsStr> + 'a>(
    folder: &Path,
    words: impl IntoIterator<Item = T>,
) -> Result<Result<String, String>, RevisionError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(words).stdin(Stdio::null()).env("LC_ALL", "C");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.output().map_err(RevisionError::NoGit)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}
