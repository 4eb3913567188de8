//! The guests' kernel: the distribution's own, fetched by its package manager and unpacked, but never installed.
//!
//! Invariant: an existing kernel stays until its folder is removed, so that measurements of different days use the same
//! kernel. Only another `FEATHERWEIGHT_KERNEL` replaces it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::apt;
use super::modules::{self, Chosen, Module, Tree};
use super::record::Record;
use super::record::{self, Part};
use crate::guest::compile::BuildError;
use crate::guest::compile::digest;
use crate::guest::compile::ensure::{lock, make_folder};
use crate::host::folders::{Folders, Images};
use crate::host::tools;

/// The environment variables that name another kernel and the folder of its modules. Without that folder, all modules
/// count as built in.
const KERNEL_VARIABLE: &str = "FEATHERWEIGHT_KERNEL";
const MODULES_VARIABLE: &str = "FEATHERWEIGHT_MODULES";

/// The file name of the kernel.
const FILE: &str = "vmlinuz";

/// The record next to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kernel {
    schema: u32,
    /// The version: the name of the modules' folder, or of the kernel's file if there are no modules.
    pub(super) version: String,
    /// The package that contained the kernel, with its version, or the file that it was copied from.
    pub(super) package: String,
    /// The identity of its source. Another source replaces the kernel.
    source: String,
    /// The kernel's file.
    pub(super) image: Part,
    /// The modules in the order of loading. Their files are next to the kernel.
    pub(super) modules: Vec<Module>,
    /// SHA-256 of the kernel and of its modules.
    pub(super) digest: String,
}

impl Record for Kernel {
    fn schema(&self) -> u32 {
        self.schema
    }
}

/// A kernel that was found on this host or fetched.
#[derive(Debug)]
pub(super) struct KernelPackage {
    pub(super) image: PathBuf,
    /// `None` if all required modules are built in.
    pub(super) modules: Option<PathBuf>,
    pub(super) package: String,
}

/// The source of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Named { image: PathBuf, modules: Option<PathBuf> },
    Distribution,
}

/// Returns the folder of the kernel that all guests share.
pub(super) fn folder(folders: &Folders) -> PathBuf {
    folders.kernel()
}

/// Whether there is a kernel for guests. Changes nothing.
pub fn has_kernel(folders: &Folders) -> bool {
    let folder = folder(folders);
    record::load::<Kernel>(&folder).is_some_and(|kernel| kernel.is_intact(&folder))
}

impl Kernel {
    /// Returns the path of the kernel in `folder`.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads a module.
    pub(super) fn module(&self, folder: &Path, module: &Module) -> Result<Vec<u8>, BuildError> {
        let path = folder.join(module.file());
        fs::read(&path).map_err(BuildError::file("read", &path))
    }

    fn is_intact(&self, folder: &Path) -> bool {
        self.image.is_intact(folder) && self.modules.iter().all(|module| folder.join(module.file()).is_file())
    }
}

/// Returns the guests' kernel, and fetches it if it is missing.
pub(super) fn ensure(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<Kernel, BuildError> {
    let folder = folder(folders);
    if matches!(folders.images, Images::Fixed(_)) {
        let found = record::load::<Kernel>(&folder).filter(|kernel| kernel.is_intact(&folder));
        return found.ok_or_else(|| BuildError::NoKernel { reason: format!("{} contains none", folder.display()) });
    }
    make_folder(&folder)?;
    let _lock = lock(&folder, progress)?;
    let source = Source::read(|name| env::var_os(name));
    let identity = source.identity()?;
    if let Some(kernel) = record::load::<Kernel>(&folder)
        && kernel.source == identity
        && kernel.is_intact(&folder)
    {
        return Ok(kernel);
    }
    let scratch = record::Scratch::create(&folder.join("new"))?;
    let found = source.find(scratch.path(), progress)?;
    store(&found, identity, &folder)
}

/// Copies the kernel and the modules that guests need to `folder`, and writes the record last.
pub(super) fn store(found: &KernelPackage, source: String, folder: &Path) -> Result<Kernel, BuildError> {
    let chosen: Chosen = match &found.modules {
        Some(modules) => Tree::read(modules)?.choose(modules::REQUIRED)?,
        None => Vec::new(),
    };
    // Rename, so that a booting machine keeps the old kernel.
    let new = folder.join("vmlinuz.new");
    fs::copy(&found.image, &new).map_err(BuildError::file("copy", &found.image))?;
    fs::rename(&new, Kernel::path(folder)).map_err(BuildError::file("write", &new))?;
    let image = Part::read(folder, FILE)?;
    let mut fields = digest::Fields::default().add(&image.sha256);
    for (module, content) in &chosen {
        let path = folder.join(module.file());
        fs::write(&path, content).map_err(BuildError::file("write", &path))?;
        fields = fields.add(module.uses.join(",")).add(&module.name).add(content);
    }
    let version_path = found.modules.as_deref().unwrap_or(&found.image);
    let kernel = Kernel {
        schema: record::SCHEMA,
        version: version_path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        package: found.package.clone(),
        source,
        image,
        modules: chosen.into_iter().map(|(module, _)| module).collect(),
        digest: fields.finish(),
    };
    record::save(&kernel, folder)?;
    Ok(kernel)
}

impl Source {
    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        match path(KERNEL_VARIABLE) {
            Some(image) => Source::Named { image, modules: path(MODULES_VARIABLE) },
            None => Source::Distribution,
        }
    }

    /// Returns a text that changes when another kernel is requested.
    fn identity(&self) -> Result<String, BuildError> {
        match self {
            Source::Distribution => Ok("the distribution's".to_owned()),
            Source::Named { image, modules } => {
                let modules = modules.as_ref().map(|path| format!(" with {}", path.display())).unwrap_or_default();
                Ok(format!("{}{modules}", digest::file_digest(image)?))
            }
        }
    }

    fn find(&self, scratch: &Path, progress: &mut dyn FnMut(&str)) -> Result<KernelPackage, BuildError> {
        match self {
            Source::Named { image, modules } => Ok(KernelPackage {
                image: image.clone(),
                modules: modules.clone(),
                package: image.display().to_string(),
            }),
            Source::Distribution if tools::find("apt-get").is_some() => apt::fetch_kernel(scratch, progress),
            Source::Distribution => {
                let running = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
                host_kernel(Path::new("/"), running.trim())
            }
        }
    }
}

