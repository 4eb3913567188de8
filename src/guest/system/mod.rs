//! Guest systems: what boots in a virtual machine to run one program.
//!
//! A guest system prints `FW guest` as its first line if it can. It starts the program of its image with the given
//! arguments, and reports the end with `FW exit code N` or `FW exit signal N`.

mod apt;
mod assemble;
pub mod cpio;
mod disk;
mod elf;
mod init;
mod kernel;
pub mod mirage;
mod modules;
mod null;
pub mod osv;
mod record;
#[cfg(test)]
mod tests;
pub mod unikernel;
pub mod unikraft;

use std::path::{Path, PathBuf};

use self::assemble::SystemKind;
pub use self::disk::has_disk;
pub use self::elf::elf_kernel;
pub use self::kernel::has_kernel;
pub use self::null::{null, null_runs};
use super::compile::BuildError;
use super::image::Image;
use crate::host::folders::{Folders, Images};
use crate::model::program::Program;
use crate::model::units::Bytes;

/// A guest system that is ready to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// The kernel that the monitor loads.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// A raw disk image. Instances read it and write to overlays.
    pub disk: Option<PathBuf>,
    /// SHA-256 of these files, in hexadecimal.
    pub digest: String,
    /// The space that these files occupy on the host's disk.
    pub size: Bytes,
    /// The memory of an instance, from the manifest.
    pub memory: Bytes,
}

/// An existing guest system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The files to boot.
    pub system: System,
    /// The version of its kernel, or the compiler of `null`, which is its own kernel.
    pub origin: String,
}

/// Returns the existing `null`, `linux` or `debian` with `program`; `None` if it is missing or changed. Changes
/// nothing.
pub fn built(folders: &Folders, system: &str, program: Program) -> Option<Built> {
    match system {
        "null" if null_runs(program) => null::built(folders),
        "linux" => assemble::built(SystemKind::Linux, folders, program),
        "debian" => assemble::built(SystemKind::Debian, folders, program),
        _ => None,
    }
}

/// Returns a guest system from a folder that is used as it is.
fn fixed(folder: &Path, built: Option<Built>, program: Program) -> Result<System, BuildError> {
    built.map(|built| built.system).ok_or_else(|| BuildError::NotStored { program, folder: folder.to_owned() })
}

/// Returns the small Linux with the program of `image`: a kernel, and an initial RAM disk with only that program.
///
/// Builds what is missing or changed; `progress` receives each step.
///
/// # Errors
/// When there is no kernel or compiler, or the output folder cannot be written.
pub fn linux(folders: &Folders, image: &Image, progress: &mut dyn FnMut(&str)) -> Result<System, BuildError> {
    if let Images::Fixed(folder) = &folders.images {
        return fixed(folder, built(folders, "linux", image.program), image.program);
    }
    assemble::ensure(SystemKind::Linux, folders, image, progress)
}

/// Returns the standard virtual machine with the program of `image`: the same kernel, and a Debian with systemd on a
/// disk, which runs the program when it has booted.
///
/// Builds what is missing or changed; `progress` receives each step.
///
/// # Errors
/// As [`linux`], and when there is no disk yet and this user or host cannot create one.
pub fn debian(folders: &Folders, image: &Image, progress: &mut dyn FnMut(&str)) -> Result<System, BuildError> {
    if let Images::Fixed(folder) = &folders.images {
        return fixed(folder, built(folders, "debian", image.program), image.program);
    }
    assemble::ensure(SystemKind::Debian, folders, image, progress)
}
