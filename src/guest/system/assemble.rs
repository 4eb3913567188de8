//! Assembles a guest system for one program: the shared kernel, and an initial RAM disk with the first process and the
//! program.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cpio::Archive;
use super::kernel::{self, Kernel};
use super::modules::{self, Module};
use super::record::{self, Part, Record};
use super::{Built, System};
use super::{disk, init};
use crate::guest::compile::BuildError;
use crate::guest::compile::digest::{self, Fields};
use crate::guest::compile::ensure::{lock, make_folder};
use crate::guest::image::Image;
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The mount points in the initial RAM disk.
const MOUNT_POINTS: &[&str] = &["dev", "proc", "root", "sys", "tmp"];

/// The file name of the initial RAM disk.
const INITRD: &str = "initrd.cpio";

/// The guest systems with a Linux kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemKind {
    Linux,
    Debian,
}

/// The record next to an initial RAM disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Guest {
    schema: u32,
    system: String,
    program: Program,
    /// SHA-256 of all inputs.
    key: String,
    kernel_version: String,
    kernel_package: String,
    kernel: Part,
    modules: Vec<Module>,
    initrd: Part,
    disk: Option<Part>,
    /// The memory that an instance needs for the default size of its workload.
    memory: Bytes,
}

impl Record for Guest {
    fn schema(&self) -> u32 {
        self.schema
    }
}

impl SystemKind {
    fn name(self) -> &'static str {
        match self {
            SystemKind::Linux => "linux",
            SystemKind::Debian => "debian",
        }
    }

    /// Returns the uses of the modules that the system needs.
    fn uses(self) -> &'static [&'static str] {
        match self {
            SystemKind::Linux => &["pci", "mmio", "net"],
            SystemKind::Debian => &["pci", "mmio", "net", "disk"],
        }
    }

    /// Returns the memory of an instance. The values are measured; see `docs/guests.md`.
    fn memory(self, program: Program) -> Bytes {
        let mebibytes = match (self, program) {
            (SystemKind::Debian, _) => 512,
            // Three arrays of 64 MiB, and 128 MiB as for other programs.
            (SystemKind::Linux, Program::Stream) => 320,
            (SystemKind::Linux, Program::Redis | Program::Sqlite) => 192,
            (SystemKind::Linux, _) => 128,
        };
        Bytes(mebibytes << 20)
    }
}

/// The inputs of an initial RAM disk.
struct Parts<'a> {
    kind: SystemKind,
    kernel: &'a Kernel,
    /// The kernel's folder.
    folder: &'a Path,
    init: &'a Path,
    image: &'a Image,
}

/// Returns the guest system with the program of `image`, and builds what is missing or changed.
pub(super) fn ensure(
    kind: SystemKind,
    folders: &Folders,
    image: &Image,
    progress: &mut dyn FnMut(&str),
) -> Result<System, BuildError> {
    let folder = folders.images().join(kind.name()).join(image.program.name());
    make_folder(&folder)?;
    let folder = folder.canonicalize().map_err(BuildError::file("find", &folder))?;
    let kernel = kernel::ensure(folders, progress)?;
    let disk = (kind == SystemKind::Debian).then(|| disk::ensure(folders, progress)).transpose()?;
    let init = first_process(folders, progress)?;
    let _lock = lock(&folder, progress)?;
    let parts = Parts { kind, kernel: &kernel, folder: &kernel::folder(folders), init: &init, image };
    let key = parts.key(disk.as_ref().map(|disk| &disk.part))?;
    let up_to_date = record::load::<Guest>(&folder).filter(|guest| guest.key == key && guest.initrd.is_intact(&folder));
    let guest = match up_to_date {
        Some(guest) => guest,
        None => {
            progress(&format!("build the {} guest of {}", kind.name(), image.program));
            parts.build(key, disk.map(|disk| disk.part), &folder)?
        }
    };
    Ok(guest.system(&folder, folders))
}

/// Returns the existing guest system with `program`; `None` if it is missing or changed.
pub(super) fn built(kind: SystemKind, folders: &Folders, program: Program) -> Option<Built> {
    let folder = folders.images().join(kind.name()).join(program.name());
    let guest: Guest = record::load(&folder)?;
    let is_whole = guest.initrd.is_intact(&folder)
        && guest.kernel.is_intact(&kernel::folder(folders))
        && guest.disk.iter().all(|disk| disk.is_intact(&disk::folder(folders)));
    is_whole
        .then(|| Built { system: guest.system(&folder, folders), origin: format!("Linux {}", guest.kernel_version) })
}

/// Compiles the first process, which both systems share.
fn first_process(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    let output = folders.images().join("linux").join("init");
    make_folder(&output)?;
    let _lock = lock(&output, progress)?;
    init::ensure(&folders.project, &output, progress)
}

