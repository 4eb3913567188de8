//! Chooses the kernel modules that a guest needs, in the order of loading.
//!
//! Each module lists its dependencies itself (`depends` of `modinfo`). depmod's files are missing, because the package
//! was only unpacked.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::guest::compile::BuildError;
use crate::guest::compile::error::first_lines;

/// The required modules with the use of each. `guest-images/linux/modules.c` loads modules by these uses.
pub(super) const REQUIRED: &[(&str, &str)] =
    &[("pci", "virtio_pci"), ("mmio", "virtio_mmio"), ("net", "virtio_net"), ("disk", "virtio_blk"), ("disk", "ext4")];

/// A module of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Module {
    /// Its name, such as `virtio_net`.
    pub(super) name: String,
    /// Its uses, in alphabetical order.
    pub(super) uses: Vec<String>,
}

/// The modules of one kernel: the folder `/lib/modules/<version>` of a system.
#[derive(Debug)]
pub(super) struct Tree {
    files: HashMap<String, PathBuf>,
    builtin: Vec<String>,
}

/// The chosen modules with their uncompressed content.
pub(super) type Chosen = Vec<(Module, Vec<u8>)>;

impl Tree {
    /// Reads the names of all modules below `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let mut files = HashMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).map_err(BuildError::file("read", &next))? {
                let entry = entry.map_err(BuildError::file("read", &next))?;
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                } else if let Some(name) = name_of(&entry.file_name().to_string_lossy()) {
                    files.insert(name, entry.path());
                }
            }
        }
        // Without this file, every required module must exist as a file.
        let list = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
        let builtin = list.lines().filter_map(|line| name_of(line.rsplit('/').next()?)).collect();
        Ok(Self { files, builtin })
    }

    /// Returns the required modules and their dependencies, dependencies first, without modules that are built in.
    pub(super) fn choose(&self, required: &[(&str, &str)]) -> Result<Chosen, BuildError> {
        let mut chosen: Chosen = Vec::new();
        for &(usage, name) in required {
            let mut closure = Vec::new();
            self.visit(name, &mut closure)?;
            for (name, content) in closure {
                match chosen.iter_mut().find(|(module, _)| module.name == name) {
                    Some((module, _)) => module.uses.extend([usage.to_owned()]),
                    None => chosen.push((Module { name, uses: vec![usage.to_owned()] }, content)),
                }
            }
        }
        for (module, _) in &mut chosen {
            module.uses.sort();
            module.uses.dedup();
        }
        Ok(chosen)
    }

    /// Adds the dependencies of the module `name` to `closure`, then the module.
    fn visit(&self, name: &str, closure: &mut Vec<(String, Vec<u8>)>) -> Result<(), BuildError> {
        if closure.iter().any(|(other, _)| other == name) || self.builtin.iter().any(|builtin| builtin == name) {
            return Ok(());
        }
        let missing = || BuildError::NoKernel { reason: format!("missing module {name}") };
        let content = content_of(self.files.get(name).ok_or_else(missing)?)?;
        for needed in depends(&content) {
            self.visit(&needed, closure)?;
        }
        closure.push((name.to_owned(), content));
        Ok(())
    }
}

/// Returns the list for the guest's first process: uses and file name of each module, in the order of loading.
pub(super) fn list(modules: &[Module]) -> String {
    modules.iter().map(|module| format!("{} {}\n", module.uses.join(","), module.file())).collect()
}

impl Module {
    /// Returns the module's file name in a guest.
    pub(super) fn file(&self) -> String {
        format!("{}.ko", self.name)
    }
}

/// Returns the name of the module in a file. Kernels treat `-` and `_` alike.
fn name_of(file: &str) -> Option<String> {
    let (name, ending) = file.split_once(".ko")?;
    ["", ".xz", ".zst", ".gz"].contains(&ending).then(|| name.replace('-', "_"))
}

