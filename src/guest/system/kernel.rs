//! The kernel of the guests: the distribution's own, fetched by its package manager and unpacked, never installed.
//!
//! Invariant: once there is a kernel it stays until its folder is removed, so that what is measured today has the
//! kernel of yesterday. Only another `FEATHERWEIGHT_KERNEL` replaces it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::apt;
use super::modules::{self, Chosen, Module, Tree};
use super::record::Record;
use super::record::{self, Part};
use crate::guest::build::BuildError;
use crate::guest::build::digest;
use crate::guest::build::ensure::{lock, make_folder};
use crate::host::folders::{Folders, Images};
use crate::host::tools;

/// The variables that name another kernel, and the folder of its modules. Without the latter all is taken to be built in.
const KERNEL_VARIABLE: &str = "FEATHERWEIGHT_KERNEL";
const MODULES_VARIABLE: &str = "FEATHERWEIGHT_MODULES";

/// The kernel's file in its folder.
const FILE: &str = "vmlinuz";

/// What is written beside the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kernel {
    schema: u32,
    /// Its version, as its modules' folder is named; of one without modules, its file's name.
    pub(super) version: String,
    /// The package that it came in, with its version, or the file that it was copied from.
    pub(super) package: String,
    /// What decides whether it is the wanted one.
    source: String,
    /// The kernel.
    pub(super) image: Part,
    /// Its modules, in the order of loading; each lies beside it.
    pub(super) modules: Vec<Module>,
    /// SHA-256 of the kernel and of its modules.
    pub(super) digest: String,
}

impl Record for Kernel {
    fn schema(&self) -> u32 {
        self.schema
    }
}

/// A kernel that was found somewhere.
#[derive(Debug)]
pub(super) struct KernelPackage {
    pub(super) image: PathBuf,
    /// `None` when all that is needed is built in.
    pub(super) modules: Option<PathBuf>,
    pub(super) package: String,
}

/// Where a kernel comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Named { image: PathBuf, modules: Option<PathBuf> },
    Distribution,
}

/// The folder of the kernel that all guests of these folders share.
pub(super) fn folder(folders: &Folders) -> PathBuf {
    folders.kernel()
}

/// Whether a kernel is there for guests to be built with. Changes nothing.
pub fn kernel_is_here(folders: &Folders) -> bool {
    let folder = folder(folders);
    record::load::<Kernel>(&folder).is_some_and(|kernel| kernel.is_intact(&folder))
}

impl Kernel {
    /// The kernel's file in `folder`.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// The content of a module.
    pub(super) fn module(&self, folder: &Path, module: &Module) -> Result<Vec<u8>, BuildError> {
        let path = folder.join(module.file());
        fs::read(&path).map_err(BuildError::file("read", &path))
    }

    fn is_intact(&self, folder: &Path) -> bool {
        self.image.is_intact(folder) && self.modules.iter().all(|module| folder.join(module.file()).is_file())
    }
}

