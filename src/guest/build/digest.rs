//! SHA-256 digests in hexadecimal.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::BuildError;

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// Digests a list of fields so that no two different lists have the same digest.
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

/// The digest of a file's content.
pub(crate) fn of_file(path: &Path) -> Result<String, BuildError> {
    let digest = || {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        // A disk is too large to be held in memory.
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hex(&hash.finalize())),
                length => hash.update(&piece[..length]),
            }
        }
    };
    digest().map_err(BuildError::file("read", path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_the_digest_that_everybody_computes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(of_file(&path).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn fields_do_not_run_together() {
        assert_ne!(Fields::default().add("ab").add("c").finish(), Fields::default().add("a").add("bc").finish());
    }
}
