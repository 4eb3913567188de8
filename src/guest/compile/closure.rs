//! A dynamic program's closure: its loader and every shared library, as the loader resolves them.
//!
//! Invariant: a closure is complete. A library that is not found, or that the program names by its path, is an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{BuildError, ClosureError, first_lines};

/// The files that a dynamic program needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closure {
    /// The path of the loader, as the program names it.
    pub(super) loader: PathBuf,
    /// The libraries: the requested name and the path of each.
    pub(super) libraries: Vec<(String, PathBuf)>,
}

/// Lists what the loader of `program` would load. The program itself does not run.
pub(super) fn resolve(program: &Path) -> Result<Closure, BuildError> {
    let fail = |reason| BuildError::NoClosure { path: program.to_owned(), reason };
    let content = fs::read(program).map_err(BuildError::file("read", program))?;
    let loader = interpreter(&content).ok_or_else(|| fail(ClosureError::NotDynamic))?;
    let output = Command::new(loader)
        .arg("--list")
        .arg(program)
        .env_clear() // libraries preloaded on this host must not get into an image
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| BuildError::Run { command: loader.to_owned(), source })?;
    if !output.status.success() {
        return Err(fail(ClosureError::Loader { output: first_lines(&output.stderr) }));
    }
    let libraries = libraries_in(&String::from_utf8_lossy(&output.stdout), loader).map_err(fail)?;
    Ok(Closure { loader: PathBuf::from(loader), libraries })
}

/// Parses the loader's list, with lines like `libc.so.6 => /lib/libc.so.6 (0x00007f…)`. Lines without an arrow are the
/// loader and the kernel's vDSO, which has no path.
fn libraries_in(list: &str, loader: &str) -> Result<Vec<(String, PathBuf)>, ClosureError> {
    let mut libraries = Vec::new();
    for line in list.lines().map(str::trim) {
        let text = line.rsplit_once(" (0x").map_or(line, |(text, _)| text);
        match text.split_once(" => ") {
            // Libraries may request the loader by its path or by its name.
            Some((name, path)) if name == loader || path == loader => {}
            Some((name, path)) if path.starts_with('/') && !name.contains('/') => {
                libraries.push((name.to_owned(), PathBuf::from(path)));
            }
            None if text == loader || !text.starts_with('/') => {}
            _ => return Err(ClosureError::Unresolved { line: line.to_owned() }),
        }
    }
    Ok(libraries)
}

/// Returns the loader that a little-endian 64-bit ELF file names in its `PT_INTERP` segment (`elf(5)`).
fn interpreter(elf: &[u8]) -> Option<&str> {
    const PT_INTERP: u64 = 3;
    elf.starts_with(b"\x7fELF\x02\x01").then_some(())?;
    let start = usize::try_from(number::<8>(elf, 32)?).ok()?;
    let (size, count) = (number::<2>(elf, 54)? as usize, number::<2>(elf, 56)? as usize);
    let segment = (0..count)
        .filter_map(|n| elf.get(start.checked_add(n * size)?..))
        .find(|segment| number::<4>(segment, 0) == Some(PT_INTERP))?;
    let offset = usize::try_from(number::<8>(segment, 8)?).ok()?;
    let length = usize::try_from(number::<8>(segment, 32)?).ok()?;
    let text = elf.get(offset..offset.checked_add(length)?)?;
    std::str::from_utf8(text).ok().map(|text| text.trim_end_matches('\0'))
}

/// Reads the little-endian number of `N` bytes at `at`.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

    #[test]
    fn lines_with_an_arrow_are_libraries() {
        let list = "\tlinux-vdso.so.1 (0x00007ff1db81a000)\n\
                    \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007ff1db516000)\n\
                    \tlibc.so.6 => /lib/with blank/libc.so.6 (0x00007ff1dae1e000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007ff1db81c000)\n";
        let expected = [("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1"), ("libc.so.6", "/lib/with blank/libc.so.6")];
        let expected: Vec<_> = expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).into();
        assert_eq!(libraries_in(list, LOADER).unwrap(), expected);
        assert_eq!(libraries_in("", LOADER).unwrap(), []);
    }

    #[rstest]
    #[case::missing("\tlibgone.so.1 => not found\n")]
    #[case::by_its_path("\t/opt/odd/libx.so (0x00007f0000000000)\n")]
    #[case::by_its_path_with_an_arrow("\t/opt/odd/libx.so => /opt/odd/libx.so (0x00007f0000000000)\n")]
    fn an_incomplete_closure_is_rejected(#[case] list: &str) {
        let why = libraries_in(list, LOADER).unwrap_err().to_string();
        assert!(why.contains(list.trim()), "{why}");
    }

    #[test]
    fn this_test_has_a_closure() {
        let program = std::env::current_exe().unwrap();
        let closure = resolve(&program).unwrap();
        assert!(closure.loader.is_file());
        assert!(
            closure.libraries.iter().any(|(name, path)| name.starts_with("libc.") && path.is_file()),
            "{closure:?}"
        );
    }

    #[test]
    fn a_file_that_is_not_a_dynamic_program_is_rejected() {
        let why = resolve(Path::new("/proc/self/status")).unwrap_err().to_string();
        assert_eq!(why, "failed to find the libraries of /proc/self/status: not a dynamic 64-bit program");
    }

    proptest! {
        #[test]
        fn the_reader_accepts_any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            bytes.splice(..0, *b"\x7fELF\x02\x01");
            let _ = interpreter(&bytes);
        }
    }
}