/// The kernel of the guests, fetched if it is missing.
pub(super) fn ensure(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<Kernel, BuildError> {
    let folder = folder(folders);
    if matches!(folders.images, Images::Fixed(_)) {
        let found = record::load::<Kernel>(&folder).filter(|kernel| kernel.is_intact(&folder));
        return found.ok_or_else(|| BuildError::NoKernel { reason: format!("none is in {}", folder.display()) });
    }
    make_folder(&folder)?;
    let _lock = lock(&folder, progress)?;
    let source = Source::read(|name| env::var_os(name));
    let wanted = source.describe()?;
    if let Some(kernel) = record::load::<Kernel>(&folder)
        && kernel.source == wanted
        && kernel.is_intact(&folder)
    {
        return Ok(kernel);
    }
    // Removed when it is dropped, whatever happens.
    let scratch = record::Scratch::make(&folder.join("new"))?;
    let found = source.find(scratch.path(), progress)?;
    take(&found, wanted, &folder)
}

/// Puts the kernel and the modules that guests need into `folder`, and the record last.
pub(super) fn take(found: &KernelPackage, source: String, folder: &Path) -> Result<Kernel, BuildError> {
    let chosen: Chosen = match &found.modules {
        Some(modules) => Tree::read(modules)?.choose(modules::WANTED)?,
        None => Vec::new(),
    };
    // A machine that boots from the old one keeps it.
    let new = folder.join("vmlinuz.new");
    fs::copy(&found.image, &new).map_err(BuildError::file("copy", &found.image))?;
    fs::rename(&new, Kernel::path(folder)).map_err(BuildError::file("write", &new))?;
    let image = Part::of(folder, FILE)?;
    let mut fields = digest::Fields::default().add(&image.sha256);
    for (module, content) in &chosen {
        let path = folder.join(module.file());
        fs::write(&path, content).map_err(BuildError::file("write", &path))?;
        fields = fields.add(module.uses.join(",")).add(&module.name).add(content);
    }
    let named = found.modules.as_deref().unwrap_or(&found.image);
    let kernel = Kernel {
        schema: record::SCHEMA,
        version: named.file_name().unwrap_or_default().to_string_lossy().into_owned(),
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

    /// What has to stay the same for a kernel to be the wanted one.
    fn describe(&self) -> Result<String, BuildError> {
        match self {
            Source::Distribution => Ok("the distribution's".to_owned()),
            Source::Named { image, modules } => {
                let modules = modules.as_ref().map(|path| format!(" with {}", path.display())).unwrap_or_default();
                Ok(format!("{}{modules}", digest::of_file(image)?))
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
                of_host(Path::new("/"), running.trim())
            }
        }
    }
}

/// The host's own kernel, where an ordinary user may read it: the running one, else the last of those installed.
fn of_host(root: &Path, running: &str) -> Result<KernelPackage, BuildError> {
    let tree = root.join("lib/modules");
    let mut versions: Vec<String> = fs::read_dir(&tree)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    // The preferred one last.
    versions.sort_by_key(|version| (version == running, version.clone()));
    for version in versions.iter().rev() {
        let modules = tree.join(version);
        let images = [root.join("boot").join(format!("vmlinuz-{version}")), modules.join(FILE)];
        if let Some(image) = images.into_iter().find(|image| fs::File::open(image).is_ok()) {
            let package = format!("the host's {version}");
            return Ok(KernelPackage { image, modules: Some(modules), package });
        }
    }
    let reason = "there is no apt-get here, and no kernel that this user may read in /boot or /lib/modules".to_owned();
    Err(BuildError::NoKernel { reason })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A system with two kernels, whose modules are built in.
    fn system() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for version in ["6.1.0", "6.9.0"] {
            let modules = root.path().join("lib/modules").join(version);
            fs::create_dir_all(&modules).unwrap();
            fs::write(modules.join("vmlinuz"), version).unwrap();
            let builtin: String = modules::WANTED.iter().map(|(_, name)| format!("kernel/{name}.ko\n")).collect();
            fs::write(modules.join("modules.builtin"), builtin).unwrap();
        }
        root
    }

    #[test]
    fn the_running_kernel_is_preferred_to_the_newest() {
        let root = system();
        let image = |running| of_host(root.path(), running).unwrap().image;
        assert_eq!(image("6.1.0"), root.path().join("lib/modules/6.1.0/vmlinuz"));
        assert_eq!(image("5.0.0"), root.path().join("lib/modules/6.9.0/vmlinuz"));
    }

    #[test]
    fn a_kernel_in_boot_is_preferred_to_one_beside_its_modules() {
        let root = system();
        fs::create_dir(root.path().join("boot")).unwrap();
        fs::write(root.path().join("boot/vmlinuz-6.1.0"), "in boot").unwrap();
        assert_eq!(of_host(root.path(), "6.1.0").unwrap().image, root.path().join("boot/vmlinuz-6.1.0"));
    }

    #[test]
    fn without_any_kernel_the_message_names_the_cure() {
        let root = tempfile::tempdir().unwrap();
        let message = of_host(root.path(), "6.1.0").unwrap_err().to_string();
        assert!(message.contains("no apt-get here") && message.contains("FEATHERWEIGHT_KERNEL=<vmlinuz>"), "{message}");
    }

    #[test]
    fn the_environment_names_another_kernel() {
        let read = |kernel: &'static str, modules: &'static str| {
            Source::read(move |name| Some(if name == KERNEL_VARIABLE { kernel } else { modules }.into()))
        };
        let named = |modules| Source::Named { image: "/k".into(), modules };
        assert_eq!(read("/k", "/m"), named(Some("/m".into())));
        assert_eq!(read("/k", ""), named(None));
        assert_eq!(read("", "/m"), Source::Distribution);
    }

    #[test]
    fn a_kernel_is_taken_whole_and_known_again() {
        let root = system();
        let folder = tempfile::tempdir().unwrap();
        let found = of_host(root.path(), "6.1.0").unwrap();
        let kernel = take(&found, "somewhere".into(), folder.path()).unwrap();
        assert_eq!((kernel.version.as_str(), kernel.package.as_str()), ("6.1.0", "the host's 6.1.0"));
        assert_eq!(record::load::<Kernel>(folder.path()), Some(kernel.clone()));
        assert!(kernel.is_intact(folder.path()));

        fs::write(Kernel::path(folder.path()), "another").unwrap();
        assert!(!kernel.is_intact(folder.path()));
    }
}
