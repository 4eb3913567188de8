//! The memory and CPU time of one process.

use std::ops::Add;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::host::ticks_to_nanos;
use crate::host::{HostError, tree};
use crate::model::units::{Bytes, Nanos};

/// A process's memory by three measures, which differ in how they count shared pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessMemory {
    /// Proportional set size: a page shared by n processes counts as 1/n.
    pub pss: Bytes,
    /// Unique set size: only pages that no other process shares.
    pub uss: Bytes,
    /// Resident set size: every page counts in full.
    pub rss: Bytes,
}

impl Add for ProcessMemory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { pss: self.pss + other.pss, uss: self.uss + other.uss, rss: self.rss + other.rss }
    }
}

/// Reads `smaps_rollup` of process `pid` under `proc` (`/proc` in production).
///
/// # Errors
/// When the process has ended, is a kernel thread, or belongs to another user.
pub fn memory(proc: &Path, pid: u32) -> Result<ProcessMemory, HostError> {
    let path = dir(proc, pid).join("smaps_rollup");
    let text = tree::text(&path)?;
    parse_memory(&text).ok_or_else(|| malformed(&path, &text, "a memory summary"))
}

/// Parses the fields that `smaps_rollup` and each mapping of `smaps` have.
pub(super) fn parse_memory(text: &str) -> Option<ProcessMemory> {
    let field = |key| tree::kib_field(text, key);
    // Huge pages of hugetlbfs have a separate line (`proc_pid_smaps(5)`), which kernels without them omit.
    let uss = field("Private_Clean")? + field("Private_Dirty")? + field("Private_Hugetlb").unwrap_or_default();
    Some(ProcessMemory { pss: field("Pss")?, uss, rss: field("Rss")? })
}

/// The resident memory of process `pid`. This is cheap, since the kernel maintains the count (`statm`).
///
/// # Errors
/// When the process has ended.
pub fn resident(proc: &Path, pid: u32) -> Result<Bytes, HostError> {
    let path = dir(proc, pid).join("statm");
    let text = tree::text(&path)?;
    let pages: Option<u64> = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    let bytes = pages.map(|n| Bytes(n.saturating_mul(procfs::page_size())));
    bytes.ok_or_else(|| malformed(&path, &text, "page counts"))
}

/// The CPU time of all threads of process `pid`, including ended ones but not child processes, in steps of a clock tick
/// (10 ms).
///
/// # Errors
/// When the process has ended.
pub fn cpu_time(proc: &Path, pid: u32) -> Result<Nanos, HostError> {
    let path = dir(proc, pid).join("stat");
    let text = tree::text(&path)?;
    ticks(&text).map(ticks_to_nanos).ok_or_else(|| malformed(&path, &text, "a process status"))
}

/// Adds `utime` and `stime`, the 14th and 15th fields (`proc_pid_stat(5)`). The second field is a name in parentheses that
/// may contain spaces and parentheses, so fields are counted from its end.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

pub(super) fn dir(proc: &Path, pid: u32) -> PathBuf {
    proc.join(pid.to_string())
}

pub(super) fn malformed(path: &Path, content: &str, expected: &'static str) -> HostError {
    let content = content.lines().next().unwrap_or_default().to_owned();
    HostError::Malformed { path: path.to_owned(), content, expected }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn process(file: &str, content: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("9")).unwrap();
        fs::write(proc.path().join("9").join(file), content).unwrap();
        proc
    }

    #[test]
    fn shared_and_private_memory_are_distinguished() {
        let rollup = "55a0-7ffe ---p 0 00:00 0 [rollup]\nRss: 100 kB\nPss: 40 kB\nPss_Anon: 1 kB\nPrivate_Clean: 7 kB\nPrivate_Dirty: 20 kB\nPrivate_Hugetlb: 0 kB\n";
        let memory = memory(process("smaps_rollup", rollup).path(), 9).unwrap();
        assert_eq!(memory, ProcessMemory { pss: Bytes(40 << 10), uss: Bytes(27 << 10), rss: Bytes(100 << 10) });
    }

    #[test]
    fn a_process_without_memory_is_an_error_and_not_zero() {
        let error = memory(process("smaps_rollup", "").path(), 9).unwrap_err().to_string();
        assert!(error.ends_with("9/smaps_rollup: invalid content ``; expected a memory summary"), "{error}");
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_move_the_fields() {
        let stat = "9 (a) b (c) S 1 9 9 0 -1 4194560 1 2 3 4 150 25 8 9 20 0 1 0 5 6 7\n";
        assert_eq!(cpu_time(process("stat", stat).path(), 9).unwrap(), ticks_to_nanos(175));
    }

    #[test]
    fn this_process_reads() {
        let (proc, me) = (Path::new("/proc"), std::process::id());
        let memory = memory(proc, me).unwrap();
        assert!(memory.uss <= memory.pss && memory.pss <= memory.rss);
        assert!(resident(proc, me).unwrap() > Bytes::MIB);
        assert!(cpu_time(proc, me).is_ok());
    }

    #[test]
    fn a_process_that_has_ended_is_named() {
        let empty = tempfile::tempdir().unwrap();
        assert!(cpu_time(empty.path(), 9).unwrap_err().to_string().ends_with("9/stat"));
    }
}
