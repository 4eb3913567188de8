//! `null`: the smallest guest system, a kernel that is the program itself.
//!
//! It measures the lower bound of a machine's boot time, and detects whether this host executes guests at all.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Built, System};
use crate::guest::compile::{BuildError, Compilation, Compiler, Fields, file_digest, lock, make_folder};
use crate::host::folders::{Folders, Images};
use crate::model::program::Program;
use crate::model::units::Bytes;

/// Freestanding code at a fixed address that uses only general registers, because nothing is set up when it starts.
const FLAGS: &[&str] = &[
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-mno-red-zone",
    "-mgeneral-regs-only",
    "-fno-pic",
    "-fno-pie",
    "-no-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fcf-protection=none",
    "-nostdlib",
    "-static",
    "-s",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-T,null.ld",
];

const SOURCES: &[&str] = &["start.S", "null.c"];

/// The memory of the smallest machine. The guest needs less than 2 MiB.
const MEMORY: Bytes = Bytes(4 << 20);

/// The record next to the kernel.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// SHA-256 of sources, flags and compiler.
    key: String,
    sha256: String,
    size: Bytes,
    compiler: String,
    memory: Bytes,
}

/// Whether the guest system implements `program`.
pub const fn null_runs(program: Program) -> bool {
    matches!(program, Program::Hello | Program::Sleep | Program::Probe)
}

/// Builds the guest system if it is missing or changed.
///
/// # Errors
/// When there is no C compiler for x86-64, and when the output folder cannot be written.
pub fn null(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<System, BuildError> {
    if let Images::Fixed(folder) = &folders.images {
        return super::fixed(folder, built(folders), Program::Hello);
    }
    let compiler = Compiler::find()?;
    if !compiler.target.starts_with("x86_64") {
        return Err(BuildError::NoTarget { system: "null", target: compiler.target });
    }
    let (sources, output) = (folders.project.join("guest-images/null"), folders.images().join("null"));
    make_folder(&output)?;
    let _lock = lock(&output, progress)?;
    let key = key(&compiler, &sources)?;
    let (kernel, record) = (output.join("null"), output.join("manifest.json"));
    if let Some(manifest) = up_to_date(&kernel, &record, &key) {
        return Ok(system(kernel, manifest));
    }
    progress("build the guest system null");
    compile(&compiler, &sources, &kernel)?;
    let size = Bytes(fs::metadata(&kernel).map_err(BuildError::file("read", &kernel))?.len());
    let manifest = Manifest { key, sha256: file_digest(&kernel)?, size, compiler: compiler.version, memory: MEMORY };
    let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    fs::write(&record, text).map_err(BuildError::file("write", &record))?;
    Ok(system(kernel, manifest))
}

/// Returns the existing guest system; `None` if it is missing or changed.
pub(super) fn built(folders: &Folders) -> Option<Built> {
    let folder = folders.images().join("null");
    let kernel = folder.join("null");
    let manifest = intact(&kernel, &folder.join("manifest.json"))?;
    let origin = manifest.compiler.clone();
    Some(Built { system: system(kernel, manifest), origin })
}

fn system(kernel: PathBuf, manifest: Manifest) -> System {
    let Manifest { sha256, size, memory, .. } = manifest;
    System { kernel, initrd: None, disk: None, digest: sha256, size, memory }
}

fn key(compiler: &Compiler, sources: &Path) -> Result<String, BuildError> {
    let mut fields = FLAGS.iter().fold(Fields::default(), Fields::add);
    for name in SOURCES.iter().chain(&["null.ld"]) {
        let path = sources.join(name);
        fields = fields.add(name).add(fs::read(&path).map_err(BuildError::file("read", &path))?);
    }
    Ok(compiler.fields(fields).finish())
}

/// Returns the record if the kernel was built from `key` and is unchanged.
fn up_to_date(kernel: &Path, record: &Path, key: &str) -> Option<Manifest> {
    intact(kernel, record).filter(|manifest| manifest.key == key)
}

/// Returns the record if the kernel is unchanged.
fn intact(kernel: &Path, record: &Path) -> Option<Manifest> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    (file_digest(kernel).ok()? == manifest.sha256).then_some(manifest)
}

/// Replaces the kernel atomically: a machine may start from it meanwhile.
fn compile(compiler: &Compiler, sources: &Path, kernel: &Path) -> Result<(), BuildError> {
    let new = kernel.with_extension("new");
    let arguments = FLAGS.iter().chain(SOURCES).map(|&argument| argument.to_owned()).collect();
    compiler.compile(&Compilation { name: "null.c", folder: sources, arguments, output: &new })?;
    fs::rename(&new, kernel).map_err(BuildError::file("write", kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders with a temporary output folder.
    fn folders() -> (tempfile::TempDir, Folders) {
        let output = tempfile::tempdir().unwrap();
        let folders = Folders { output: output.path().to_owned(), ..Folders::from_env() };
        (output, folders)
    }

    #[test]
    fn it_is_a_few_kilobytes_and_names_its_entry_point() {
        let (_output, folders) = folders();
        let system = null(&folders, &mut |_| {}).unwrap();
        let bytes = fs::read(&system.kernel).unwrap();
        assert!(system.size < Bytes(16 << 10), "{}", system.size);
        // The sizes of the note's name and description, its type, and its name.
        let note = [4u32, 4, 18].map(u32::to_le_bytes).concat().into_iter().chain(*b"Xen\0").collect::<Vec<_>>();
        assert!(bytes.windows(note.len()).any(|window| window == note));
    }

    #[test]
    fn it_is_built_once_and_again_after_a_change() {
        let (_output, folders) = folders();
        let mut steps = Vec::new();
        assert_eq!(built(&folders), None);
        let first = null(&folders, &mut |step| steps.push(step.to_owned())).unwrap();
        assert_eq!(null(&folders, &mut |step| steps.push(step.to_owned())).unwrap(), first);
        assert_eq!(steps, ["build the guest system null"]);
        assert_eq!(built(&folders).unwrap().system, first);
        fs::write(&first.kernel, "changed").unwrap();
        assert_eq!(built(&folders), None);
        assert_eq!(null(&folders, &mut |_| {}).unwrap(), first, "the same bytes from the same sources");
        assert_eq!(file_digest(&first.kernel).unwrap(), first.digest);
    }
}
