//! The record of what was built: `manifest.json` beside the images. What it says is checked before it is believed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image::Image;
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The version of the manifest's form.
const SCHEMA: u32 = 1;

/// Every guest program that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: u32,
    /// The programs, in the order of [`Program::ALL`].
    pub programs: Vec<BuiltProgram>,
}

/// One built program and what it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltProgram {
    /// The program.
    pub program: Program,
    /// SHA-256 of the binary, in hexadecimal; of a server, of the paths and digests of all its files.
    pub sha256: String,
    /// The binary's size, in bytes; of a server, that of all its files.
    pub size: Bytes,
    /// SHA-256 of everything that decides it: sources, flags, compiler, C library, the host's files in it.
    pub key: String,
    /// SHA-256 of the sources.
    pub source: String,
    /// The first line of what the compiler says about its version.
    pub compiler: String,
    /// What the compiler compiles for, such as `x86_64-linux-gnu`.
    pub target: String,
    /// SHA-256 of the static C library; `None` where the compiler does not tell where it is.
    pub libc: Option<String>,
    /// The flags of the compiler.
    pub flags: Vec<String>,
    /// The version of SQLite in it, for the program that has it.
    pub sqlite: Option<String>,
    /// The server that it starts, for the programs that start one.
    #[serde(default)]
    pub server: Option<BuiltServer>,
}

/// A server of the host's in an image, with all that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltServer {
    /// What it says about its version; `None` when it did not tell.
    pub version: Option<String>,
    /// SHA-256 of its own binary, in hexadecimal.
    pub sha256: String,
    /// Every file of the image: the starter, the server, its loader and libraries, what it is configured with.
    pub files: Vec<BuiltFile>,
}

/// One file of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltFile {
    /// Its path in the root file system, without a leading slash.
    pub path: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Its size, in bytes.
    pub size: Bytes,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("read {path}")]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what this version writes.
    #[error("{path} is no manifest of guest programs")]
    Form {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version wrote it.
    #[error("{path} has schema {found}, this version reads {SCHEMA}")]
    Schema {
        /// The manifest.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
}

/// What was built in these folders; `None` when nothing was.
///
/// Fails when there is a manifest that cannot be read or understood.
pub fn load_manifest(folders: &Folders) -> Result<Option<Manifest>, ManifestError> {
    Manifest::load(&folders.images().join("programs"))
}

impl Manifest {
    pub(super) fn empty() -> Self {
        Self { schema: SCHEMA, programs: Vec::new() }
    }

    /// What was built in `folder`; `None` when nothing was.
    ///
    /// Fails when there is a manifest that cannot be read or understood.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>, ManifestError> {
        let path = path_in(folder);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ManifestError::Read { path, source }),
        };
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|source| ManifestError::Form { path: path.clone(), source })?;
        match manifest.schema {
            SCHEMA => Ok(Some(manifest)),
            found => Err(ManifestError::Schema { path, found }),
        }
    }

    /// Replaces the manifest in `folder` at once, so that a reader sees the old one or the new one.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        let path = path_in(folder);
        let new = path.with_extension("json.new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(new, path)
    }

    /// The entry of `program`.
    pub fn find(&self, program: Program) -> Option<&BuiltProgram> {
        self.programs.iter().find(|built| built.program == program)
    }

    pub(super) fn put(&mut self, built: BuiltProgram) {
        self.programs.retain(|other| other.program != built.program);
        self.programs.push(built);
        self.programs.sort_by_key(|built| built.program);
    }
}

impl BuiltProgram {
    /// The image whose root file system is `rootfs`.
    pub(super) fn image(&self, rootfs: PathBuf) -> Image {
        Image { program: self.program, rootfs, digest: self.sha256.clone(), size: self.size }
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("manifest.json")
}
