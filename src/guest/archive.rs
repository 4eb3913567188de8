//! Writes an image as an archive for `docker load` and `podman load`.
//!
//! Invariant: the same root file system gives the same bytes. The layer is written twice instead of being kept in
//! memory: the first pass only measures the size and the digest, which precede the layer in the archive.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::Image;

/// The name of the only layer in the archive.
const LAYER: &str = "layer.tar";

/// Every size in a tape archive is a multiple of this, in bytes (`tar(5)`).
const BLOCK: u64 = 512;

/// Writes the archive of `image` to `out`. It will be loaded under the name `reference` with the given `labels`.
///
/// # Errors
/// When a file of the image cannot be read or changes meanwhile, or `out` cannot be written.
pub fn write_archive(image: &Image, reference: &str, labels: &[(&str, &str)], out: &mut dyn Write) -> io::Result<()> {
    let entries = walk(&image.rootfs)?;
    let mut measure = Measure::default();
    write_layer(&image.rootfs, &entries, &mut measure)?;
    let (size, digest) = (measure.size, hex(measure.hash.finalize()));
    let config = configuration(&digest, labels);
    let config_name = format!("{}.json", hex(Sha256::digest(&config)));
    let manifest = json!([{"Config": config_name, "RepoTags": [reference], "Layers": [LAYER]}]).to_string();

    let mut archive = Builder::new(out);
    archive.append(&file_header("manifest.json", manifest.len() as u64)?, manifest.as_bytes())?;
    archive.append(&file_header(&config_name, config.len() as u64)?, config.as_bytes())?;
    archive.get_mut().write_all(file_header(LAYER, size)?.as_bytes())?;
    let mut layer = Measure::default();
    write_layer(&image.rootfs, &entries, &mut Tee(&mut layer, archive.get_mut()))?;
    if layer.size != size || hex(layer.hash.finalize()) != digest {
        return Err(io::Error::other(format!("{}: changed while it was read", image.rootfs.display())));
    }
    debug_assert_eq!(size % BLOCK, 0, "a layer is an archive itself, so it needs no padding");
    archive.finish()
}

/// Returns the container's configuration, as in `config.md` of the image specification.
fn configuration(layer: &str, labels: &[(&str, &str)]) -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let labels: serde_json::Map<_, _> = labels.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect();
    json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "featherweight"}],
    })
    .to_string()
}

/// Returns the relative paths of everything below `root`, folders before their content.
fn walk(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).map_err(|e| with_path(&root.join(&folder), e))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn write_layer(root: &Path, entries: &[PathBuf], out: &mut dyn Write) -> io::Result<()> {
    let mut layer = Builder::new(out);
    for entry in entries {
        append(&mut layer, root, entry).map_err(|e| with_path(&root.join(entry), e))?;
    }
    layer.finish()
}

/// Adds an entry owned by root and without a time, so that the bytes depend only on mode and content.
fn append(layer: &mut Builder<&mut dyn Write>, root: &Path, entry: &Path) -> io::Result<()> {
    let source = root.join(entry);
    let meta = fs::symlink_metadata(&source)?;
    let mut header = blank(meta.permissions().mode() & 0o7777);
    if meta.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        layer.append_link(&mut header, entry, fs::read_link(&source)?)
    } else if meta.is_dir() {
        header.set_entry_type(EntryType::Directory);
        layer.append_data(&mut header, entry, io::empty())
    } else if meta.is_file() {
        header.set_size(meta.len());
        // Read only the size in the header, even if the file grows meanwhile.
        layer.append_data(&mut header, entry, fs::File::open(&source)?.take(meta.len()))
    } else {
        Err(io::Error::other("unsupported file type; expected a file, a folder or a link"))
    }
}

fn file_header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = blank(0o644);
    header.set_path(name)?;
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

