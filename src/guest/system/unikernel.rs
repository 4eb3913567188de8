//! The record of a built unikernel: `manifest.json` next to its kernels.
//!
//! Readers compare files with its digests before they use them.

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

/// The version of the manifest's format.
const SCHEMA: u32 = 1;

/// The monitor that a kernel is built for.
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

/// How a program shows that it serves, or is about to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// It prints `FW ready`, unless it ends at once.
    Line,
    /// Its TCP port answers.
    Port,
}

/// A built file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltFile {
    /// The file's name in the manifest's folder.
    pub name: String,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The size of the file.
    pub size: Bytes,
}

/// The files that one monitor starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The monitor.
    pub monitor: Monitor,
    /// The kernel, which contains the program unless there is a disk.
    pub kernel: BuiltFile,
    /// A disk image with the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<BuiltFile>,
    /// SHA-256 of the resolved build configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// A source of an image: a commit of a repository, or an archive with a checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The name of the repository or archive.
    pub name: String,
    /// The commit, or the SHA-256.
    pub pin: String,
}

/// A unikernel with one program, and everything that it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: u32,
    /// The program.
    pub program: Program,
    /// The files for each monitor.
    pub variants: Vec<Variant>,
    /// The memory of an instance.
    pub memory: Bytes,
    /// How the program shows that it is ready.
    pub ready: Ready,
    /// SHA-256 of all inputs: sources, configuration, compiler.
    pub key: String,
    /// The pinned sources.
    pub sources: Vec<Source>,
    /// The versions of the build tools.
    pub toolchain: Vec<String>,
    /// Peculiarities that matter for its results.
    pub notes: Vec<String>,
}

/// Why a unikernel is unavailable. A platform adds how to build it.
#[derive(Debug, thiserror::Error)]
pub enum UnikernelError {
    /// The image does not exist.
    #[error("{system} with {program} is not built")]
    NotBuilt {
        /// The guest system.
        system: &'static str,
        /// The program.
        program: Program,
    },
    /// The image was built for other monitors only.
    #[error("{system} with {program} is not built for {monitor}")]
    NoVariant {
        /// The guest system.
        system: &'static str,
        /// The program.
        program: Program,
        /// The monitor.
        monitor: Monitor,
    },
    /// A file cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The manifest is invalid or from another version.
    #[error("{path}: invalid manifest of a unikernel")]
    Form {
        /// The manifest.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A file has changed since the build.
    #[error("{path}: changed since the build")]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Returns the folder of the unikernel of `program` and its manifest.
pub fn folder(folders: &Folders, system: &'static str, program: Program) -> PathBuf {
    folders.images().join(system).join(program.name())
}

/// Reads the manifest of a unikernel.
///
/// # Errors
/// When the image does not exist, or its manifest cannot be read or parsed.
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

/// Returns the unikernel that `monitor` starts, after checking its files.
///
/// # Errors
/// As [`load`], and when there is none for this monitor or a file has changed.
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
    /// Creates a manifest without variants.
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
            found => Err(serde_json::Error::custom(format!("unsupported schema {found}; expected {SCHEMA}"))),
        }
    }

    /// Replaces the manifest in `folder` atomically.
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
    /// Checks that the files in `folder` are unchanged.
    ///
    /// # Errors
    /// The first file that cannot be read or has changed.
    pub fn check(&self, folder: &Path) -> Result<(), UnikernelError> {
        self.files().try_for_each(|file| {
            let path = folder.join(&file.name);
            match BuiltFile::read(&path) {
                Ok(found) if found.sha256 == file.sha256 => Ok(()),
                Ok(_) => Err(UnikernelError::Changed { path }),
                Err(source) => Err(UnikernelError::Read { path, source }),
            }
        })
    }

    fn files(&self) -> impl Iterator<Item = &BuiltFile> {
        [&self.kernel].into_iter().chain(&self.disk)
    }

    /// Returns the guest system of this variant in `folder`, with `memory`.
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
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
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

    /// Folders below a test's temporary folder.
    pub(in crate::guest::system) fn folders(dir: &Path) -> Folders {
        Folders {
            project: dir.to_owned(),
            output: dir.join("out"),
            state: dir.join("state"),
            images: Default::default(),
        }
    }

    /// Stores a unikernel for QEMU whose kernel is `content`.
    pub(in crate::guest::system) fn store(folders: &Folders, system: &'static str, program: Program, content: &str) {
        let image = folder(folders, system, program);
        fs::create_dir_all(&image).unwrap();
        fs::write(image.join("kernel-qemu"), content).unwrap();
        let mut manifest = Manifest::new(program, Bytes(16 << 20), Ready::Line, "key".into());
        let kernel = BuiltFile::read(&image.join("kernel-qemu")).unwrap();
        manifest.variants.push(Variant { monitor: Monitor::Qemu, kernel, disk: None, config: None });
        manifest.save(&image).unwrap();
    }

    #[test]
    fn a_built_unikernel_is_returned() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        store(&folders, "unikraft", Program::Hello, "abc");
        let built = system(&folders, "unikraft", Program::Hello, Monitor::Qemu).unwrap();
        assert_eq!(built.kernel, folder(&folders, "unikraft", Program::Hello).join("kernel-qemu"));
        assert_eq!((built.size, built.memory), (Bytes(3), Bytes(16 << 20)));
        // FIPS 180-2, appendix B.1.
        assert_eq!(built.digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((built.initrd, built.disk), (None, None));
    }

    #[test]
    fn missing_and_changed_images_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        let error = |program, monitor| system(&folders, "unikraft", program, monitor).unwrap_err().to_string();
        assert_eq!(error(Program::Redis, Monitor::Qemu), "unikraft with redis is not built");
        store(&folders, "unikraft", Program::Hello, "abc");
        assert_eq!(error(Program::Hello, Monitor::Firecracker), "unikraft with hello is not built for firecracker");
        fs::write(folder(&folders, "unikraft", Program::Hello).join("kernel-qemu"), "abd").unwrap();
        let changed = error(Program::Hello, Monitor::Qemu);
        assert!(changed.ends_with("kernel-qemu: changed since the build"), "{changed}");
    }

    #[test]
    fn a_manifest_of_another_version_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        store(&folders, "unikraft", Program::Hello, "abc");
        let path = folder(&folders, "unikraft", Program::Hello).join("manifest.json");
        let text = fs::read_to_string(&path).unwrap().replace("\"schema\": 1", "\"schema\": 9");
        fs::write(&path, text).unwrap();
        let error = load(&folders, "unikraft", Program::Hello).unwrap_err();
        assert!(matches!(&error, UnikernelError::Form { source, .. } if source.to_string().contains("schema 9")));
    }
}