/// Returns the host's own kernel if this user may read it: the running one, or else the last of those installed.
fn host_kernel(root: &Path, running: &str) -> Result<KernelPackage, BuildError> {
    let tree = root.join("lib/modules");
    let mut versions: Vec<String> = fs::read_dir(&tree)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    // Sort the preferred version last.
    versions.sort_by_key(|version| (version == running, version.clone()));
    for version in versions.iter().rev() {
        let modules = tree.join(version);
        let images = [root.join("boot").join(format!("vmlinuz-{version}")), modules.join(FILE)];
        if let Some(image) = images.into_iter().find(|image| fs::File::open(image).is_ok()) {
            let package = format!("the host's {version}");
            return Ok(KernelPackage { image, modules: Some(modules), package });
        }
    }
    let reason =
        "apt-get is not installed, and /boot and /lib/modules contain no kernel that this user may read".to_owned();
    Err(BuildError::NoKernel { reason })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A system with two kernels without modules.
    fn system() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for version in ["6.1.0", "6.9.0"] {
            let modules = root.path().join("lib/modules").join(version);
            fs::create_dir_all(&modules).unwrap();
            fs::write(modules.join("vmlinuz"), version).unwrap();
            let builtin: String = modules::REQUIRED.iter().map(|(_, name)| format!("kernel/{name}.ko\n")).collect();
            fs::write(modules.join("modules.builtin"), builtin).unwrap();
        }
        root
    }

    #[test]
    fn the_running_kernel_is_preferred_over_the_newest() {
        let root = system();
        let image = |running| host_kernel(root.path(), running).unwrap().image;
        assert_eq!(image("6.1.0"), root.path().join("lib/modules/6.1.0/vmlinuz"));
        assert_eq!(image("5.0.0"), root.path().join("lib/modules/6.9.0/vmlinuz"));
    }

    #[test]
    fn a_kernel_in_boot_is_preferred_over_one_next_to_its_modules() {
        let root = system();
        fs::create_dir(root.path().join("boot")).unwrap();
        fs::write(root.path().join("boot/vmlinuz-6.1.0"), "in boot").unwrap();
        assert_eq!(host_kernel(root.path(), "6.1.0").unwrap().image, root.path().join("boot/vmlinuz-6.1.0"));
    }

    #[test]
    fn the_error_about_a_missing_kernel_says_how_to_name_one() {
        let root = tempfile::tempdir().unwrap();
        let message = host_kernel(root.path(), "6.1.0").unwrap_err().to_string();
        assert!(
            message.contains("apt-get is not installed") && message.contains("FEATHERWEIGHT_KERNEL=<vmlinuz>"),
            "{message}"
        );
    }

    #[test]
    fn the_environment_names_another_kernel() {
        let source = |kernel: &'static str, modules: &'static str| {
            Source::read(move |name| Some(if name == KERNEL_VARIABLE { kernel } else { modules }.into()))
        };
        let named = |modules| Source::Named { image: "/k".into(), modules };
        assert_eq!(source("/k", "/m"), named(Some("/m".into())));
        assert_eq!(source("/k", ""), named(None));
        assert_eq!(source("", "/m"), Source::Distribution);
    }

    #[test]
    fn a_stored_kernel_is_read_back() {
        let root = system();
        let folder = tempfile::tempdir().unwrap();
        let found = host_kernel(root.path(), "6.1.0").unwrap();
        let kernel = store(&found, "somewhere".into(), folder.path()).unwrap();
        assert_eq!((kernel.version.as_str(), kernel.package.as_str()), ("6.1.0", "the host's 6.1.0"));
        assert_eq!(record::load::<Kernel>(folder.path()), Some(kernel.clone()));
        assert!(kernel.is_intact(folder.path()));

        fs::write(Kernel::path(folder.path()), "another").unwrap();
        assert!(!kernel.is_intact(folder.path()));
    }
}