fn blank(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn with_path(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

/// Measures the size and the digest of the written bytes.
#[derive(Default)]
struct Measure {
    size: u64,
    hash: Sha256,
}

impl Write for Measure {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.size += data.len() as u64;
        self.hash.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to the second writer and measures what it accepted.
struct Tee<'a>(&'a mut Measure, &'a mut dyn Write);

impl Write for Tee<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.1.write(data)?;
        self.0.write(&data[..written])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use serde_json::Value;
    use tempfile::TempDir;

    use super::*;
    use crate::model::program::Program;
    use crate::model::units::Bytes;

    /// A root file system like an image's, with a path that does not fit into a header of an archive.
    fn image() -> (TempDir, Image) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let rootfs = dir.path().join("rootfs");
        for folder in ["fw", "proc", "tmp", &format!("usr/{}", "long/".repeat(30))] {
            fs::create_dir_all(rootfs.join(folder)).expect("a folder is made");
        }
        fs::write(rootfs.join("fw/hello"), "no program").expect("written");
        fs::write(rootfs.join(format!("usr/{}lib", "long/".repeat(30))), [7; 5000]).expect("written");
        fs::set_permissions(rootfs.join("fw/hello"), fs::Permissions::from_mode(0o755)).expect("allowed");
        fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("allowed");
        symlink("usr/lib", rootfs.join("lib")).expect("linked");
        let image = Image { program: Program::Hello, rootfs, digest: "0".repeat(64), size: Bytes(0) };
        (dir, image)
    }

    fn archive(image: &Image) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_archive(image, "fw-run/hello:0", &[("featherweight.run", "it")], &mut bytes).expect("written");
        bytes
    }

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().expect("an archive").map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("read");
            (entry.path().expect("a path").to_string_lossy().into_owned(), bytes)
        });
        entries.collect()
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let ((_a, first), (_b, second)) = (image(), image());
        assert_eq!(archive(&first), archive(&second));
    }

    #[test]
    fn digests_and_names_are_consistent() {
        let (_dir, image) = image();
        let files = files(&archive(&image));
        let read = |name: &str| serde_json::from_slice::<Value>(&files[name]).expect("JSON");
        let manifest = &read("manifest.json")[0];
        assert_eq!(manifest["RepoTags"], json!(["fw-run/hello:0"]));
        let config = manifest["Config"].as_str().expect("a name");
        assert_eq!(config, format!("{}.json", hex(Sha256::digest(&files[config]))));
        let layer = format!("sha256:{}", hex(Sha256::digest(&files[manifest["Layers"][0].as_str().expect("a name")])));
        assert_eq!(read(config)["rootfs"]["diff_ids"], json!([layer]));
        assert_eq!(read(config)["config"]["Labels"]["featherweight.run"], "it");
    }

    #[test]
    fn modes_and_links_are_kept_and_owners_and_times_are_not() {
        let (_dir, image) = image();
        let files = files(&archive(&image));
        let mut layer = tar::Archive::new(files[LAYER].as_slice());
        let mut seen = BTreeMap::new();
        for entry in layer.entries().expect("an archive") {
            let entry = entry.expect("an entry");
            let header = entry.header();
            assert_eq!((header.uid().ok(), header.gid().ok(), header.mtime().ok()), (Some(0), Some(0), Some(0)));
            let path = entry.path().expect("a path").to_string_lossy().into_owned();
            let link = entry.link_name().expect("read").map(|to| to.to_string_lossy().into_owned());
            seen.insert(path, (header.mode().expect("a mode"), header.size().expect("a size"), link));
        }
        assert_eq!(seen["fw/hello"], (0o755, 10, None));
        assert_eq!(seen["tmp"].0, 0o1777);
        assert_eq!(seen["lib"].2.as_deref(), Some("usr/lib"));
        assert_eq!(seen[&format!("usr/{}lib", "long/".repeat(30))].1, 5000);
    }

    #[test]
    fn a_missing_file_is_named() {
        let (_dir, image) = image();
        let image = Image { rootfs: image.rootfs.join("nowhere"), ..image };
        let error = write_archive(&image, "x", &[], &mut io::sink()).expect_err("missing").to_string();
        assert!(error.contains("nowhere"), "{error}");
    }
}
