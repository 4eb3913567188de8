//! Compiles SQLite for the guest program `sqlite`, once, and keeps the object.
//!
//! The source is not in this repository. Cargo.lock pins the crate that contains SQLite's amalgamation, and cargo
//! verifies what it fetches, so the checksum in the lock file identifies the source.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::compiler::{Compilation, Compiler};
use super::digest::Fields;
use super::ensure::Network;
use super::error::{BuildError, first_lines};

const CRATE: &str = "libsqlite3-sys";

/// SQLite's defaults with two exceptions: no mutexes, because the guest has one thread, and no loading of extensions,
/// which a static program cannot do. Warnings are off, because the source is not ours.
const FLAGS: &[&str] = &["-std=gnu11", "-O2", "-w", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION"];

/// The pin of SQLite's source in Cargo.lock.
#[derive(Debug, Clone)]
pub(super) struct Pin {
    /// SHA-256 of the crate.
    pub(super) checksum: String,
}

/// The compiled SQLite.
#[derive(Debug)]
pub(super) struct Sqlite {
    /// The folder with `sqlite3.h`.
    pub(super) headers: PathBuf,
    /// The object file.
    pub(super) object: PathBuf,
    /// SQLite's version.
    pub(super) version: String,
}

impl Pin {
    /// Reads the pin from the project's lock file.
    pub(super) fn read(project: &Path) -> Result<Self, BuildError> {
        let path = project.join("Cargo.lock");
        let text = fs::read_to_string(&path).map_err(BuildError::file("read", &path))?;
        let checksum = checksum_in(&text).ok_or(BuildError::NotPinned { path })?.to_owned();
        Ok(Self { checksum })
    }

    /// Returns the flags for the object.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static str> {
        FLAGS.iter().copied()
    }

    /// Finds the source, and compiles it unless the folder `objects` has the object already.
    pub(super) fn compile(
        &self,
        project: &Path,
        objects: &Path,
        compiler: &Compiler,
        network: Network,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Sqlite, BuildError> {
        let source = locate(project, network)?;
        let version = version_of(&source)?;
        let object = objects.join(format!("sqlite3-{}.o", self.key(compiler)));
        if !object.exists() {
            progress(&format!("compile SQLite {version} (once)"));
            self.compile_to(&source, &object, compiler)?;
        }
        Ok(Sqlite { headers: source, object, version })
    }

    fn compile_to(&self, source: &Path, object: &Path, compiler: &Compiler) -> Result<(), BuildError> {
        let new = object.with_extension("o.new");
        let mut arguments: Vec<String> = self.flags().map(str::to_owned).collect();
        arguments.push(format!("-ffile-prefix-map={}=.", source.display()));
        arguments.extend(["-c".into(), "sqlite3.c".into()]);
        compiler.compile(&Compilation { name: "sqlite3.c", folder: source, arguments, output: &new })?;
        fs::rename(&new, object).map_err(BuildError::file("write", object))
    }

    fn key(&self, compiler: &Compiler) -> String {
        let fields = self.flags().fold(Fields::default().add(&self.checksum), Fields::add);
        let mut key = compiler.fields(fields).finish();
        key.truncate(16);
        key
    }
}

/// Returns the checksum of the crate in the text of a Cargo.lock.
fn checksum_in(lock: &str) -> Option<&str> {
    let name = format!("name = \"{CRATE}\"");
    let package = lock.split("[[package]]").find(|package| package.lines().any(|line| line == name))?;
    let checksum = package.lines().find_map(|line| line.strip_prefix("checksum = \""))?;
    checksum.strip_suffix('"')
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// Returns the folder of `sqlite3.c`. Cargo fetches the crate if it is missing and `network` allows that.
fn locate(project: &Path, network: Network) -> Result<PathBuf, BuildError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    // The crate is a dependency for this platform only, so that cargo need not fetch the crates for others.
    command.args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-none"]);
    if network == Network::Offline {
        command.arg("--offline");
    }
    let output = command
        .current_dir(project)
        .output()
        .map_err(|source| BuildError::Run { command: cargo.to_string_lossy().into_owned(), source })?;
    if !output.status.success() {
        return Err(BuildError::NoSqlite { output: first_lines(&output.stderr) });
    }
    folder_in(&output.stdout)
}

/// Returns the folder of `sqlite3.c` from the output of `cargo metadata`.
fn folder_in(metadata: &[u8]) -> Result<PathBuf, BuildError> {
    let metadata: Metadata =
        serde_json::from_slice(metadata).map_err(|error| BuildError::NoSqlite { output: error.to_string() })?;
    let package = metadata.packages.into_iter().find(|package| package.name == CRATE);
    let folder = package.and_then(|package| Some(package.manifest_path.parent()?.join("sqlite3")));
    folder.ok_or_else(|| BuildError::NoSqlite { output: format!("missing {CRATE} in the output of cargo metadata") })
}

/// Reads the version from `sqlite3.h`.
fn version_of(source: &Path) -> Result<String, BuildError> {
    let path = source.join("sqlite3.h");
    let text = fs::read_to_string(&path).map_err(BuildError::file("read", &path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("#define SQLITE_VERSION "));
    line.map(|line| line.trim().trim_matches('"').to_owned())
        .ok_or_else(|| BuildError::NoSqlite { output: format!("{}: missing version", path.display()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_pins_the_source() {
        let lock = "[[package]]\nname = \"libs\"\nchecksum = \"aa\"\n\n\
                    [[package]]\nname = \"libsqlite3-sys\"\nversion = \"1\"\nchecksum = \"14a5\"\n";
        assert_eq!(checksum_in(lock), Some("14a5"));
        assert_eq!(checksum_in("[[package]]\nname = \"libsqlite3-sys\"\nversion = \"1\"\n"), None);
        assert_eq!(checksum_in("[[package]]\nname = \"libs\"\nchecksum = \"aa\"\n"), None);
    }

    #[test]
    fn the_source_is_next_to_the_manifest() {
        let json = br#"{"packages":[{"name":"a","manifest_path":"/a/Cargo.toml"},
                        {"name":"libsqlite3-sys","manifest_path":"/s/Cargo.toml"}]}"#;
        assert_eq!(folder_in(json).unwrap(), Path::new("/s/sqlite3"));
        assert!(folder_in(br#"{"packages":[]}"#).is_err());
    }
}
