//! Another git revision of this project, checked out below the output so that its guests can be built.
//!
//! A checkout is a `git worktree` at the commit, kept and used again. Nothing here removes one: `git worktree remove` does.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::build::{BuildError, lock};
use crate::host::folders::Folders;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::ensure;
    use crate::model::program::Program;

    /// A project in a repository of its own: its folders, and the commits of its two revisions, whose `hello` differ.
    struct Project {
        dir: tempfile::TempDir,
        folders: Folders,
        commits: [String; 2],
    }

    impl Project {
        /// `None`, with the reason printed, where there is no git.
        fn new() -> Option<Self> {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let (project, within) = (dir.path().join("project"), |name: &str| dir.path().join(name));
            let sources = project.join("guest-images/programs");
            fs::create_dir_all(&sources).expect("made");
            for name in ["hello.c", "fw.c", "fw.h"] {
                let from = Folders::from_env().project.join("guest-images/programs").join(name);
                fs::copy(from, sources.join(name)).expect("copied");
            }
            let ask = |words: &[&str]| git(&project, words.iter().copied());
            if let Err(e) = ask(&["init", "--quiet"]) {
                println!("skipped: {e}");
                return None;
            }
            let commit = |message: &str| {
                ask(&["add", "."]).expect("git runs").expect("added");
                let who =
                    ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"];
                ask(&[&who[..], &["commit", "--quiet", "-m", message]].concat()).expect("git runs").expect("committed");
                commit(&project, "HEAD").expect("a commit")
            };
            let first = commit("first");
            let hello = sources.join("hello.c");
            let text = fs::read_to_string(&hello).expect("read").replace("return 0;", "return 3;");
            fs::write(&hello, text).expect("written");
            let second = commit("second");
            let (output, state) = (within("output"), within("state"));
            let folders = Folders { project, output, state, images: Default::default() };
            Some(Self { dir, folders, commits: [first, second] })
        }

        fn hello(&self, commit: &str) -> Result<i32, RevisionError> {
            let own = check_out(&self.folders, commit, &mut |_| {})?;
            let image = ensure(&own, &[Program::Hello], &mut |_| {}).expect("it is built").remove(0);
            assert!(image.rootfs.starts_with(own.images().canonicalize().expect("it is there")));
            Ok(Command::new(image.binary()).stdout(Stdio::null()).status().expect("it runs").code().unwrap_or(-1))
        }
    }

    #[test]
    fn guests_of_another_revision_are_built_from_its_sources_and_kept() {
        let Some(project) = Project::new() else { return };
        let [first, second] = &project.commits;
        let before = git(&project.folders.project, ["status", "--porcelain"]).expect("git runs");
        assert_eq!((project.hello(first).expect("built"), project.hello(second).expect("built")), (0, 3));
        let mut heard = Vec::new();
        check_out(&project.folders, first, &mut |text| heard.push(text.to_owned())).expect("it is there");
        assert_eq!(heard, Vec::<String>::new(), "it is used again");
        assert_eq!(git(&project.folders.project, ["status", "--porcelain"]).expect("git runs"), before);
        assert_eq!(commit(&project.folders.project, "HEAD").expect("a commit"), *second, "nobody's head moved");
    }

    #[test]
    fn a_checkout_that_was_removed_by_hand_is_made_again() {
        let Some(project) = Project::new() else { return };
        let [first, _] = &project.commits;
        let own = check_out(&project.folders, first, &mut |_| {}).expect("checked out");
        fs::remove_dir_all(&own.project).expect("removed");
        assert_eq!(project.hello(first).expect("made again"), 0);
    }

    #[test]
    fn a_checkout_that_somebody_changed_is_neither_measured_nor_overwritten() {
        let Some(project) = Project::new() else { return };
        let [first, _] = &project.commits;
        let own = check_out(&project.folders, first, &mut |_| {}).expect("checked out");
        let source = own.project.join("guest-images/programs/hello.c");
        fs::write(&source, "int main(void) { return 7; }").expect("written");
        let why = project.hello(first).expect_err("refused").to_string();
        assert!(why.contains("not that commit as it is") && why.contains("git worktree remove"), "{why}");
        assert!(fs::read_to_string(&source).expect("read").contains("return 7"));
    }

    #[test]
    fn what_is_no_revision_is_told_with_gits_own_words() {
        let Some(project) = Project::new() else { return };
        for name in ["no-such-branch", "--all", "", "HEAD~99"] {
            let why = commit(&project.folders.project, name).expect_err("none").to_string();
            assert!(why.contains(&format!("`{name}` is no revision of")), "{why}");
        }
        let nowhere = project.dir.path().join("output");
        fs::create_dir_all(&nowhere).expect("made");
        let why = commit(&nowhere, "HEAD").expect_err("no repository").to_string();
        assert!(why.contains("not a git repository"), "{why}");
    }
}
