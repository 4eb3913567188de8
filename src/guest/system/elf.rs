//! The kernel as an ELF file, for monitors that do not boot what distributions ship: Firecracker.
//!
//! A `bzImage` holds the ELF file, packed; where and how long it is stands in its header (the kernel's
//! `Documentation/x86/boot.rst`: `payload_offset`, `payload_length`, `setup_sects`, `version`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::kernel::{self, Kernel};
use crate::guest::build::BuildError;
use crate::guest::build::ensure::lock;
use crate::guest::build::error::first_lines;
use crate::host::folders::Folders;

/// How packed payloads begin, the tool that unpacks them, its package, and whether the length stands behind the packed
/// bytes: the kernel's build adds it to all but gzip's, which has one of its own.
const PACKERS: &[(&[u8], &str, &str, usize)] = &[
    (b"\x02\x21\x4c\x18", "lz4", "lz4", LENGTH),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd", LENGTH),
    (b"\xfd7zXZ", "xz", "xz-utils", LENGTH),
    (b"\x1f\x8b", "gzip", "gzip", 0),
];

/// The bytes of the length.
const LENGTH: usize = 4;

/// The kernel of the guests as an ELF file, fetched and unpacked if it is missing.
///
/// Fails when there is no kernel, or the tool that unpacks it is not installed.
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

/// Writes the ELF file in a kernel to `output`.
fn unpack(image: &[u8], output: &Path) -> Result<(), BuildError> {
    if image.starts_with(b"\x7fELF") {
        return fs::write(output, image).map_err(BuildError::file("write", output));
    }
    let odd = |reason: &str| BuildError::NoKernel { reason: format!("its image {reason}") };
    let payload = payload(image).ok_or_else(|| odd("is no bzImage"))?;
    let &(_, tool, package, behind) = PACKERS
        .iter()
        .find(|(begin, ..)| payload.starts_with(begin))
        .ok_or_else(|| odd("is packed in a way that is not known here"))?;
    let packed = output.with_extension("packed");
    let content = &payload[..payload.len().saturating_sub(behind)];
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
        false => Err(BuildError::Refused { command: format!("{tool} -d"), output: first_lines(&ended.stderr) }),
    }
}

/// The packed kernel in a `bzImage`; boot protocol 2.08 and later say where it is.
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

    /// A `bzImage` of one setup sector with that payload.
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
    fn what_was_packed_comes_out(#[case] arguments: &[&str], #[case] tool: &str) {
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
    #[case::empty(vec![], "no bzImage")]
    #[case::cut(image(b"\x1f\x8b rest")[..1042].to_vec(), "no bzImage")]
    #[case::unknown(image(b"something else"), "a way that is not known")]
    fn what_is_no_packed_kernel_is_refused(#[case] image: Vec<u8>, #[case] why: &str) {
        let folder = tempfile::tempdir().unwrap();
        let error = unpack(&image, &folder.path().join("vmlinux")).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
