//! A dynamic program's closure: its loader and every shared library, as the loader itself resolves them.
//!
//! Invariant: a closure is complete. A library that is not found, or one that only a path inside the program leads to,
//! is an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{BuildError, first_lines};

/// What a dynamic program needs besides itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closure {
    /// The loader, by the path that the program names.
    pub(super) loader: PathBuf,
    /// The libraries: the name that they are asked for by, and where they lie.
    pub(super) libraries: Vec<(String, PathBuf)>,
}

/// Asks the loader of `program` what it would load for it. Nothing of the program is run.
pub(super) fn of(program: &Path) -> Result<Closure, BuildError> {
    let refuse = |reason: String| BuildError::NoClosure { path: program.to_owned(), reason };
    let content = fs::read(program).map_err(BuildError::file("read", program))?;
    let loader = interpreter(&content).ok_or_else(|| refuse("it is no dynamic 64-bit program".to_owned()))?;
    let output = Command::new(loader)
        .arg("--list")
        .arg(program)
        .env_clear() // what is preloaded here belongs in no image
        .env("LC_ALL", "C")
        .output()
        .map_err(|source| BuildError::Run { command: loader.to_owned(), source })?;
    if !output.status.success() {
        return Err(refuse(first_lines(&output.stderr)));
    }
    let libraries = libraries_in(&String::from_utf8_lossy(&output.stdout), loader).map_err(refuse)?;
    Ok(Closure { loader: PathBuf::from(loader), libraries })
}

/// The libraries in what a loader lists: lines like `libc.so.6 => /lib/libc.so.6 (0x00007f…)`. Those without an arrow are
/// the loader and what the kernel maps; the latter has no path.
fn libraries_in(list: &str, loader: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let mut libraries = Vec::new();
    for line in list.lines().map(str::trim) {
        let text = line.rsplit_once(" (0x").map_or(line, |(text, _)| text);
        match text.split_once(" => ") {
            // The loader is asked for by its path or by its name.
            Some((name, path)) if name == loader || path == loader => {}
            Some((name, path)) if path.starts_with('/') && !name.contains('/') => {
                libraries.push((name.to_owned(), PathBuf::from(path)));
            }
            None if text == loader || !text.starts_with('/') => {}
            _ => return Err(format!("its loader says `{line}`")),
        }
    }
    Ok(libraries)
}

/// The loader that a little-endian 64-bit ELF file names: the content of its `PT_INTERP` segment (`elf(5)`).
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

/// The little-endian number of `N` bytes at `at`.
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
    fn libraries_are_what_has_an_arrow() {
        let list = "\tlinux-vdso.so.1 (0x00007ff1db81a000)\n\
                    \tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007ff1db516000)\n\
                    \tlibc.so.6 => /lib/with blank/libc.so.6 (0x00007ff1dae1e000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007ff1db81c000)\n";
        let expected = [("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1"), ("libc.so.6", "/lib/with blank/libc.so.6")];
        let expected: Vec<_> = expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).into();
        assert_eq!(libraries_in(list, LOADER), Ok(expected));
        assert_eq!(libraries_in("", LOADER), Ok(vec![]));
    }

    #[rstest]
    #[case::missing("\tlibgone.so.1 => not found\n")]
    #[case::by_its_path("\t/opt/odd/libx.so (0x00007f0000000000)\n")]
    #[case::by_its_path_with_an_arrow("\t/opt/odd/libx.so => /opt/odd/libx.so (0x00007f0000000000)\n")]
    fn a_closure_with_a_hole_is_refused(#[case] list: &str) {
        let why = libraries_in(list, LOADER).unwrap_err();
        assert!(why.contains(list.trim()), "{why}");
    }

    #[test]
    fn this_very_test_has_a_closure() {
        let program = std::env::current_exe().unwrap();
        let closure = of(&program).unwrap();
        assert!(closure.loader.is_file());
        assert!(
            closure.libraries.iter().any(|(name, path)| name.starts_with("libc.") && path.is_file()),
            "{closure:?}"
        );
    }

    #[test]
    fn what_is_no_dynamic_program_is_refused_by_name() {
        let why = of(Path::new("/proc/self/status")).unwrap_err().to_string();
        assert_eq!(why, "/proc/self/status cannot be put in an image: it is no dynamic 64-bit program");
    }

    proptest! {
        #[test]
        fn no_bytes_upset_the_reader(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            bytes.splice(..0, *b"\x7fELF\x02\x01");
            let _ = interpreter(&bytes);
        }
    }
}
