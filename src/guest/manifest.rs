//! The record of the built guest programs: `manifest.json` next to the images.
//!
//! Readers compare files with its digests before they use them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::image::Image;
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The version of the manifest's format.
const SCHEMA: u32 = 1;

/// All built guest programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: u32,
    /// The programs, in the order of [`Program::ALL`].
    pub programs: Vec<BuiltProgram>,
}

/// A built program with everything that it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltProgram {
    /// The program.
    pub program: Program,
    /// SHA-256 in hexadecimal: of the binary, or of the paths and digests of all files for a server.
    pub sha256: String,
    /// The size of the binary, or of all files for a server.
    pub size: Bytes,
    /// SHA-256 of all inputs: sources, flags, compiler, C library, files copied from the host.
    pub key: String,
    /// SHA-256 of the sources.
    pub source: String,
    /// The first line of the compiler's `--version`.
    pub compiler: String,
    /// The compiler's target, such as `x86_64-linux-gnu`.
    pub target: String,
    /// SHA-256 of the static C library; `None` if the compiler does not report its path.
    pub libc: Option<String>,
    /// The compiler's flags.
    pub flags: Vec<String>,
    /// The version of SQLite, for the program that contains it.
    pub sqlite: Option<String>,
    /// The server that the program starts, if it starts one.
    #[serde(default)]
    pub server: Option<BuiltServer>,
}

/// A server copied from the host into an image, with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltServer {
    /// The version that the server prints; `None` if it prints none.
    pub version: Option<String>,
    /// SHA-256 of the server's binary, in hexadecimal.
    pub sha256: String,
    /// Every file of the image: starter, server, loader, libraries and configuration.
    pub files: Vec<BuiltFile>,
}

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltFile {
    /// The path in the root file system, without a leading slash.
    pub path: String,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The size of the file.
    pub size: Bytes,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The manifest cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The manifest.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The content is not a manifest.
    #[error("{path}: invalid manifest of guest programs")]
    Form {
        /// The manifest.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// Another version wrote it.
    #[error("{path}: unsupported schema {found}; expected {SCHEMA}")]
    Schema {
        /// The manifest.
        path: PathBuf,
        /// The manifest's schema.
        found: u32,
    },
}

/// Loads the manifest of the guest programs in `folders`; `None` if nothing was built.
///
/// # Errors
/// When the manifest cannot be read or parsed.
pub fn load_manifest(folders: &Folders) -> Result<Option<Manifest>, ManifestError> {
    Manifest::load(&folders.images().join("programs"))
}

impl Manifest {
    pub(super) fn empty() -> Self {
        Self { schema: SCHEMA, programs: Vec::new() }
    }

    /// Loads the manifest in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// When the manifest cannot be read or parsed.
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

    /// Replaces the manifest in `folder` atomically.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        let path = path_in(folder);
        let new = path.with_extension("json.new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(new, path)
    }

    /// Returns the entry of `program`.
    pub fn find(&self, program: Program) -> Option<&BuiltProgram> {
        self.programs.iter().find(|built| built.program == program)
    }

    pub(super) fn insert(&mut self, built: BuiltProgram) {
        self.programs.retain(|other| other.program != built.program);
        self.programs.push(built);
        self.programs.sort_by_key(|built| built.program);
    }
}

impl BuiltProgram {
    /// Returns the image with the root file system `rootfs`.
    pub(super) fn image(&self, rootfs: PathBuf) -> Image {
        Image { program: self.program, rootfs, digest: self.sha256.clone(), size: self.size }
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("manifest.json")
}
