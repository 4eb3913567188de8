//! The folder of a history: reading, adding, thinning out.
//!
//! Invariant: a file is only ever appended to or replaced in one step, under one lock a folder.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::change::grouped;
use super::intake::{host_of, of_run};
use super::{Entry, HostKey, ReadError, Refused, of_session, parse};
use crate::compare::live::SessionFile;
use crate::store::{RunValues, replace};

/// A history's folder, which need not exist yet.
#[derive(Debug, Clone)]
pub struct History {
    dir: PathBuf,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The entries of all machines.
    pub entries: Vec<Entry>,
    /// What could not be read, and why.
    pub warnings: Vec<String>,
}

/// What adding did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// Lines that are new.
    pub new: usize,
    /// Lines that were there already.
    pub known: usize,
}

/// What thinning out did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Lines that are gone.
    pub removed: usize,
    /// Lines that stay.
    pub left: usize,
}

/// What stays when a history is thinned out. Whatever others are held against stays anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The latest sessions of every track.
    Sessions(usize),
    /// What is no older than so many days.
    Days(u32),
}

/// Why a history cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session is of no use to it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What is there cannot be read, and is not touched.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file cannot be written.
    #[error("write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl History {
    /// The history in the folder `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Everything that is stored. A machine's file that cannot be read becomes a warning.
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

    /// The entries of the file at `path`, and what was passed over in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_file(&self, path: &Path) -> Result<(Vec<Entry>, Option<String>), ReadError> {
        let content = fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        let (entries, whole) = parse(&content, path)?;
        let torn = (whole < content.len()).then(|| format!("{}: its last line is torn, passed over", path.display()));
        Ok((entries, torn))
    }

    /// Adds a run. What is there already is not added again.
    ///
    /// # Errors
    /// When it cannot be taken, or the file cannot be read or written.
    pub fn add_run(&self, run: &RunValues) -> Result<Added, Error> {
        let host = host_of(&run.file)?;
        let _lock = self.lock()?;
        self.append(&host, |earlier| of_run(run, &host, earlier))
    }

    /// Adds an ab session, likewise.
    ///
    /// # Errors
    /// As [`History::add_run`].
    pub fn add_session(&self, session: &SessionFile) -> Result<Added, Error> {
        let (host, entries) = of_session(session)?;
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

    /// Thins every file out. Makes nothing where there is none.
    ///
    /// # Errors
    /// When a file cannot be read or written; it then stays as it was.
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
        // A file of its own: those with entries are replaced, and a lock stays on what was replaced.
        let path = self.dir.join(".lock");
        let open = || {
            fs::create_dir_all(&self.dir)?;
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| unwritable(&path, source))
    }

    /// Appends what `make` makes of the machine's entries, without those among them.
    fn append(&self, host: &HostKey, make: impl FnOnce(&[Entry]) -> Vec<Entry>) -> Result<Added, Error> {
        let path = self.dir.join(format!("{host}.jsonl"));
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(ReadError::Io { path, source }.into()),
        };
        let (earlier, whole) = parse(&content, &path)?;
        let made = make(&earlier);
        let there: BTreeSet<_> = earlier.iter().map(Entry::identity).collect();
        let new: Vec<&Entry> = made.iter().filter(|entry| !there.contains(&entry.identity())).collect();
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

/// Puts `text` after the first `whole` bytes and syncs it. What comes after them is what a crash left of a session that
/// was never reported as added. On an error what was there stays intact.
fn write(path: &Path, whole: u64, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.set_len(whole)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    if written.is_err() {
        // Cutting off frees space; should it fail anyway, readers pass over a torn last line.
        drop(file.set_len(whole));
    }
    written?;
    // A new file is there only once its folder is on the disk, too.
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
            let of = grouped(entries);
            of.into_iter().flat_map(|track| track.into_iter().rev().take(count)).map(Entry::identity).collect()
        }
    };
    entries.iter().filter(|entry| entry.is_anchor() || stays.contains(&entry.identity())).collect()
}

#[cfg(test)]
mod tests;
