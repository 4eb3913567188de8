//! The folder of a history: reading, adding, pruning.
//!
//! Invariant: files are only appended to or replaced in one step, under one lock per folder.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::change::grouped;
use super::intake::{host_of, run_entries};
use super::{Entry, HostKey, ReadError, Refused, parse, session_entries};
use crate::compare::live::SessionFile;
use crate::store::{RunValues, replace};

/// A history's folder, which may not exist yet.
#[derive(Debug, Clone)]
pub struct History {
    dir: PathBuf,
}

/// The content of a folder.
#[derive(Debug, Default)]
pub struct Contents {
    /// The entries of all machines.
    pub entries: Vec<Entry>,
    /// A line for each file that could not be read.
    pub warnings: Vec<String>,
}

/// The result of adding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// The number of new lines.
    pub new: usize,
    /// The number of lines that were known already.
    pub known: usize,
}

/// The result of pruning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The number of removed lines.
    pub removed: usize,
    /// The number of lines that are left.
    pub left: usize,
}

/// What pruning keeps, apart from anchors, which it always keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The latest sessions of every track.
    Sessions(usize),
    /// Sessions of at most this many days ago.
    Days(u32),
}

/// Why a history cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session cannot be added.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A file cannot be read. It is left unchanged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be written.
    #[error("failed to write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl History {
    /// The history in the folder `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads all files. A file that cannot be read becomes a warning.
    pub fn read(&self) -> Contents {
        let mut contents = Contents::default();
        for path in self.files() {
            match self.read_file(&path) {
                Ok((entries, torn)) => {
                    contents.entries.extend(entries);
                    contents.warnings.extend(torn);
                }
                Err(e) => contents.warnings.push(e.to_string()),
            }
        }
        contents
    }

    /// The entries of the file at `path`, and a warning if its last line is torn.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_file(&self, path: &Path) -> Result<(Vec<Entry>, Option<String>), ReadError> {
        let content = fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        let (entries, whole) = parse(&content, path)?;
        let torn = (whole < content.len()).then(|| format!("{}: its last line is torn; skipped it", path.display()));
        Ok((entries, torn))
    }

    /// Adds a run. Known entries are not added again.
    ///
    /// # Errors
    /// When the run cannot be added, or the file cannot be read or written.
    pub fn add_run(&self, run: &RunValues) -> Result<Added, Error> {
        let host = host_of(&run.file)?;
        let _lock = self.lock()?;
        self.append(&host, |earlier| run_entries(run, &host, earlier))
    }

    /// Adds an ab session. Known entries are not added again.
    ///
    /// # Errors
    /// As [`History::add_run`].
    pub fn add_session(&self, session: &SessionFile) -> Result<Added, Error> {
        let (host, entries) = session_entries(session)?;
        let _lock = self.lock()?;
        self.append(&host, |_| entries)
    }

    /// Adds the entries of another history, each to its machine's file.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn merge(&self, entries: &[Entry]) -> Result<Added, Error> {
        let hosts: BTreeSet<&HostKey> = entries.iter().map(|entry| &entry.host).collect();
        let _lock = self.lock()?;
        let mut all = Added::default();
        for host in hosts {
            let theirs = entries.iter().filter(|entry| entry.host == *host).cloned().collect();
            let added = self.append(host, |_| theirs)?;
            all = Added { new: all.new + added.new, known: all.known + added.known };
        }
        Ok(all)
    }

    /// Prunes every file. Does not create the folder.
    ///
    /// # Errors
    /// When a file cannot be read or written. It is left unchanged.
    pub fn prune(&self, keep: Keep) -> Result<Pruned, Error> {
        let mut all = Pruned::default();
        if self.files().is_empty() {
            return Ok(all);
        }
        let _lock = self.lock()?;
        for path in self.files() {
            let (entries, _) = self.read_file(&path)?;
            let kept = kept(&entries, keep);
            let removed = entries.len() - kept.len();
            if removed > 0 {
                replace(&path, lines(&kept).as_bytes()).map_err(|source| unwritable(&path, source))?;
            }
            all = Pruned { removed: all.removed + removed, left: all.left + kept.len() };
        }
        Ok(all)
    }

    /// The machines' files.
    pub fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let is_file = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
        let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).filter(is_file).collect();
        files.sort();
        files
    }

    /// Keeps other processes from changing the history until it is dropped.
    fn lock(&self) -> Result<File, Error> {
        // A separate file, since files with entries are replaced and a lock stays with the replaced file.
        let path = self.dir.join(".lock");
        let open = || {
            fs::create_dir_all(&self.dir)?;
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| unwritable(&path, source))
    }

    /// Appends the entries that `make` derives from the machine's earlier entries, without known ones.
    fn append(&self, host: &HostKey, make: impl FnOnce(&[Entry]) -> Vec<Entry>) -> Result<Added, Error> {
        let path = self.dir.join(format!("{host}.jsonl"));
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(ReadError::Io { path, source }.into()),
        };
        let (earlier, whole) = parse(&content, &path)?;
        let made = make(&earlier);
        let known: BTreeSet<_> = earlier.iter().map(Entry::identity).collect();
        let new: Vec<&Entry> = made.iter().filter(|entry| !known.contains(&entry.identity())).collect();
        let added = Added { new: new.len(), known: made.len() - new.len() };
        if added.new > 0 {
            let text = lines(&new);
            let ends = content[..whole].last().is_none_or(|&byte| byte == b'\n');
            let text = if ends { text } else { format!("\n{text}") };
            write(&path, whole as u64, text.as_bytes()).map_err(|source| unwritable(&path, source))?;
        }
        Ok(added)
    }
}

/// Writes `text` after the first `whole` bytes and syncs it. Bytes after them are the rest of a session that a crash
/// interrupted. On an error, the whole lines stay intact.
fn write(path: &Path, whole: u64, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.set_len(whole)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    if written.is_err() {
        // Truncating frees space; if it fails, readers skip the torn last line.
        drop(file.set_len(whole));
    }
    written?;
    // A new file is durable only once its folder is synced, too.
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn lines(entries: &[&Entry]) -> String {
    let line = |entry: &&Entry| serde_json::to_string(entry).unwrap_or_default() + "\n";
    entries.iter().map(line).collect()
}

fn unwritable(path: &Path, source: io::Error) -> Error {
    Error::Write { path: path.to_owned(), source }
}

fn kept(entries: &[Entry], keep: Keep) -> Vec<&Entry> {
    const DAY: Duration = Duration::from_secs(86_400);
    let stays: BTreeSet<_> = match keep {
        Keep::Days(days) => entries.iter().filter(|e| e.session.age() <= DAY * days).map(Entry::identity).collect(),
        Keep::Sessions(count) => {
            let tracks = grouped(entries);
            tracks.into_iter().flat_map(|track| track.into_iter().rev().take(count)).map(Entry::identity).collect()
        }
    };
    entries.iter().filter(|entry| entry.is_anchor() || stays.contains(&entry.identity())).collect()
}

#[cfg(test)]
mod tests;
