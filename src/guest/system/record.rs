//! The record of a built guest system: a `manifest.json` next to the files, written last and atomically.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::guest::compile::{BuildError, digest};
use crate::model::units::Bytes;

/// The version of the format of all these manifests.
pub(super) const SCHEMA: u32 = 1;

/// The file name of a manifest.
const NAME: &str = "manifest.json";

/// The content of a manifest.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The version of the manifest's format.
    fn schema(&self) -> u32;
}

/// A file of a guest system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// The path relative to the manifest's folder.
    pub(super) path: String,
    /// SHA-256 of the content, in hexadecimal.
    pub(super) sha256: String,
    /// The size of the file.
    pub(super) size: Bytes,
    /// The time of the last change, in nanoseconds since 1970. A file with this size and time counts as unchanged.
    modified: u64,
}

impl Part {
    /// Reads the file `path` in `folder`.
    pub(super) fn read(folder: &Path, path: &str) -> Result<Self, BuildError> {
        let file = folder.join(path);
        let sha256 = digest::file_digest(&file)?;
        let (size, modified) = size_and_time(&file).map_err(BuildError::file("read", &file))?;
        Ok(Self { path: path.to_owned(), sha256, size, modified })
    }

    /// Whether the file in `folder` is unchanged. Compares size and time, because reading a whole disk takes too long.
    pub(super) fn is_intact(&self, folder: &Path) -> bool {
        size_and_time(&folder.join(&self.path)).is_ok_and(|found| found == (self.size, self.modified))
    }
}

fn size_and_time(path: &Path) -> io::Result<(Bytes, u64)> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((Bytes(metadata.len()), modified.as_nanos() as u64))
}

/// Loads the manifest in `folder`; `None` if there is none in this version's format.
pub(super) fn load<T: Record>(folder: &Path) -> Option<T> {
    let text = fs::read(folder.join(NAME)).ok()?;
    serde_json::from_slice(&text).ok().filter(|record: &T| record.schema() == SCHEMA)
}

/// Replaces the manifest in `folder` atomically.
pub(super) fn save<T: Record>(record: &T, folder: &Path) -> Result<(), BuildError> {
    let path = folder.join(NAME);
    let new = path.with_extension("json.new");
    let write = || {
        serde_json::to_writer_pretty(File::create(&new)?, record)?;
        fs::rename(&new, &path)
    };
    write().map_err(BuildError::file("write", &path))
}

/// A temporary folder of a build, removed on drop.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Creates the folder, after removing what a killed build left in it.
    pub(super) fn create(path: &Path) -> Result<Self, BuildError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BuildError::file("remove", path)(error)),
            _ => fs::create_dir_all(path).map_err(BuildError::file("create", path)),
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
    fn a_manifest_is_read_back_and_another_schema_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load::<Small>(folder.path()), None);
        fs::write(folder.path().join("file"), "abc").unwrap();
        let mut small = Small { schema: SCHEMA, part: Part::read(folder.path(), "file").unwrap() };
        save(&small, folder.path()).unwrap();
        assert_eq!(load(folder.path()).as_ref(), Some(&small));

        small.schema += 1;
        save(&small, folder.path()).unwrap();
        assert_eq!(load::<Small>(folder.path()), None);
    }

    #[test]
    fn a_part_that_was_written_again_is_not_intact() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "abc").unwrap();
        let part = Part::read(folder.path(), "file").unwrap();
        assert!(part.is_intact(folder.path()));
        fs::write(folder.path().join("file"), "abcd").unwrap();
        assert!(!part.is_intact(folder.path()));
        fs::remove_file(folder.path().join("file")).unwrap();
        assert!(!part.is_intact(folder.path()));
    }

    #[test]
    fn a_scratch_folder_begins_empty_and_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("left"), "").unwrap();
        let scratch = Scratch::create(&path).unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        drop(scratch);
        assert!(!path.exists());
    }
}
