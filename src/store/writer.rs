//! Writes a run's folder so that a crash loses at most the line being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::RunFile;

/// The file name of a run's description.
pub const RUN_FILE: &str = "run.json";
/// The file name of a run's trials.
pub const TRIALS_FILE: &str = "trials.jsonl";

/// Writes one run's description and appends its trials.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    trials: File,
    /// The length of all whole, synced lines.
    whole: u64,
}

impl Writer {
    /// Opens the folder `dir` to append, and creates it if it does not exist. Removes a torn last line.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(TRIALS_FILE);
        let trials = OpenOptions::new().create(true).append(true).open(&path)?;
        let whole = whole_length(&fs::read(&path)?);
        trials.set_len(whole)?;
        Ok(Self { dir: dir.to_owned(), trials, whole })
    }

    /// Appends one trial and syncs it to disk. An error, such as a full disk, leaves the earlier trials intact.
    ///
    /// # Errors
    /// When the line could not be written completely.
    pub fn append(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let written = self.trials.write_all(&line).and_then(|()| self.trials.sync_data());
        match written {
            Ok(()) => self.whole += line.len() as u64,
            // Truncating needs no space. If it fails nevertheless, readers skip the torn last line.
            Err(_) => drop(self.trials.set_len(self.whole)),
        }
        written
    }

    /// Writes the run's description, and replaces an older one atomically.
    ///
    /// # Errors
    /// When it cannot be written; the older one then remains.
    pub fn describe(&self, run: &RunFile) -> io::Result<()> {
        self.describe_in(RUN_FILE, run)
    }

    /// As [`Writer::describe`], for folders of sessions, whose description has another file name.
    pub(crate) fn describe_in(&self, name: &str, what: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(what)?;
        text.push(b'\n');
        replace(&self.dir.join(name), &text)
    }

    /// The run's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Replaces the content of `path` atomically, so that readers see either the old or the new content.
///
/// # Errors
/// When the content cannot be written; the old content then remains.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let written = File::create(&draft).and_then(|mut f| f.write_all(content).and_then(|()| f.sync_all()));
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

fn whole_length(content: &[u8]) -> u64 {
    content.iter().rposition(|&b| b == b'\n').map_or(0, |last| last as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;
    use crate::model::record::TrialRecord;

    #[test]
    fn a_torn_line_is_removed_before_the_next_is_appended() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.append(&record(0)).unwrap();
        drop(writer);
        let path = dir.path().join(TRIALS_FILE);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"schema\":1,\"ru").unwrap();

        let mut writer = Writer::open(dir.path()).unwrap();
        writer.append(&record(1)).unwrap();

        let text = fs::read_to_string(path).unwrap();
        let orders: Vec<u64> = text.lines().map(|l| serde_json::from_str::<TrialRecord>(l).unwrap().order).collect();
        assert_eq!(orders, [0, 1]);
    }

    #[test]
    fn a_full_disk_leaves_earlier_trials_intact() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.append(&record(0)).unwrap();
        // /dev/full fails every write with ENOSPC (full(4)).
        let good = std::mem::replace(&mut writer.trials, OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert!(writer.append(&record(1)).is_err());
        writer.trials = good;
        writer.append(&record(2)).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(TRIALS_FILE)).unwrap().lines().count(), 2);
    }
}
