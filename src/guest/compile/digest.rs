//! SHA-256 digests in hexadecimal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::BuildError;

/// The size of a read, in bytes.
const CHUNK: usize = 256 << 10;

/// Digests a list of fields with their lengths, so that different lists have different digests.
#[derive(Debug, Default)]
pub(in crate::guest) struct Fields(Sha256);

impl Fields {
    pub(in crate::guest) fn add(mut self, field: impl AsRef<[u8]>) -> Self {
        let field = field.as_ref();
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
        self
    }

    pub(in crate::guest) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// Returns the SHA-256 of a file's content, in hexadecimal.
pub(crate) fn file_digest(path: &Path) -> Result<String, BuildError> {
    let digest = File::open(path).and_then(digest_all);
    digest.map_err(BuildError::file("read", path))
}

/// Reads in chunks: a disk image does not fit into memory.
fn digest_all(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(&chunk[..length]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_its_standard_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(file_digest(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn fields_do_not_run_together() {
        assert_ne!(Fields::default().add("ab").add("c").finish(), Fields::default().add("a").add("bc").finish());
    }
}
