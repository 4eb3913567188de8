//! What was built and is believed later: a `manifest.json` beside the files, written last and all at once.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::guest::build::{BuildError, digest};
use crate::model::units::Bytes;

/// The version of all these manifests' form.
pub(super) const SCHEMA: u32 = 1;

/// The name of a manifest.
const NAME: &str = "manifest.json";

/// What a manifest is of.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The version of its form.
    fn schema(&self) -> u32;
}

/// One file of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its path from the manifest's folder.
    pub(super) path: String,
    /// SHA-256 of its content, in hexadecimal.
    pub(super) sha256: String,
    /// Its size, in bytes.
    pub(super) size: Bytes,
    /// When it was written, in nanoseconds since 1970: a file of that size and time is taken to have that content.
    modified: u64,
}

impl Part {
    /// Reads the file `path` in `folder`.
    pub(super) fn of(folder: &Path, path: &str) -> Result<Self, BuildError> {
        let file = folder.join(path);
        let sha256 = digest::of_file(&file)?;
        let (size, modified) = facts(&file).map_err(BuildError::file("read", &file))?;
        Ok(Self { path: path.to_owned(), sha256, size, modified })
    }

    /// Whether the file in `folder` is still what was written. Disks are too large to be read each time.
    pub(super) fn is_intact(&self, folder: &Path) -> bool {
        facts(&folder.join(&self.path)).is_ok_and(|found| found == (self.size, self.modified))
    }
}

fn facts(path: &Path) -> io::Result<(Bytes, u64)> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((Bytes(metadata.len()), modified.as_nanos() as u64))
}

/// What lies in `folder`; `None` when nothing does that this version wrote.
pub(super) fn load<T: Record>(folder: &Path) -> Option<T> {
    let text = fs::read(folder.join(NAME)).ok()?;
    serde_json::from_slice(&text).ok().filter(|record: &T| record.schema() == SCHEMA)
}

/// Writes a manifest in place of the one that was there.
pub(super) fn save<T: Record>(record: &T, folder: &Path) -> Result<(), BuildError> {
    let path = folder.join(NAME);
    let new = path.with_extension("json.new");
    let write = || {
        serde_json::to_writer_pretty(File::create(&new)?, record)?;
        fs::rename(&new, &path)
    };
    write().map_err(BuildError::file("write", &path))
}

/// A folder for what is only needed while something is built. Removed when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, empty: what a build left that was ended is removed.
    pub(super) fn make(path: &Path) -> Result<Self, BuildError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BuildError::file("remove", path)(error)),
            _ => fs::create_dir_all(path).map_err(BuildError::file("make", path)),
        }?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Small {
        schema: u32,
        part: Part,
    }

    impl Record for Small {
        fn schema(&self) -> u32 {
            self.schema
        }
    }

    #[test]
    fn a_manifest_is_read_back_and_another_schema_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load::<Small>(folder.path()), None);
        fs::write(folder.path().join("file"), "abc").unwrap();
        let mut small = Small { schema: SCHEMA, part: Part::of(folder.path(), "file").unwrap() };
        save(&small, folder.path()).unwrap();
        assert_eq!(load(folder.path()).as_ref(), Some(&small));

        small.schema += 1;
        save(&small, folder.path()).unwrap();
        assert_eq!(load::<Small>(folder.path()), None);
    }

    #[test]
    fn a_part_that_was_written_again_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "abc").unwrap();
        let part = Part::of(folder.path(), "file").unwrap();
        assert!(part.is_intact(folder.path()));
        fs::write(folder.path().join("file"), "abcd").unwrap();
        assert!(!part.is_intact(folder.path()));
        fs::remove_file(folder.path().join("file")).unwrap();
        assert!(!part.is_intact(folder.path()));
    }

    #[test]
    fn scratch_begins_empty_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("left"), "").unwrap();
        let scratch = Scratch::make(&path).unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        drop(scratch);
        assert!(!path.exists());
    }
}
