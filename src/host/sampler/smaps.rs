//! The memory of a virtual machine monitor by purpose, from the list of its mappings (`proc_pid_smaps(5)`).
//!
//! Invariant: every mapping belongs to exactly one part, so the parts add up to the whole.

use std::path::Path;

use super::ProcessMemory;
use super::process::{dir, malformed, parse_memory};
use crate::host::{HostError, tree};
use crate::model::units::Bytes;

/// The proportional share (PSS) of each part of a virtual machine monitor's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonitorMemory {
    /// The part of the guest's memory that the guest has touched.
    pub guest: Bytes,
    /// Guest code translated for this processor; `None` if nothing is translated.
    pub translation: Option<Bytes>,
    /// The monitor's program and libraries. Monitors that run at once share most of it.
    pub program: Bytes,
    /// Everything else: the monitor's heap, stacks and data.
    pub rest: Bytes,
}

/// One mapping.
#[derive(Debug, Clone, Copy)]
struct Mapping<'a> {
    size: Bytes,
    permissions: &'a str,
    /// The mapped file, or a name in brackets; empty if it has neither.
    name: &'a str,
    memory: ProcessMemory,
}

/// Reads the mappings of process `pid` under `proc` and returns its total memory. Also returns the parts if a mapping has the
/// size `guest`, which is then the guest's memory.
///
/// # Errors
/// When the process has ended, has no memory of its own, or belongs to another user.
pub fn monitor_memory(
    proc: &Path,
    pid: u32,
    guest: Bytes,
) -> Result<(ProcessMemory, Option<MonitorMemory>), HostError> {
    let path = dir(proc, pid).join("smaps");
    let text = tree::text(&path)?;
    let mappings = mappings(&text).filter(|mappings| !mappings.is_empty());
    let mappings = mappings.ok_or_else(|| malformed(&path, &text, "a list of mappings"))?;
    let whole = mappings.iter().fold(ProcessMemory::default(), |sum, mapping| sum + mapping.memory);
    Ok((whole, parts(&mappings, guest)))
}

fn parts(mappings: &[Mapping<'_>], guest: Bytes) -> Option<MonitorMemory> {
    let is_candidate = |(_, mapping): &(usize, &Mapping<'_>)| mapping.size == guest && mapping.is_data();
    let candidates = mappings.iter().enumerate().filter(is_candidate);
    let (guests, _) = candidates.max_by_key(|(_, mapping)| mapping.memory.pss)?;
    let mut parts = MonitorMemory { guest: mappings[guests].memory.pss, ..MonitorMemory::default() };
    for (_, mapping) in mappings.iter().enumerate().filter(|(index, _)| *index != guests) {
        let pss = mapping.memory.pss;
        match () {
            () if mapping.is_translated() => parts.translation = Some(parts.translation.unwrap_or_default() + pss),
            () if mapping.is_program() => parts.program = parts.program + pss,
            () => parts.rest = parts.rest + pss,
        }
    }
    Some(parts)
}

impl Mapping<'_> {
    fn is_data(&self) -> bool {
        self.permissions.starts_with("rw-")
    }

    /// Code that is generated at run time comes from no file.
    fn is_translated(&self) -> bool {
        self.permissions.starts_with("rwx") && self.name.is_empty()
    }

    /// Writable mappings of the program's file are excluded, since they are private copies of its data.
    fn is_program(&self) -> bool {
        self.name.starts_with('/') && !self.permissions.contains('w')
    }
}

/// Parses the mappings in order; `None` if one of them is invalid.
fn mappings(text: &str) -> Option<Vec<Mapping<'_>>> {
    let heads = text.match_indices('\n').map(|(end, _)| end + 1).filter(|&at| head(&text[at..]).is_some());
    let starts: Vec<usize> = std::iter::once(0).chain(heads).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| mapping(&text[start..end])).collect()
}

fn mapping(text: &str) -> Option<Mapping<'_>> {
    let (permissions, name) = head(text)?;
    Some(Mapping { size: tree::kib_field(text, "Size")?, permissions, name, memory: parse_memory(text)? })
}

