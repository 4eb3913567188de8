//! SQLite for the guest that measures it: found through cargo, compiled once, its object kept.
//!
//! The source is no part of the repository. Cargo.lock pins the crate that carries SQLite's amalgamation, and cargo
//! checks what it fetches against that, so the lock's checksum stands for the source.

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

/// SQLite's defaults but for two: no mutexes, since the guest has one thread, and no loading of extensions, which
/// a static program cannot do. Warnings are its authors' business.
const FLAGS: &[&str] = &["-std=gnu11", "-O2", "-w", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION"];

/// What Cargo.lock pins.
#[derive(Debug, Clone)]
pub(super) struct Pin {
    /// SHA-256 of the crate.
    pub(super) checksum: String,
}

/// SQLite, ready to be linked.
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
    /// Reads the pin from the lock file of the project.
    pub(super) fn read(project: &Path) -> Result<Self, BuildError> {
        let path = project.join("Cargo.lock");
        let text = fs::read_to_string(&path).map_err(BuildError::file("read", &path))?;
        let checksum = checksum_in(&text).ok_or(BuildError::NotPinned { path })?.to_owned();
        Ok(Self { checksum })
    }

    /// The flags that its object is compiled with.
    pub(super) fn flags(&self) -> impl Iterator<Item = &'static str> {
        FLAGS.iter().copied()
    }

    /// Finds the source and compiles it, unless `objects` has the object already.
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
        compiler.compile(&Compilation { what: "sqlite3.c", folder: source, arguments, output: &new })?;
        fs::rename(&new, object).map_err(BuildError::file("write", object))
    }

    fn key(&self, compiler: &Compiler) -> String {
        let fields = self.flags().fold(Fields::default().add(&self.checksum), Fields::add);
        let mut key = compiler.fields(fields).finish();
        key.truncate(16);
        key
    }
}

/// The checksum of the crate in the text of a Cargo.lock.
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

/// The folder of `sqlite3.c`; cargo fetches the crate if it must and may.
fn locate(project: &Path, network: Network) -> Result<PathBuf, BuildError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    // The crate is a dependency for this one platform, which spares fetching the crates of all the others.
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

/// The folder of `sqlite3.c` by what `cargo metadata` says.
fn folder_in(metadata: &[u8]) -> Result<PathBuf, BuildError> {
    let metadata: Metadata =
        serde_json::from_slice(metadata).map_err(|error| BuildError::NoSqlite { output: error.to_string() })?;
    let package = metadata.packages.into_iter().find(|package| package.name == CRATE);
    let folder = package.and_then(|package| Some(package.manifest_path.parent()?.join("sqlite3")));
    folder.ok_or_else(|| BuildError::NoSqlite { output: format!("cargo metadata does not name {CRATE}") })
}

/// The version that `sqlite3.h` says.
fn version_of(source: &Path) -> Result<String, BuildError> {
    let path = source.join("sqlite3.h");
    let text = fs::read_to_string(&path).map_err(BuildError::file("read", &path))?;
    let line = text.lines().find_map(|line| line.strip_prefix("#define SQLITE_VERSION "));
    line.map(|line| line.trim().trim_matches('"').to_owned())
        .ok_or_else(|| BuildError::NoSqlite { output: format!("{} says no version", path.display()) })
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
    fn the_source_lies_beside_the_manifest() {
        let json = br#"{"packages":[{"name":"a","manifest_path":"/a/Cargo.toml"},
                        {"name":"libsqlite3-sys","manifest_path":"/s/Cargo.toml"}]}"#;
        assert_eq!(folder_in(json).unwrap(), Path::new("/s/sqlite3"));
        assert!(folder_in(br#"{"packages":[]}"#).is_err());
    }
}