/// Reads a module, and unpacks it with the host's tools if it is compressed.
fn content_of(path: &Path) -> Result<Vec<u8>, BuildError> {
    let unpacker = match path.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => ("xz", "xz-utils"),
        Some("zst") => ("zstd", "zstd"),
        Some("gz") => ("gzip", "gzip"),
        _ => return fs::read(path).map_err(BuildError::file("read", path)),
    };
    let (tool, package) = unpacker;
    let output = Command::new(tool).args(["-d", "-c"]).arg(path).output();
    let output = output.map_err(|_| BuildError::NoTool { tool, package, purpose: "unpack the kernel's modules" })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(BuildError::CommandFailed {
            command: format!("{tool} -d {}", path.display()),
            output: first_lines(&output.stderr),
        })
    }
}

/// Returns a module's dependencies: `depends=a,b` between zero bytes in its section `.modinfo`.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    /// Creates a folder of modules with the dependencies of Debian's kernel 6.1.
    pub(in crate::guest::system) fn tree() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let modules = [
            ("drivers/virtio/virtio.ko", "virtio_ring"),
            ("drivers/virtio/virtio_ring.ko", ""),
            ("drivers/virtio/virtio_mmio.ko", "virtio,virtio_ring"),
            ("drivers/virtio/virtio_pci.ko", "virtio_ring,virtio_pci_modern_dev,virtio"),
            ("drivers/virtio/virtio-pci-modern-dev.ko", ""),
            ("drivers/net/virtio_net.ko", "virtio_ring,virtio,net_failover"),
            ("drivers/net/net_failover.ko", "failover"),
            ("net/core/failover.ko", ""),
            ("drivers/block/virtio_blk.ko", "virtio,virtio_ring"),
        ];
        for (path, depends) in modules {
            let path = folder.path().join("kernel").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("\x7fELF\0license=GPL\0depends={depends}\0name=x\0")).unwrap();
        }
        fs::write(folder.path().join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        folder
    }

    fn chosen(folder: &Path) -> Vec<Module> {
        let chosen = Tree::read(folder).unwrap().choose(REQUIRED).unwrap();
        assert!(chosen.iter().all(|(_, content)| content.starts_with(b"\x7fELF")));
        chosen.into_iter().map(|(module, _)| module).collect()
    }

    #[test]
    fn dependencies_come_first_and_builtin_modules_are_skipped() {
        let folder = tree();
        insta::assert_snapshot!(list(&chosen(folder.path())), @r"
        disk,mmio,net,pci virtio_ring.ko
        pci virtio_pci_modern_dev.ko
        disk,mmio,net,pci virtio.ko
        pci virtio_pci.ko
        mmio virtio_mmio.ko
        net failover.ko
        net net_failover.ko
        net virtio_net.ko
        disk virtio_blk.ko
        ");
    }

    #[test]
    fn a_missing_module_is_named() {
        let folder = tree();
        fs::remove_file(folder.path().join("kernel/net/core/failover.ko")).unwrap();
        let error = Tree::read(folder.path()).unwrap().choose(REQUIRED).unwrap_err().to_string();
        assert!(error.contains("missing module failover"), "{error}");
    }

    #[rstest]
    #[case::xz("xz")]
    #[case::zstd("zst")]
    #[case::gzip("gz")]
    fn a_compressed_module_is_unpacked(#[case] ending: &str) {
        let folder = tree();
        let plain = folder.path().join("kernel/drivers/block/virtio_blk.ko");
        let tool = match ending {
            "zst" => "zstd",
            "gz" => "gzip",
            other => other,
        };
        let Some(tool) = crate::host::tools::find(tool) else { return println!("skipped: no {tool} on this host") };
        let content = fs::read(&plain).unwrap();
        let packed = Command::new(tool).args(["-c"]).arg(&plain).output().unwrap().stdout;
        fs::remove_file(&plain).unwrap();
        fs::write(folder.path().join(format!("kernel/drivers/block/virtio_blk.ko.{ending}")), packed).unwrap();
        let chosen = Tree::read(folder.path()).unwrap().choose(REQUIRED).unwrap();
        assert_eq!(
            chosen.last().map(|(module, content)| (module.file(), content)),
            Some(("virtio_blk.ko".into(), &content))
        );
    }

    #[test]
    fn module_names_are_read_from_file_names() {
        assert_eq!(name_of("virtio-pci.ko.zst").as_deref(), Some("virtio_pci"));
        assert_eq!(name_of("a.ko.sig"), None);
        assert_eq!(name_of("modules.order"), None);
    }
}
