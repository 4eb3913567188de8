//! Applies a CPU set to a thread and reads it back from the kernel.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::thread::{CpuSet as Mask, sched_getaffinity, sched_setaffinity};

use crate::model::cpuset::CpuSet;

/// A thread that does not run where it was placed.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The thread's status cannot be read: most often it is gone.
    #[error("read the placement of thread {tid} from {}", path.display())]
    Unreadable {
        /// The thread.
        tid: u32,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread may run elsewhere.
    #[error("thread {tid} may run on CPUs {found}, but was placed on {wanted}")]
    Elsewhere {
        /// The thread.
        tid: u32,
        /// Where it was placed.
        wanted: CpuSet,
        /// Where it may run; empty when the kernel's answer could not be read as a list.
        found: CpuSet,
    },
}

/// The CPUs that the calling thread may run on (`sched_getaffinity(2)`).
///
/// Ask before the harness pins itself: afterwards the answer is where it was pinned.
///
/// # Errors
/// When the kernel refuses, as it does on a host with more than 1,024 possible CPUs.
pub fn usable_cpus() -> io::Result<CpuSet> {
    let mask = sched_getaffinity(None)?;
    Ok((0..Mask::MAX_CPU as u32).filter(|&c| mask.is_set(c as usize)).collect())
}

/// Pins the calling thread to `cpus`; an empty set leaves it where it is. Threads and processes it makes inherit this.
///
/// # Errors
/// When the kernel refuses: none of the CPUs is online and allowed.
pub fn pin_current_thread(cpus: &CpuSet) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut mask = Mask::new();
    for cpu in cpus.iter() {
        if cpu as usize >= Mask::MAX_CPU {
            return Err(io::Error::other(format!(
                "CPU {cpu} is above {}, the last that can be pinned to",
                Mask::MAX_CPU
            )));
        }
        mask.set(cpu as usize);
    }
    sched_setaffinity(None, &mask).map_err(|e| io::Error::other(format!("pin the thread to CPUs {cpus}: {e}")))
}

/// Reads back that thread `tid` runs inside `cpus` only; an empty set asks for nothing.
///
/// `proc` is `/proc` in production. `/proc/<tid>` is there for every thread, though only processes are listed
/// (`proc(5)`). A thread that narrowed itself further (a monitor's vCPU thread) is still where it was placed.
///
/// # Errors
/// When it may run elsewhere, or is gone.
pub fn verify(proc: &Path, tid: u32, cpus: &CpuSet) -> Result<(), Mismatch> {
    if cpus.is_empty() {
        return Ok(());
    }
    let path = proc.join(tid.to_string()).join("status");
    let status = fs::read_to_string(&path).map_err(|source| Mismatch::Unreadable { tid, path, source })?;
    let line = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
    let found: CpuSet = line.and_then(|l| l.parse().ok()).unwrap_or_default();
    match !found.is_empty() && found.is_subset(cpus) {
        true => Ok(()),
        false => Err(Mismatch::Elsewhere { tid, wanted: cpus.clone(), found }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_pinned_thread_reads_back_where_it_was_pinned() {
        let usable = usable_cpus().unwrap();
        let cpu = CpuSet::one(usable.iter().last().unwrap());
        std::thread::spawn(move || {
            pin_current_thread(&cpu).unwrap();
            assert_eq!(usable_cpus().unwrap(), cpu);
            let tid = rustix::thread::gettid().as_raw_nonzero().get() as u32;
            verify(Path::new("/proc"), tid, &cpu).unwrap();
            let elsewhere = verify(Path::new("/proc"), tid, &CpuSet::one(cpu.first().unwrap() + 1)).unwrap_err();
            assert!(matches!(elsewhere, Mismatch::Elsewhere { found, .. } if found == cpu));
        })
        .join()
        .unwrap();
    }

    #[rstest]
    #[case::exactly("2-3", true)]
    #[case::narrower("3", true)]
    #[case::wider("1-3", false)]
    #[case::torn("2-", false)]
    #[case::missing("", false)]
    fn a_thread_is_where_it_was_placed_only_inside_the_set(#[case] found: &str, #[case] holds: bool) {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("7")).unwrap();
        fs::write(proc.path().join("7/status"), format!("Name:\tvcpu\nCpus_allowed_list:\t{found}\n")).unwrap();
        assert_eq!(verify(proc.path(), 7, &"2-3".parse().unwrap()).is_ok(), holds);
    }

    #[test]
    fn a_thread_that_is_gone_is_named_and_an_empty_set_asks_for_nothing() {
        let proc = tempfile::tempdir().unwrap();
        let gone = verify(proc.path(), 7, &CpuSet::one(0)).unwrap_err();
        assert!(gone.to_string().starts_with("read the placement of thread 7 from "), "{gone}");
        assert!(verify(proc.path(), 7, &CpuSet::default()).is_ok());
    }

    #[test]
    fn a_cpu_beyond_the_mask_is_refused_by_name() {
        let error = pin_current_thread(&CpuSet::one(5000)).unwrap_err();
        assert!(error.to_string().starts_with("CPU 5000 is above"), "{error}");
    }
}