impl Parts<'_> {
    fn key(&self, disk: Option<&Part>) -> Result<String, BuildError> {
        let memory = self.kind.memory(self.image.program);
        let fields = Fields::default()
            .add(self.kind.name())
            .add(self.image.program.name())
            .add(&self.image.digest)
            .add(&self.kernel.digest)
            .add(digest::file_digest(self.init)?)
            .add(memory.0.to_le_bytes());
        Ok(disk.into_iter().fold(fields, |fields, disk| fields.add(&disk.sha256)).finish())
    }

    fn build(&self, key: String, disk: Option<Part>, folder: &Path) -> Result<Guest, BuildError> {
        let path = folder.join(INITRD);
        // Rename, so that a booting machine keeps the old file.
        let new = path.with_extension("new");
        fs::write(&new, self.initrd()?).map_err(BuildError::file("write", &new))?;
        fs::rename(&new, &path).map_err(BuildError::file("write", &path))?;
        let guest = Guest {
            schema: record::SCHEMA,
            system: self.kind.name().to_owned(),
            program: self.image.program,
            key,
            kernel_version: self.kernel.version.clone(),
            kernel_package: self.kernel.package.clone(),
            kernel: self.kernel.image.clone(),
            modules: self.modules().cloned().collect(),
            initrd: Part::read(folder, INITRD)?,
            disk,
            memory: self.kind.memory(self.image.program),
        };
        record::save(&guest, folder)?;
        Ok(guest)
    }

    fn modules(&self) -> impl Iterator<Item = &Module> {
        let is_needed = |usage: &String| self.kind.uses().contains(&usage.as_str());
        self.kernel.modules.iter().filter(move |module| module.uses.iter().any(is_needed))
    }

    fn initrd(&self) -> Result<Vec<u8>, BuildError> {
        let failed = || BuildError::file("write", Path::new(INITRD));
        let mut archive = Archive::default();
        for folder in MOUNT_POINTS.iter().chain(&["modules"]) {
            archive.folder(folder, 0o755).map_err(failed())?;
        }
        // The kernel opens it as the first process's output.
        archive.device("dev/console", 0o600, 5, 1).map_err(failed())?;
        archive.file("init", 0o755, &read(self.init)?).map_err(failed())?;
        let modules: Vec<Module> = self.modules().cloned().collect();
        archive.file("modules/list", 0o444, modules::list(&modules).as_bytes()).map_err(failed())?;
        for module in &modules {
            let content = self.kernel.module(self.folder, module)?;
            archive.file(&format!("modules/{}", module.file()), 0o444, &content).map_err(failed())?;
        }
        add_tree(&mut archive, &self.image.rootfs, "")?;
        archive.finish().map_err(failed())
    }
}

impl Guest {
    fn system(&self, folder: &Path, folders: &Folders) -> System {
        let parts = [Some(&self.kernel), Some(&self.initrd), self.disk.as_ref()];
        let fields = parts.iter().flatten().fold(Fields::default(), |fields, part| fields.add(&part.sha256));
        let kernel = Kernel::path(&kernel::folder(folders));
        let initrd = folder.join(&self.initrd.path);
        let disk = self.disk.as_ref().map(|disk| disk::folder(folders).join(&disk.path));
        let size =
            [Some(&kernel), Some(&initrd), disk.as_ref()].into_iter().flatten().map(|path| disk_usage(path)).sum();
        System { kernel, initrd: Some(initrd), disk, digest: fields.finish(), size: Bytes(size), memory: self.memory }
    }
}

/// Returns the bytes that a file occupies on the host's disk, without holes. `st_blocks` has units of 512 bytes
/// (`stat(2)`).
fn disk_usage(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}

