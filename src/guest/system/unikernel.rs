//! The record of a unikernel that was built: `manifest.json` beside its kernels. What it says is checked before it is
//! believed.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::System;
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The version of the manifest's form.
const SCHEMA: u32 = 1;

/// What a kernel is built to be started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Monitor {
    /// QEMU.
    Qemu,
    /// Firecracker.
    Firecracker,
    /// Solo5's own monitor on KVM.
    Solo5Hvt,
    /// Solo5's sandbox, a process under seccomp.
    Solo5Spt,
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Monitor::Qemu => "qemu",
            Monitor::Firecracker => "firecracker",
            Monitor::Solo5Hvt => "solo5-hvt",
            Monitor::Solo5Spt => "solo5-spt",
        })
    }
}

/// How it is known that a program is about to work or serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// It says so: `FW ready`; one that ends at once says nothing.
    Line,
    /// It says nothing: its TCP port answers.
    Port,
}

/// One file that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltFile {
    /// Its name, in the manifest's folder.
    pub name: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub size: Bytes,
}

/// What one monitor starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The monitor.
    pub monitor: Monitor,
    /// The kernel, with the program in it.
    pub kernel: BuiltFile,
    /// A disk image, where the program is not in the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<BuiltFile>,
    /// SHA-256 of the resolved configuration that it was built with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// What it was built from: a commit of a repository, or the checksum of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The repository's or the archive's name.
    pub name: String,
    /// The commit, or the SHA-256.
    pub pin: String,
}

/// A unikernel of one program, and what it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: u32,
    /// The program.
    pub program: Program,
    /// What each monitor starts.
    pub variants: Vec<Variant>,
    /// The memory that it needs.
    pub memory: Bytes,
    /// How it is known that it works.
    pub ready: Ready,
    /// SHA-256 of everything that decides it: sources, configuration, compiler.
    pub key: String,
    /// What it was built from.
    pub sources: Vec<Source>,
    /// The versions of what built it.
    pub toolchain: Vec<String>,
    /// What a reader of its results has to know.
    pub notes: Vec<String>,
}

/// Why a unikernel cannot be booted.
#[derive(Debug, thiserror::Error)]
pub enum UnikernelError {
    /// It was never built.
    #[error(
        "{system} with {program} is not built: `cargo xtask images --platform {system}`; \
         meanwhile --platform qemu:linux runs the same program in a virtual machine"
    )]
    NotBuilt {
        /// The guest system.
        system: &'static str,
        /// The program.
        program: Program,
    },
    /// It was built, but not for this monitor.
    #[error("{system} with {program} was not built for {monitor}: `cargo xtask images --platform {system} --force`")]
    NoVariant {
        /// The guest system.
        system: &'static str,
        /// The program.
        program: Program,
        /// The monitor.
        monitor: Monitor,
    },
    /// A file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is not what this version writes.
    #[error("{path} is no manifest of a unikernel of this version; build it again with --force")]
    Form {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A file is not the one that was built.
    #[error("{path} is not what was built; build it again with --force")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Where the unikernel of `program` and its manifest lie.
pub fn folder(folders: &Folders, system: &'static str, program: Program) -> PathBuf {
    folders.images().join(system).join(program.name())
}

/// Reads the manifest of a unikernel.
///
/// # Errors
/// When it was not built, or its manifest cannot be read or understood.
pub fn load(folders: &Folders, system: &'static str, program: Program) -> Result<Manifest, UnikernelError> {
    let path = folder(folders, system, program).join("manifest.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(UnikernelError::NotBuilt { system, program });
        }
        Err(source) => return Err(UnikernelError::Read { path, source }),
    };
    Manifest::parse(&text).map_err(|source| UnikernelError::Form { path, source })
}

/// The unikernel that `monitor` starts; its files are what was built.
///
/// # Errors
/// As [`load`]; and when there is none for this monitor, or a file was changed since.
pub fn system(
    folders: &Folders,
    system: &'static str,
    program: Program,
    monitor: Monitor,
) -> Result<System, UnikernelError> {
    let manifest = load(folders, system, program)?;
    let variant = manifest.variants.iter().find(|variant| variant.monitor == monitor);
    let variant = variant.ok_or(UnikernelError::NoVariant { system, program, monitor })?;
    variant.check(&folder(folders, system, program))?;
    Ok(variant.system(&folder(folders, system, program), manifest.memory))
}

