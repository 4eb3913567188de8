//! Raises limits for the duration of a run and restores them, also after a crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{Knob, Shortfall};
use crate::host::error::failed_to;
use crate::host::tree;

/// A change of a kernel limit. Record it before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its value before the change.
    pub old: u64,
    /// The value that the run writes.
    pub new: u64,
}

/// Raised limits, including the harness's own limit of open files. Dropping this restores them.
#[derive(Debug)]
#[must_use = "dropping this restores the limits"]
pub struct RaisedLimits {
    changes: Vec<Change>,
    open_files: Option<Rlimit>,
}

/// Returns the changes of kernel limits under `root` (`/` in production) that `shortfalls` require, in order.
///
/// Record them before you call [`RaisedLimits::raise`].
pub fn plan(root: &Path, shortfalls: &[Shortfall]) -> Vec<Change> {
    let change = |s: &Shortfall| {
        let Some(Knob::Sysctl(path)) = &s.raisable else { return None };
        let path = root.join(path);
        let old = tree::known(&path)?;
        (old < s.need).then_some(Change { path, old, new: s.need })
    };
    shortfalls.iter().filter_map(change).collect()
}

/// Restores kernel limits, last change first. A limit that another process has changed since stays as it is.
///
/// # Errors
/// The first limit that could not be restored; the others are restored nevertheless.
pub fn restore(changes: &[Change]) -> io::Result<()> {
    let restore_one = |c: &Change| match tree::known::<u64>(&c.path) {
        Some(now) if now == c.new => write(&c.path, c.old),
        _ => Ok(()),
    };
    let results: Vec<_> = changes.iter().rev().map(restore_one).collect();
    results.into_iter().collect()
}

impl RaisedLimits {
    /// Makes `changes`, and raises the harness's soft limit of open files if a shortfall requires it. Processes that the
    /// harness starts afterwards inherit the latter.
    ///
    /// # Errors
    /// The first limit that the kernel refuses to raise; those raised before are restored.
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

    /// Restores all limits now and returns the first error.
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
        // `undo` reports errors; after an error here, a later `restore` of the recorded changes still works.
        let _ = self.put_back();
    }
}

/// Raises the soft limit to `need` and returns the old limit; `None` if it is high enough.
fn raise_open_files(need: u64) -> io::Result<Option<Rlimit>> {
    let old = getrlimit(Resource::Nofile);
    if old.current.is_none_or(|soft| soft >= need) {
        return Ok(None);
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(need), maximum: old.maximum })
        .map_err(|e| failed_to(format!("raise the limit of open files to {need}"), e.into()))?;
    Ok(Some(old))
}

fn write(path: &Path, value: u64) -> io::Result<()> {
    fs::write(path, value.to_string()).map_err(|e| failed_to(format!("write {value} to {}", path.display()), e))
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
    fn dropping_the_guard_restores_the_limits() {
        let root = host();
        let shortfalls = [sysctl(300, "a"), sysctl(200, "b")];
        let raised = RaisedLimits::raise(&shortfalls, plan(root.path(), &shortfalls)).unwrap();
        assert_eq!(now(&root), [Some(300), Some(200)]);
        drop(raised);
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn planning_changes_nothing_and_lowers_nothing() {
        let root = host();
        let changes = plan(root.path(), &[sysctl(300, "a"), sysctl(50, "b"), sysctl(9, "missing")]);
        assert_eq!(changes, [Change { path: root.path().join("a"), old: 100, new: 300 }]);
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn a_crashed_runs_changes_are_restored_from_the_record() {
        let root = host();
        let shortfalls = [sysctl(300, "a"), sysctl(200, "b")];
        let changes = plan(root.path(), &shortfalls);
        let written = serde_json::to_string(&changes).unwrap();
        std::mem::forget(RaisedLimits::raise(&shortfalls, changes).unwrap());
        restore(&serde_json::from_str::<Vec<Change>>(&written).unwrap()).unwrap();
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn a_value_that_another_process_set_stays() {
        let root = host();
        let shortfalls = [sysctl(300, "a")];
        let raised = RaisedLimits::raise(&shortfalls, plan(root.path(), &shortfalls)).unwrap();
        fs::write(root.path().join("a"), "5000").unwrap();
        raised.undo().unwrap();
        assert_eq!(now(&root), [Some(5000), Some(100)]);
    }

    #[test]
    fn a_refused_change_is_named_and_undoes_the_earlier_ones() {
        let root = host();
        let refused = Change { path: root.path().join("no/such"), old: 1, new: 2 };
        let changes = [plan(root.path(), &[sysctl(300, "a")]), vec![refused]].concat();
        let error = RaisedLimits::raise(&[], changes).unwrap_err().to_string();
        assert!(error.contains("write 2 to ") && error.contains("no/such"), "{error}");
        assert_eq!(now(&root), [Some(100), Some(100)]);
    }

    #[test]
    fn a_sufficient_limit_of_open_files_stays() {
        let before = getrlimit(Resource::Nofile);
        let raised = RaisedLimits::raise(&[shortfall(1, Knob::OpenFiles)], Vec::new()).unwrap();
        assert_eq!((raised.open_files, getrlimit(Resource::Nofile)), (None, before));
    }
}