/// Parses permissions and name from a line such as `7f00-7f10 rw-p 00000000 00:00 0    [heap]`; `None` for other lines.
fn head(text: &str) -> Option<(&str, &str)> {
    let line = text.lines().next()?;
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    u64::from_str_radix(from, 16).and(u64::from_str_radix(to, 16)).ok()?;
    let permissions = words.next()?;
    let name = words.nth(3).and_then(|name| line.find(name).map(|at| line[at..].trim_end()));
    Some((permissions, name.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    const KIB: u64 = 1024;

    /// A process with these mappings: permissions, name, size and PSS in KiB.
    fn process(mappings: &[(&str, &str, u64, u64)]) -> tempfile::TempDir {
        let text = |(permissions, name, size, pss): &(&str, &str, u64, u64)| {
            format!(
                "7f00-7f10 {permissions} 00000000 fe:00 12     {name}\nSize:  {size} kB\nRss:  {size} kB\nPss:  {pss} kB\n\
                 Private_Clean:  1 kB\nPrivate_Dirty:  2 kB\nVmFlags: rd mr \n"
            )
        };
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("9")).unwrap();
        fs::write(proc.path().join("9/smaps"), mappings.iter().map(text).collect::<String>()).unwrap();
        proc
    }

    /// The largest mappings of `qemu-system-x86_64` 10.0.2 with 64 MiB and TCG.
    const QEMU: &[(&str, &str, u64, u64)] = &[
        ("r-xp", "/usr/bin/qemu-system-x86_64", 6628, 5880),
        ("rw-p", "/usr/bin/qemu-system-x86_64", 1028, 1028),
        ("rw-p", "[heap]", 11056, 4828),
        ("rwxp", "", 1_048_572, 131_072),
        ("rw-p", "", 14636, 13868),
        ("r--p", "/usr/lib/libcapstone.so.4", 1820, 910),
    ];

    #[rstest]
    #[case::anonymous(("rw-p", ""))]
    #[case::shared(("rw-s", "/memfd:memory-backend-memfd (deleted)"))]
    fn every_mapping_is_in_one_part(#[case] (permissions, name): (&str, &str)) {
        let proc = process(&[QEMU, &[(permissions, name, 64 * KIB, 20480)]].concat());
        let (whole, parts) = monitor_memory(proc.path(), 9, Bytes(64 << 20)).unwrap();
        let parts = parts.unwrap();
        let expected = MonitorMemory {
            guest: Bytes(20480 * KIB),
            translation: Some(Bytes(131_072 * KIB)),
            program: Bytes((5880 + 910) * KIB),
            rest: Bytes((1028 + 4828 + 13868) * KIB),
        };
        assert_eq!(parts, expected);
        assert_eq!(parts.guest + parts.translation.unwrap() + parts.program + parts.rest, whole.pss);
        assert_eq!(whole.uss, Bytes(7 * 3 * KIB));
    }

    #[test]
    fn without_translation_there_is_no_such_part() {
        let proc = process(&[("r-xp", "/bin/vmm", 100, 50), ("rw-p", "", 64 * KIB, 300)]);
        let (_, parts) = monitor_memory(proc.path(), 9, Bytes(64 << 20)).unwrap();
        assert_eq!(parts.unwrap().translation, None);
    }

    #[test]
    fn without_the_guests_mapping_there_is_only_the_total() {
        let (whole, parts) = monitor_memory(process(QEMU).path(), 9, Bytes(64 << 20)).unwrap();
        assert_eq!((whole.pss, parts), (Bytes((5880 + 1028 + 4828 + 131_072 + 13868 + 910) * KIB), None));
    }

    #[test]
    fn an_invalid_list_of_mappings_is_an_error_and_not_zero() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("9")).unwrap();
        for text in ["", "7f00-7f10 rw-p 0 0:0 0\nSize: 4 kB\n"] {
            fs::write(proc.path().join("9/smaps"), text).unwrap();
            let error = monitor_memory(proc.path(), 9, Bytes::MIB).unwrap_err().to_string();
            assert!(error.ends_with("; expected a list of mappings"), "{error}");
        }
    }

    #[test]
    fn this_process_adds_up() {
        let (proc, me) = (Path::new("/proc"), std::process::id());
        let (whole, parts) = monitor_memory(proc, me, Bytes(1)).unwrap();
        assert!(parts.is_none() && whole.uss <= whole.pss && whole.pss <= whole.rss && whole.rss > Bytes::MIB);
    }
}
