//! Guest systems: what boots in a virtual machine, with one program in it.
//!
//! A guest system prints `FW guest` as its first line where it can, starts the program of its image with the arguments
//! that it is given, and tells by `FW exit code N` or `FW exit signal N` how that ended.

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
pub use self::disk::disk_is_here;
pub use self::elf::elf_kernel;
pub use self::kernel::kernel_is_here;
pub use self::null::{null, null_runs};
use super::build::BuildError;
use super::image::Image;
use crate::host::folders::{Folders, Images};
use crate::model::program::Program;
use crate::model::units::Bytes;

/// A guest system that is ready to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// What the monitor loads.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// A raw disk image. Instances read it and write elsewhere.
    pub disk: Option<PathBuf>,
    /// SHA-256 of all of these, in hexadecimal.
    pub digest: String,
    /// What all of these take on the host's disk.
    pub size: Bytes,
    /// The memory that its manifest asks for.
    pub memory: Bytes,
}

/// A guest system that was built before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What boots.
    pub system: System,
    /// What it was made from: its kernel's version, or the compiler of one that is its own kernel.
    pub origin: String,
}

/// What was built of `null`, `linux` or `debian` with `program`, if it is still what was built. Changes nothing.
pub fn built(folders: &Folders, system: &str, program: Program) -> Option<Built> {
    match system {
        "null" if null_runs(program) => null::built(folders),
        "linux" => assemble::built(SystemKind::Linux, folders, program),
        "debian" => assemble::built(SystemKind::Debian, folders, program),
        _ => None,
    }
}

/// What was built, of a folder that is taken as it is.
fn fixed(folder: &Path, built: Option<Built>, program: Program) -> Result<System, BuildError> {
    built.map(|built| built.system).ok_or_else(|| BuildError::NotStored { program, folder: folder.to_owned() })
}

/// The small Linux with the program of `image`: a kernel and an initial RAM disk with nothing but that program. Builds
/// what is missing or changed; `progress` hears what is being done.
///
/// Fails when there is no kernel, no compiler, or when the output folder cannot be written.
pub fn linux(folders: &Folders, image: &Image, progress: &mut dyn FnMut(&str)) -> Result<System, BuildError> {
    if let Images::Fixed(folder) = &folders.images {
        return fixed(folder, built(folders, "linux", image.program), image.program);
    }
    assemble::ensure(SystemKind::Linux, folders, image, progress)
}

/// The standard virtual machine with the program of `image`: the same kernel, and a Debian with systemd on a disk, that
/// runs the program when it has booted. Builds what is missing or changed; `progress` hears what is being done.
///
/// Fails as [`linux`] does, and when there is no disk yet and this user or host cannot make one.
pub fn debian(folders: &Folders, image: &Image, progress: &mut dyn FnMut(&str)) -> Result<System, BuildError> {
    if let Images::Fixed(folder) = &folders.images {
        return fixed(folder, built(folders, "debian", image.program), image.program);
    }
    assemble::ensure(SystemKind::Debian, folders, image, progress)
}