impl Manifest {
    /// A manifest without variants.
    pub fn new(program: Program, memory: Bytes, ready: Ready, key: String) -> Self {
        Self {
            schema: SCHEMA,
            program,
            variants: Vec::new(),
            memory,
            ready,
            key,
            sources: Vec::new(),
            toolchain: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        let manifest: Self = serde_json::from_slice(text)?;
        match manifest.schema {
            SCHEMA => Ok(manifest),
            found => Err(serde_json::Error::custom(format!("schema {found}, this version reads {SCHEMA}"))),
        }
    }

    /// Replaces the manifest in `folder` at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join("manifest.json");
        let new = path.with_extension("json.new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        fs::rename(new, path)
    }
}

impl Variant {
    /// Whether its files in `folder` are those that were built.
    ///
    /// # Errors
    /// The first that cannot be read or is another.
    pub fn check(&self, folder: &Path) -> Result<(), UnikernelError> {
        self.files().try_for_each(|file| {
            let path = folder.join(&file.name);
            match BuiltFile::of(&path) {
                Ok(found) if found.sha256 == file.sha256 => Ok(()),
                Ok(_) => Err(UnikernelError::Changed { path }),
                Err(source) => Err(UnikernelError::Read { path, source }),
            }
        })
    }

    fn files(&self) -> impl Iterator<Item = &BuiltFile> {
        [&self.kernel].into_iter().chain(&self.disk)
    }

    /// What is booted of it, from `folder`, with `memory`.
    pub fn system(&self, folder: &Path, memory: Bytes) -> System {
        let digest = match &self.disk {
            None => self.kernel.sha256.clone(),
            Some(disk) => hex(&Sha256::digest(format!("{} {}", self.kernel.sha256, disk.sha256))),
        };
        System {
            kernel: folder.join(&self.kernel.name),
            initrd: None,
            disk: self.disk.as_ref().map(|disk| folder.join(&disk.name)),
            digest,
            size: Bytes(self.files().map(|file| file.size.0).sum()),
            memory,
        }
    }
}

impl BuiltFile {
    /// The file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let content = fs::read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, sha256: hex(&Sha256::digest(&content)), size: Bytes(content.len() as u64) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Folders of a test of its own.
    pub(in crate::guest::system) fn folders(dir: &Path) -> Folders {
        Folders {
            project: dir.to_owned(),
            output: dir.join("out"),
            state: dir.join("state"),
            images: Default::default(),
        }
    }

    /// Puts a unikernel there whose kernel is `content`.
    pub(in crate::guest::system) fn put(folders: &Folders, system: &'static str, program: Program, content: &str) {
        let at = folder(folders, system, program);
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("kernel-qemu"), content).unwrap();
        let mut manifest = Manifest::new(program, Bytes(16 << 20), Ready::Line, "key".into());
        let kernel = BuiltFile::of(&at.join("kernel-qemu")).unwrap();
        manifest.variants.push(Variant { monitor: Monitor::Qemu, kernel, disk: None, config: None });
        manifest.save(&at).unwrap();
    }

    #[test]
    fn what_was_built_is_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        put(&folders, "unikraft", Program::Hello, "abc");
        let built = system(&folders, "unikraft", Program::Hello, Monitor::Qemu).unwrap();
        assert_eq!(built.kernel, folder(&folders, "unikraft", Program::Hello).join("kernel-qemu"));
        assert_eq!((built.size, built.memory), (Bytes(3), Bytes(16 << 20)));
        // FIPS 180-2, appendix B.1.
        assert_eq!(built.digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((built.initrd, built.disk), (None, None));
    }

    #[test]
    fn what_is_missing_or_changed_is_told_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let told = |program, monitor| system(&folders, "unikraft", program, monitor).unwrap_err().to_string();
        let none = told(Program::Redis, Monitor::Qemu);
        assert!(none.contains("`cargo xtask images --platform unikraft`") && none.contains("qemu:linux"), "{none}");
        put(&folders, "unikraft", Program::Hello, "abc");
        let other = told(Program::Hello, Monitor::Firecracker);
        assert!(other.starts_with("unikraft with hello was not built for firecracker"), "{other}");
        fs::write(folder(&folders, "unikraft", Program::Hello).join("kernel-qemu"), "abd").unwrap();
        assert!(told(Program::Hello, Monitor::Qemu).ends_with("is not what was built; build it again with --force"));
    }

    #[test]
    fn another_versions_manifest_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        put(&folders, "unikraft", Program::Hello, "abc");
        let path = folder(&folders, "unikraft", Program::Hello).join("manifest.json");
        let text = fs::read_to_string(&path).unwrap().replace("\"schema\": 1", "\"schema\": 9");
        fs::write(&path, text).unwrap();
        let error = load(&folders, "unikraft", Program::Hello).unwrap_err();
        assert!(matches!(&error, UnikernelError::Form { source, .. } if source.to_string().contains("schema 9")));
    }
}