/// Adds the content of the folder `root`/`below`, except for mount points, which the archive already contains.
fn add_tree(archive: &mut Archive, root: &Path, below: &str) -> Result<(), BuildError> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).map_err(BuildError::file("read", &folder))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let source = root.join(&path);
        let metadata = fs::metadata(&source).map_err(BuildError::file("read", &source))?;
        let mode = metadata.permissions().mode() & 0o777;
        if MOUNT_POINTS.contains(&path.as_str()) {
            continue;
        } else if metadata.is_dir() {
            archive.folder(&path, mode).map_err(BuildError::file("pack", &source))?;
            add_tree(archive, root, &path)?;
        } else {
            archive.file(&path, mode, &read(&source)?).map_err(BuildError::file("pack", &source))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(BuildError::file("read", path))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::guest::system::cpio::tests as cpio;
    use crate::guest::system::kernel::{KernelPackage, store};
    use crate::guest::system::modules::tests::tree;

    /// A kernel, a first process and a program that do not run.
    struct Fake {
        folder: TempDir,
        kernel: Kernel,
        image: Image,
    }

    impl Fake {
        fn new() -> Self {
            let (folder, modules) = (tempfile::tempdir().unwrap(), tree());
            let rootfs = folder.path().join("rootfs");
            for name in ["proc", "tmp", "fw/lib"] {
                fs::create_dir_all(rootfs.join(name)).unwrap();
            }
            for (name, mode) in [("rootfs/fw/nginx", 0o555), ("rootfs/fw/lib/libc.so.6", 0o444), ("init", 0o755)] {
                fs::write(folder.path().join(name), name).unwrap();
                fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
            }
            let found = KernelPackage {
                image: folder.path().join("init"),
                modules: Some(modules.path().into()),
                package: "p 1".into(),
            };
            let kernel = store(&found, String::new(), folder.path()).unwrap();
            let image = Image { program: Program::Nginx, rootfs, digest: "d".into(), size: Bytes(1) };
            Self { folder, kernel, image }
        }

        fn with<T>(&self, kind: SystemKind, act: impl FnOnce(&Parts) -> T) -> T {
            let init = self.folder.path().join("init");
            act(&Parts { kind, kernel: &self.kernel, folder: self.folder.path(), init: &init, image: &self.image })
        }

        fn key(&self) -> String {
            self.with(SystemKind::Linux, |parts| parts.key(None).unwrap())
        }
    }

    #[test]
    fn the_ram_disk_contains_one_program_and_everything_to_run_it() {
        let fake = Fake::new();
        let archive = fake.with(SystemKind::Linux, |parts| parts.initrd().unwrap());
        let entries: String =
            cpio::read(&archive).into_iter().map(|(path, mode, _)| format!("{mode:06o} {path}\n")).collect();
        insta::assert_snapshot!(entries);
    }

    #[test]
    fn only_a_system_on_a_disk_has_modules_for_disks() {
        let fake = Fake::new();
        let list = |kind| {
            let archive = fake.with(kind, |parts| parts.initrd().unwrap());
            let list = cpio::read(&archive).into_iter().find(|(path, ..)| path == "modules/list").unwrap().2;
            String::from_utf8(list).unwrap()
        };
        assert!(!list(SystemKind::Linux).contains("virtio_blk"));
        assert!(list(SystemKind::Debian).contains("disk virtio_blk.ko\n"));
    }

    #[test]
    fn the_key_depends_on_every_input() {
        let mut fake = Fake::new();
        let first = fake.key();
        assert_eq!(fake.key(), first);
        let disk = Part::read(fake.folder.path(), "init").unwrap();
        assert_ne!(fake.with(SystemKind::Linux, |parts| parts.key(Some(&disk)).unwrap()), first);
        assert_ne!(fake.with(SystemKind::Debian, |parts| parts.key(None).unwrap()), first);
        fake.image.digest = "another".into();
        let second = fake.key();
        assert_ne!(second, first);
        fake.kernel.digest = "another".into();
        let third = fake.key();
        assert_ne!(third, second);
        fs::write(fake.folder.path().join("init"), "another").unwrap();
        assert_ne!(fake.key(), third);
    }

    #[test]
    fn a_built_guest_is_read_back() {
        let fake = Fake::new();
        let folder = tempfile::tempdir().unwrap();
        let built = fake.with(SystemKind::Linux, |parts| parts.build("key".into(), None, folder.path()).unwrap());
        assert_eq!(record::load::<Guest>(folder.path()), Some(built.clone()));
        assert!(built.initrd.is_intact(folder.path()));
        let system = built.system(folder.path(), &Folders::from_env());
        assert_eq!(system.initrd, Some(folder.path().join("initrd.cpio")));
        assert_eq!((system.disk, system.memory), (None, Bytes(128 << 20)));
    }

    #[test]
    fn only_complete_guests_are_listed() {
        let (fake, output) = (Fake::new(), tempfile::tempdir().unwrap());
        let folders = Folders { output: output.path().to_owned(), ..Folders::from_env() };
        let (shared, own) = (kernel::folder(&folders), folders.images().join("linux/nginx"));
        let listed = |program| built(SystemKind::Linux, &folders, program);
        assert_eq!(listed(Program::Nginx), None);
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(&shared).unwrap();
        let guest = fake.with(SystemKind::Linux, |parts| parts.build("key".into(), None, &own).unwrap());
        assert_eq!(listed(Program::Nginx), None, "the kernel is missing");
        fs::rename(Kernel::path(fake.folder.path()), Kernel::path(&shared)).unwrap();
        let built = listed(Program::Nginx).unwrap();
        assert_eq!(built.system, guest.system(&own, &folders));
        assert_eq!(built.origin, format!("Linux {}", fake.kernel.version));
        assert_eq!(listed(Program::Hello), None);
        fs::write(own.join(INITRD), "another").unwrap();
        assert_eq!(listed(Program::Nginx), None, "the RAM disk has changed");
    }
}
