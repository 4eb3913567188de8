//! Raises limits for the time of a run and puts them back, after a crash as well.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Knob, Shortfall};
use crate::host::tree;

/// A change of a kernel limit: write it down before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The file, absolute.
    pub path: PathBuf,
    /// What it held.
    pub old: u64,
    /// What the run writes.
    pub new: u64,
}

/// Limits that are raised as long as this lives. The harness's own limit of open files is part of it.
#[derive(Debug)]
#[must_use = "the limits go back when this is dropped"]
pub struct RaisedLimits {
    changes: Vec<Change>,
    open_files: Option<Rlimit>,
}

/// The kernel limits that would be raised under `root` (`/` in production), in the order of raising.
///
/// The caller writes them down, then calls [`RaisedLimits::raise`].
pub fn plan(root: &Path, shortfalls: &[Shortfall]) -> Vec<Change> {
    let change = |s: &Shortfall| {
        let Some(Knob::Sysctl(path)) = &s.raisable else { return None };
        let path = root.join(path);
        let old = tree::known(&path)?;
        (old < s.need).then_some(Change { path, old, new: s.need })
    };
    shortfalls.iter().filter_map(change).collect()
}

/// Puts kernel limits back, last change first. A value that is no longer ours is somebody else's and stays.
///
/// # Errors
/// The first limit that could not be put back; the others are tried nevertheless.
pub fn restore(changes: &[Change]) -> io::Result<()> {
    let restore_one = |c: &Change| match tree::known::<u64>(&c.path) {
        Some(now) if now == c.new => write(&c.path, c.old),
        _ => Ok(()),
    };
    let results: Vec<_> = changes.iter().rev().map(restore_one).collect();
    results.into_iter().collect()
}

impl RaisedLimits {
    /// Makes `changes`, and raises the harness's soft limit of open files when a shortfall asks for it. What it starts
    /// from now on inherits the latter.
    ///
    /// # Errors
    /// The first limit that the kernel refuses to raise; those raised before it are put back.
    pub fn raise(shortfalls: &[Shortfall], changes: Vec<Change>) -> io::Result<Self> {
        let mut raised = Self { changes: Vec::new(), open_files: None };
        let files = shortfalls.iter().filter(|s| s.raisable == Some(Knob::OpenFiles)).map(|s| s.need).max();
        raised.open_files = files.map(raise_open_files).transpose()?.flatten();
        for change in changes {
            write(&change.path, change.new)?;
            raised.changes.push(change);
        }
        Ok(raised)
    }

    /// Puts everything back now and tells what could not be.
    ///
    /// # Errors
    /// As [`restore`].
    pub fn undo(mut self) -> io::Result<()> {
        self.put_back()
    }

    fn put_back(&mut self) -> io::Result<()> {
        let files = self.open_files.take().map_or(Ok(()), |old| setrlimit(Resource::Nofile, old));
        restore(&std::mem::take(&mut self.changes))?;
        Ok(files?)
    }
}

impl Drop for RaisedLimits {
    fn drop(&mut self) {
        // Whoever wants the error calls `undo`; the written-down changes remain for a later `restore`.
        let _ = self.put_back();
    }
}

/// Raises the soft limit to `need` and returns what it was; `None` when it is high enough.
fn raise_open_files(need: u64) -> io::Result<Option<Rlimit>> {
    let old = getrlimit(Resource::Nofile);
    if old.current.is_none_or(|soft| soft >= need) {
        return Ok(None);
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(need), maximum: old.maximum })
        .map_err(|e| io::Error::other(format!("raise the limit of open files to {need}: {e}")))?;
    Ok(Some(old))
}

fn write(path: &Path, value: u64) -> io::Result<()> {
    fs::write(path, value.to_string())
        .map_err(|e| io::Error::new(e.kind(), format!("write {value} to {}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortfall(need: u64, knob: Knob) -> Shortfall {
        Shortfall { what: "a limit".to_owned(), have: 1, need, cure: String::new(), raisable: Some(knob) }
    }

    fn sysctl(need: u64, path: &str) -> Shortfall {
        shortfall(need, Knob::Sysctl(PathBuf::from(path)))
    }

    /// A tree with two limits of 100.
    fn host() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        ["a", "b"].iter().for_each(|name| fs::write(root.path().join(name), "100\n").unwrap());
        root
    }

    fn now(root: &tempfile::TempDir) -> [Option<u64>; 2] {
        ["a", "b"].map(|name| tree::known(&root.path().join(name)))
    }

    #[test]
    fn limits_are_raised_and_go_back_when_the_guard_is_dropped() {
        let root = host();
        let shortfalls = [sysctl(300, "a"), sysctl(200, "b")];
        let raised = RaisedLimits::raise(&shortfalls, plan(root.path(), &shortfalls)).unwrap();
        assert_eq!(now(&root), [Some(300), Some(200)]);
        drop(raised);
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn nothing_changes_before_it_could_be_written_down_and_nothing_is_lowered() {
        let root = host();
        let changes = plan(root.path(), &[sysctl(300, "a"), sysctl(50, "b"), sysctl(9, "missing")]);
        assert_eq!(changes, [Change { path: root.path().join("a"), old: 100, new: 300 }]);
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn a_crashed_runs_changes_go_back_from_what_was_written_down() {
        let root = host();
        let shortfalls = [sysctl(300, "a"), sysctl(200, "b")];
        let changes = plan(root.path(), &shortfalls);
        let written = serde_json::to_string(&changes).unwrap();
        std::mem::forget(RaisedLimits::raise(&shortfalls, changes).unwrap());
        restore(&serde_json::from_str::<Vec<Change>>(&written).unwrap()).unwrap();
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn a_value_that_somebody_else_set_meanwhile_stays() {
        let root = host();
        let shortfalls = [sysctl(300, "a")];
        let raised = RaisedLimits::raise(&shortfalls, plan(root.path(), &shortfalls)).unwrap();
        fs::write(root.path().join("a"), "5000").unwrap();
        raised.undo().unwrap();
        assert_eq!(now(&root), [Some(5000), Some(100)]);
    }

    #[test]
    fn a_refused_change_undoes_those_before_it_and_is_named() {
        let root = host();
        let refused = Change { path: root.path().join("no/such"), old: 1, new: 2 };
        let changes = [plan(root.path(), &[sysctl(300, "a")]), vec![refused]].concat();
        let error = RaisedLimits::raise(&[], changes).unwrap_err().to_string();
        assert!(error.contains("write 2 to ") && error.contains("no/such"), "{error}");
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn open_files_that_suffice_are_left_alone() {
        let before = getrlimit(Resource::Nofile);
        let raised = RaisedLimits::raise(&[shortfall(1, Knob::OpenFiles)], Vec::new()).unwrap();
        assert_eq!((raised.open_files, getrlimit(Resource::Nofile)), (None, before));
    }
}
