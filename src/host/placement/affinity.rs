//! Pins threads to CPUs and reads the placement back from the kernel.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use core_affinity::CoreId;
use rustix::thread::{CpuSet as Mask, sched_getaffinity, sched_setaffinity};

use crate::model::cpuset::CpuSet;

/// Why a thread of the harness cannot be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The CPU's number does not fit the kernel's mask.
    #[error("invalid CPU {cpu}; expected a number below {}", Mask::MAX_CPU)]
    BeyondMask {
        /// The CPU.
        cpu: u32,
    },
    /// The kernel refuses: none of the CPUs is online and allowed.
    #[error("failed to pin the thread to CPUs {cpus}: {reason}")]
    Refused {
        /// The CPUs.
        cpus: CpuSet,
        /// The kernel's reason.
        reason: io::Error,
    },
    /// The kernel accepted the CPUs, but the thread may run on others.
    #[error("the thread was pinned to CPUs {pinned} but may run on CPUs {found}")]
    NotPinned {
        /// The requested CPUs.
        pinned: CpuSet,
        /// The CPUs that the kernel reports.
        found: CpuSet,
    },
}

impl From<PinError> for io::Error {
    fn from(error: PinError) -> Self {
        io::Error::other(error)
    }
}

/// A thread that does not run where it was placed.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// The thread's status cannot be read, usually because the thread has ended.
    #[error("failed to read the placement of thread {tid} from {}", path.display())]
    Unreadable {
        /// The thread.
        tid: u32,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread may run elsewhere.
    #[error("thread {tid} may run on CPUs {found}, but was placed on {placed}")]
    Elsewhere {
        /// The thread.
        tid: u32,
        /// The CPUs on which it was placed.
        placed: CpuSet,
        /// The CPUs on which it may run; empty if the kernel's list could not be parsed.
        found: CpuSet,
    },
}

/// The CPUs that the calling thread may run on (`sched_getaffinity(2)`).
///
/// Call this before the harness pins itself; afterwards it returns only the CPUs to which it is pinned.
///
/// # Errors
/// When the kernel refuses, as it does on a host with more than 1,024 possible CPUs.
pub fn usable_cpus() -> io::Result<CpuSet> {
    let mask = sched_getaffinity(None)?;
    Ok((0..Mask::MAX_CPU as u32).filter(|&c| mask.is_set(c as usize)).collect())
}

/// Pins the calling thread to `cpus`, and reads that back from the kernel. Threads and processes that it starts inherit the
/// CPUs. An empty set changes nothing.
///
/// # Errors
/// When the kernel refuses, or the thread may still run on other CPUs.
pub fn pin_current_thread(cpus: &CpuSet) -> Result<(), PinError> {
    if let Some(cpu) = cpus.iter().find(|&cpu| cpu as usize >= Mask::MAX_CPU) {
        return Err(PinError::BeyondMask { cpu });
    }
    let cpus: Vec<usize> = cpus.iter().map(|cpu| cpu as usize).collect();
    let refused = |reason| PinError::Refused { cpus: as_set(&cpus), reason };
    match cpus.as_slice() {
        [] => return Ok(()),
        // The crate reports no reason; the failed system call was its last one.
        &[id] if core_affinity::set_for_current(CoreId { id }) => {}
        [_] => return Err(refused(io::Error::last_os_error())),
        _ => set_affinity(&cpus).map_err(refused)?,
    }
    let found = usable_cpus().map_err(refused)?;
    let pinned = as_set(&cpus);
    if found.is_subset(&pinned) { Ok(()) } else { Err(PinError::NotPinned { pinned, found }) }
}

/// Pins the calling thread to several CPUs, which `core_affinity` does not support.
fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    let mut mask = Mask::new();
    cpus.iter().for_each(|&cpu| mask.set(cpu));
    Ok(sched_setaffinity(None, &mask)?)
}

fn as_set(cpus: &[usize]) -> CpuSet {
    cpus.iter().map(|&cpu| cpu as u32).collect()
}

/// Verifies that thread `tid` may only run on `cpus`. An empty set is always satisfied.
///
/// `proc` is `/proc` in production. `/proc/<tid>` exists for every thread, although only processes are listed (`proc(5)`).
/// A thread that has narrowed its own CPUs further, such as a monitor's vCPU thread, also satisfies this.
///
/// # Errors
/// When the thread may run elsewhere, or has ended.
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
        false => Err(Mismatch::Elsewhere { tid, placed: cpus.clone(), found }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_pinned_thread_may_only_run_where_it_was_pinned() {
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

    #[test]
    fn a_thread_can_be_pinned_to_several_cpus() {
        let usable = usable_cpus().unwrap();
        std::thread::spawn(move || {
            pin_current_thread(&usable).unwrap();
            assert_eq!(usable_cpus().unwrap(), usable);
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
    fn a_thread_that_has_ended_is_named_and_an_empty_set_is_always_satisfied() {
        let proc = tempfile::tempdir().unwrap();
        let ended = verify(proc.path(), 7, &CpuSet::one(0)).unwrap_err();
        assert!(ended.to_string().starts_with("failed to read the placement of thread 7 from "), "{ended}");
        assert!(verify(proc.path(), 7, &CpuSet::default()).is_ok());
    }

    #[test]
    fn a_cpu_beyond_the_mask_is_named() {
        let error = pin_current_thread(&CpuSet::one(5000)).unwrap_err();
        assert_eq!(error.to_string(), "invalid CPU 5000; expected a number below 1024");
    }

    #[test]
    fn a_missing_cpu_is_refused_with_the_kernels_reason() {
        let error = pin_current_thread(&CpuSet::one(1023)).unwrap_err();
        assert!(error.to_string().starts_with("failed to pin the thread to CPUs 1023: Invalid argument"), "{error}");
    }
}
