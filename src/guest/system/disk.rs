//! Debian's disk: a root file system from the distribution's packages. All programs share it, and instances never write
//! it.
//!
//! Invariant: an existing disk stays until its build recipe changes or its folder is removed, as the kernel does.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::apt::{self, Sources};
use super::record::{self, Part, Record, Scratch};
use crate::guest::compile::BuildError;
use crate::guest::compile::digest::Fields;
use crate::guest::compile::ensure::{lock, make_folder};
use crate::host::folders::Folders;
use crate::host::tools;
use crate::model::units::Bytes;

/// The file name of the disk.
const FILE: &str = "disk.ext4";

/// The size of the file system, with space for what instances write outside of their in-memory `/tmp`. Most of the file
/// is a hole.
const SIZE: Bytes = Bytes(1 << 30);

/// The packages that a standard machine has in addition to the essential ones.
const PACKAGES: &[&str] = &["systemd-sysv", "udev", "dbus", "kmod", "iproute2", "login", "openssh-server"];

/// The option of dpkg that excludes documentation and translations.
const EXCLUDE: &str = "path-exclude=/usr/share/{man,doc,locale}/*";

/// The folder where the initial RAM disk mounts its own files.
const MOUNT_POINT: &str = "fw";

/// Links in `/etc/systemd/system` that select the units to start, and mask others: timers would disturb measurements,
/// and the console belongs to the program.
const LINKS: &[(&str, &str)] = &[
    ("default.target", "/etc/systemd/system/featherweight.target"),
    ("local-fs.target.wants/tmp.mount", "/etc/systemd/system/tmp.mount"),
    ("../network/99-default.link", MASK),
    ("apt-daily.timer", MASK),
    ("apt-daily-upgrade.timer", MASK),
    ("dpkg-db-backup.timer", MASK),
    ("e2scrub_all.timer", MASK),
    ("e2scrub_reap.service", MASK),
    ("fstrim.timer", MASK),
    ("logrotate.timer", MASK),
    ("man-db.timer", MASK),
    ("motd-news.timer", MASK),
    ("systemd-tmpfiles-clean.timer", MASK),
    ("serial-getty@ttyS0.service", MASK),
    ("getty@tty1.service", MASK),
];

/// The target of a masked unit's link.
const MASK: &str = "/dev/null";

/// The record next to the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disk {
    schema: u32,
    /// SHA-256 of all inputs except for the versions of the packages.
    key: String,
    /// The distribution's suites that provided the packages.
    suites: Vec<String>,
    /// Every installed package with its version.
    packages: Vec<String>,
    /// The disk image.
    pub(super) part: Part,
}

impl Record for Disk {
    fn schema(&self) -> u32 {
        self.schema
    }
}

/// Returns the folder of the disk that all Debian guests share.
pub(super) fn folder(folders: &Folders) -> PathBuf {
    folders.images().join("debian").join("disk")
}

/// Whether there is a disk for Debian guests. Changes nothing.
pub fn has_disk(folders: &Folders) -> bool {
    let folder = folder(folders);
    record::load::<Disk>(&folder).is_some_and(|disk| disk.part.is_intact(&folder))
}

/// Returns the disk, and creates it if it is missing. That needs root, because a root file system has several owners.
pub(super) fn ensure(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<Disk, BuildError> {
    let folder = folder(folders);
    make_folder(&folder)?;
    let _lock = lock(&folder, progress)?;
    let files = files_in(&folders.project.join("guest-images/debian"))?;
    let key = key(&files);
    if let Some(disk) = record::load::<Disk>(&folder)
        && disk.key == key
        && disk.part.is_intact(&folder)
    {
        return Ok(disk);
    }
    let tools = Tools::find()?;
    if !rustix::process::geteuid().is_root() {
        return Err(BuildError::NeedsRoot { action: "create Debian's disk" });
    }
    let sources = Sources::read()?;
    let scratch = Scratch::create(&folder.join("new"))?;
    let root = scratch.path().join("root");
    progress(&format!("install {} (a minute, once)", sources.suites.join(", ")));
    tools.install(&sources, &root)?;
    configure(&root, &files)?;
    progress("create the disk");
    let packages = installed(&root)?;
    tools.make_disk(&root, &folder)?;
    let disk = Disk { schema: record::SCHEMA, key, suites: sources.suites, packages, part: Part::read(&folder, FILE)? };
    record::save(&disk, &folder)?;
    Ok(disk)
}

/// This project's files: pairs of a path in the root file system and the content, sorted by path.
type Files = Vec<(String, Vec<u8>)>;

fn files_in(root: &Path) -> Result<Files, BuildError> {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(BuildError::file("read", &folder))?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push((name, fs::read(&path).map_err(BuildError::file("read", &path))?));
        }
    }
    files.sort();
    Ok(files)
}

fn key(files: &Files) -> String {
    let fields = PACKAGES.iter().fold(Fields::default().add(EXCLUDE).add(SIZE.0.to_le_bytes()), Fields::add);
    let fields = LINKS.iter().fold(fields, |fields, (name, target)| fields.add(name).add(target));
    files.iter().fold(fields, |fields, (name, content)| fields.add(name).add(content)).finish()
}

