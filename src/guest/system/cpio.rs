//! Writes an initial RAM disk: an in-memory archive in the `newc` format of `cpio(5)`, which the kernel unpacks.
//!
//! Invariant: the same calls give the same bytes. Entries have no times, belong to root, and are numbered by position.

use std::io;

/// The file types of `st_mode` in `stat(2)`.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const DEVICE: u32 = 0o020_000;

/// The name of the last entry.
const TRAILER: &str = "TRAILER!!!";

/// An archive under construction.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

/// An entry of an archive.
struct Entry<'a> {
    path: &'a str,
    mode: u32,
    device: (u32, u32),
    content: &'a [u8],
}

impl Archive {
    /// Adds an empty folder. Add its parent first.
    pub fn folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.add(&Entry { path, mode: FOLDER | mode, device: (0, 0), content: &[] })
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.add(&Entry { path, mode: FILE | mode, device: (0, 0), content })
    }

    /// Adds a character device.
    pub fn device(&mut self, path: &str, mode: u32, major: u32, minor: u32) -> io::Result<()> {
        self.add(&Entry { path, mode: DEVICE | mode, device: (major, minor), content: &[] })
    }

    /// Returns the complete archive.
    pub fn finish(mut self) -> io::Result<Vec<u8>> {
        self.add(&Entry { path: TRAILER, mode: 0, device: (0, 0), content: &[] })?;
        Ok(self.bytes)
    }

    fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let large = || {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("{}: too large for an initial RAM disk", entry.path))
        };
        let size = u32::try_from(entry.content.len()).map_err(|_| large())?;
        let name = u32::try_from(entry.path.len() + 1).map_err(|_| large())?;
        self.entries += 1;
        let links = if entry.mode & FOLDER == FOLDER { 2 } else { 1 };
        let (major, minor) = entry.device;
        // Inode, mode, owner, group, links, time, size, device that contains it, device itself, name, checksum.
        let fields = [self.entries, entry.mode, 0, 0, links, 0, size, 0, 0, major, minor, name, 0];
        self.bytes.extend(b"070701");
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08X}").into_bytes()));
        self.bytes.extend(entry.path.bytes().chain([0]));
        self.align();
        self.bytes.extend(entry.content);
        self.align();
        Ok(())
    }

    /// Pads the archive to a multiple of four bytes, as names and contents require.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;
    use crate::host::tools;

    /// Reads path, mode and content of every entry, following the kernel's documentation of the format.
    pub(in crate::guest::system) fn read(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&archive[at..at + 6], b"070701");
            let field = |n: usize| {
                let text = std::str::from_utf8(&archive[at + 6 + 8 * n..at + 14 + 8 * n]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name) = (field(1), field(6) as usize, field(11) as usize);
            let path = String::from_utf8(archive[at + 110..at + 110 + name - 1].to_vec()).unwrap();
            let content = (at + 110 + name).next_multiple_of(4);
            at = (content + size).next_multiple_of(4);
            if path == TRAILER {
                assert_eq!(at, archive.len());
                return entries;
            }
            entries.push((path, mode, archive[content..content + size].to_vec()));
        }
    }

    #[test]
    fn entries_are_read_back() {
        let mut archive = Archive::default();
        archive.folder("dev", 0o755).unwrap();
        archive.device("dev/console", 0o600, 5, 1).unwrap();
        archive.file("init", 0o755, b"odd").unwrap();
        let entries = read(&archive.finish().unwrap());
        let expected = [("dev", 0o040_755, &b""[..]), ("dev/console", 0o020_600, b""), ("init", 0o100_755, b"odd")];
        assert_eq!(entries, expected.map(|(path, mode, content)| (path.to_owned(), mode, content.to_vec())));
    }

    #[test]
    fn cpio_itself_reads_it() {
        let Some(cpio) = tools::find("cpio") else { return println!("skipped: no cpio on this host") };
        let mut archive = Archive::default();
        archive.folder("a", 0o755).unwrap();
        archive.file("a/file", 0o644, b"12345").unwrap();
        let mut child = Command::new(cpio)
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cpio");
        child.stdin.take().unwrap().write_all(&archive.finish().unwrap()).unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"a\na/file\n");
    }

    proptest! {
        #[test]
        fn every_content_keeps_the_next_entry_in_place(
            files in proptest::collection::vec(("[a-z]{1,12}", proptest::collection::vec(any::<u8>(), 0..20)), 0..6),
        ) {
            let mut archive = Archive::default();
            for (path, content) in &files {
                archive.file(path, 0o644, content).unwrap();
            }
            let read: Vec<_> =
                read(&archive.finish().unwrap()).into_iter().map(|(path, _, content)| (path, content)).collect();
            prop_assert_eq!(read, files);
        }
    }
}
