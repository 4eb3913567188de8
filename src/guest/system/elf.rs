//! Unpacks the kernel's ELF file for Firecracker, which does not boot the `bzImage` that distributions ship.
//!
//! A `bzImage` contains the compressed ELF file. Its header has the offset and the length (the kernel's
//! `Documentation/x86/boot.rst`: `payload_offset`, `payload_length`, `setup_sects`, `version`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::kernel::{self, Kernel};
use crate::guest::compile::BuildError;
use crate::guest::compile::ensure::lock;
use crate::guest::compile::error::first_lines;
use crate::host::folders::Folders;

/// The compressions: first bytes, tool, Debian package, and size of the length at the end. The kernel's build appends
/// the length to every format except for gzip, which contains its own.
const PACKERS: &[(&[u8], &str, &str, usize)] = &[
    (b"\x02\x21\x4c\x18", "lz4", "lz4", LENGTH),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd", LENGTH),
    (b"\xfd7zXZ", "xz", "xz-utils", LENGTH),
    (b"\x1f\x8b", "gzip", "gzip", 0),
];

/// The size of the appended length, in bytes.
const LENGTH: usize = 4;

/// Returns the guests' kernel as an ELF file, and fetches and unpacks it if it is missing.
///
/// # Errors
/// When there is no kernel, or the tool that unpacks it is not installed.
pub fn elf_kernel(folders: &Folders, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildError> {
    let kernel = kernel::ensure(folders, progress)?;
    let folder = kernel::folder(folders);
    let _lock = lock(&folder, progress)?;
    let path = folder.join(format!("vmlinux-{}", &kernel.image.sha256[..16]));
    if !path.is_file() {
        let image = Kernel::path(&folder);
        let image = fs::read(&image).map_err(BuildError::file("read", &image))?;
        let new = folder.join("vmlinux.new");
        unpack(&image, &new)?;
        fs::rename(&new, &path).map_err(BuildError::file("write", &path))?;
    }
    Ok(path)
}

/// Writes the ELF file of a kernel image to `output`.
fn unpack(image: &[u8], output: &Path) -> Result<(), BuildError> {
    if image.starts_with(b"\x7fELF") {
        return fs::write(output, image).map_err(BuildError::file("write", output));
    }
    let unsupported = |reason: &str| BuildError::NoKernel { reason: reason.to_owned() };
    let payload = payload(image).ok_or_else(|| unsupported("unsupported image; expected a bzImage or an ELF file"))?;
    let &(_, tool, package, trailer) = PACKERS
        .iter()
        .find(|(begin, ..)| payload.starts_with(begin))
        .ok_or_else(|| unsupported("unsupported compression of the image"))?;
    let packed = output.with_extension("packed");
    let content = &payload[..payload.len().saturating_sub(trailer)];
    fs::write(&packed, content).map_err(BuildError::file("write", &packed))?;
    let unpacked = run(tool, package, &packed, output);
    let _ = fs::remove_file(&packed);
    unpacked
}

fn run(tool: &'static str, package: &'static str, packed: &Path, output: &Path) -> Result<(), BuildError> {
    let input = File::open(packed).map_err(BuildError::file("read", packed))?;
    let target = File::create(output).map_err(BuildError::file("write", output))?;
    let ended = Command::new(tool).args(["-d", "-c"]).stdin(input).stdout(target).stderr(Stdio::piped()).output();
    let ended = ended.map_err(|_| BuildError::NoTool { tool, package, purpose: "unpack the kernel" })?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(BuildError::CommandFailed { command: format!("{tool} -d"), output: first_lines(&ended.stderr) }),
    }
}

/// Returns the compressed kernel in a `bzImage` of boot protocol 2.08 or later.
fn payload(image: &[u8]) -> Option<&[u8]> {
    const SECTOR: usize = 512;
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    let version = u16::from_le_bytes(image.get(0x206..0x208)?.try_into().ok()?);
    (image.get(0x202..0x206)? == b"HdrS" && version >= 0x208).then_some(())?;
    let setup = match image[0x1f1] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (setup + 1) * SECTOR + word(0x248)?;
    image.get(start..start.checked_add(word(0x24c)?)?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::host::tools;

    /// Returns a `bzImage` with one setup sector and `payload`.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024 + 16];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend(payload);
        image
    }

    #[rstest]
    #[case::lz4(&["-l", "-9", "-c"], "lz4")]
    #[case::zstd(&["-q", "-c"], "zstd")]
    #[case::xz(&["-q", "-c"], "xz")]
    #[case::gzip(&["-c"], "gzip")]
    fn a_packed_kernel_is_unpacked(#[case] arguments: &[&str], #[case] tool: &str) {
        let Some(path) = tools::find(tool) else { return println!("skipped: no {tool} on this host") };
        let folder = tempfile::tempdir().unwrap();
        let (plain, output) = (folder.path().join("plain"), folder.path().join("vmlinux"));
        let elf = [&b"\x7fELF"[..], &[7; 5000]].concat();
        fs::write(&plain, &elf).unwrap();
        let packed = Command::new(path).args(arguments).stdin(File::open(&plain).unwrap()).output().unwrap().stdout;
        let length = (elf.len() as u32).to_le_bytes();
        let payload = if tool == "gzip" { packed } else { [&packed[..], &length].concat() };
        unpack(&image(&payload), &output).unwrap();
        assert_eq!(fs::read(&output).unwrap(), elf);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[rstest]
    #[case::empty(vec![], "expected a bzImage")]
    #[case::cut(image(b"\x1f\x8b rest")[..1042].to_vec(), "expected a bzImage")]
    #[case::unknown(image(b"something else"), "unsupported compression")]
    fn other_images_are_rejected(#[case] image: Vec<u8>, #[case] why: &str) {
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(&image, &folder.path().join("vmlinux")).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