/// Adds this project's files and links to an installed system.
fn configure(root: &Path, files: &Files) -> Result<(), BuildError> {
    make_folder(&root.join(MOUNT_POINT))?;
    for (name, content) in files {
        let path = root.join(name);
        path.parent().map_or(Ok(()), make_folder)?;
        // Replace a package's link instead of following it.
        let _ = fs::remove_file(&path);
        fs::write(&path, content).map_err(BuildError::file("write", &path))?;
    }
    for (name, target) in LINKS {
        let path = root.join("etc/systemd/system").join(name);
        path.parent().map_or(Ok(()), make_folder)?;
        let _ = fs::remove_file(&path);
        symlink(target, &path).map_err(BuildError::file("link", &path))?;
    }
    Ok(())
}

/// Reads the installed packages from dpkg's list, as `package version`.
fn installed(root: &Path) -> Result<Vec<String>, BuildError> {
    let path = root.join("var/lib/dpkg/status");
    let status = fs::read_to_string(&path).map_err(BuildError::file("read", &path))?;
    Ok(status.split("\n\n").filter_map(package_and_version).collect())
}

fn package_and_version(paragraph: &str) -> Option<String> {
    let field = |name| paragraph.lines().find_map(|line| line.strip_prefix(name));
    Some(format!("{} {}", field("Package: ")?, field("Version: ")?))
}

/// The tools that create a disk.
#[derive(Debug)]
struct Tools {
    mmdebstrap: PathBuf,
    mke2fs: PathBuf,
}

impl Tools {
    fn find() -> Result<Self, BuildError> {
        Self::find_by(&tools::find)
    }

    fn find_by(find: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Self, BuildError> {
        let missing = |tool, package| BuildError::NoTool { tool, package, purpose: "create Debian's disk" };
        let mmdebstrap = find("mmdebstrap").ok_or_else(|| missing("mmdebstrap", "mmdebstrap"))?;
        // The PATH of ordinary users does not contain it.
        let in_system_folders =
            || ["/usr/sbin/mke2fs", "/sbin/mke2fs"].map(PathBuf::from).into_iter().find(|p| p.is_file());
        let mke2fs = find("mke2fs").or_else(in_system_folders).ok_or_else(|| missing("mke2fs", "e2fsprogs"))?;
        Ok(Self { mmdebstrap, mke2fs })
    }

    fn install(&self, sources: &Sources, root: &Path) -> Result<(), BuildError> {
        let mut command = Command::new(&self.mmdebstrap);
        command
            .args(["--variant=minbase", "--mode=root", "--format=directory", "--quiet"])
            .arg(format!("--include={}", PACKAGES.join(",")))
            .arg(format!("--dpkgopt={EXCLUDE}"))
            .args(sources.options.iter().map(|option| format!("--aptopt={option}")))
            .arg(&sources.suite)
            .arg(root)
            .args(&sources.lines);
        apt::run(&mut command).map(drop)
    }

    /// Creates the file system without mounting it. It has no journal, because instances' writes are discarded.
    fn make_disk(&self, root: &Path, folder: &Path) -> Result<(), BuildError> {
        let path = folder.join(FILE);
        let new = path.with_extension("new");
        let file = File::create(&new).and_then(|file| file.set_len(SIZE.0));
        file.map_err(BuildError::file("create", &new))?;
        let mut command = Command::new(&self.mke2fs);
        command
            .args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-L", "root"])
            .args(["-E", "lazy_itable_init=0,root_owner=0:0", "-d"])
            .arg(root)
            .arg(&new);
        apt::run(&mut command)?;
        // Rename, so that a running machine keeps the old disk.
        fs::rename(&new, &path).map_err(BuildError::file("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_about_a_missing_tool_names_its_package() {
        let none = |_: &str| None;
        let message = Tools::find_by(&none).unwrap_err().to_string();
        assert!(
            message.contains("missing program `mmdebstrap`") && message.contains("`apt-get install mmdebstrap`"),
            "{message}"
        );
    }

    #[test]
    fn the_key_depends_on_this_projects_files() {
        let file = |content: &str| vec![("etc/hostname".to_owned(), content.as_bytes().to_vec())];
        assert_eq!(key(&file("a")), key(&file("a")));
        assert_ne!(key(&file("a")), key(&file("b")));
        assert_ne!(key(&file("a")), key(&Files::new()));
    }

    #[test]
    fn files_and_links_replace_those_of_packages() {
        let root = tempfile::tempdir().unwrap();
        let system = root.path().join("etc/systemd/system");
        fs::create_dir_all(&system).unwrap();
        symlink("/nowhere/at/all", system.join("default.target")).unwrap();
        symlink("/nowhere/at/all", system.join("tmp.mount")).unwrap();
        let files = files_in(&Folders::from_env().project.join("guest-images/debian")).unwrap();
        configure(root.path(), &files).unwrap();
        configure(root.path(), &files).unwrap();
        assert_eq!(fs::read_link(system.join("fstrim.timer")).unwrap(), Path::new("/dev/null"));
        let target = fs::read_link(system.join("default.target")).unwrap();
        assert!(root.path().join(target.strip_prefix("/").unwrap()).is_file());
        assert!(fs::read_to_string(system.join("tmp.mount")).unwrap().contains("Where=/tmp"));
        assert!(root.path().join("fw").is_dir());
    }

    #[test]
    fn installed_packages_are_read_from_dpkgs_list() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
        let status =
            "Package: adduser\nStatus: install ok installed\nVersion: 3.134\n\nPackage: base-files\nVersion: 12.4\n";
        fs::write(root.path().join("var/lib/dpkg/status"), status).unwrap();
        assert_eq!(installed(root.path()).unwrap(), ["adduser 3.134", "base-files 12.4"]);
    }
}
