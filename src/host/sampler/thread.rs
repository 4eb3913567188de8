//! The sampler: a thread that writes one line per period.
//!
//! Invariant: if it shares a core with measured instances, it does not even wake up while a [`Quiet`] guard exists.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::csv::{Columns, Line, Table};
use super::{HostReading, process};
use crate::host::clock::{Clock, HostClock};
use crate::host::placement::pin_current_thread;
use crate::model::cpuset::CpuSet;

/// The settings of a sampler.
#[derive(Debug)]
pub struct SamplerConfig {
    /// `/proc` in production.
    pub proc: PathBuf,
    /// The file to append to: `series/host.csv`. Its folder must exist.
    pub file: PathBuf,
    /// The time from one line to the next.
    pub period: Duration,
    /// The CPUs of the thread; empty for all.
    pub cpus: CpuSet,
    /// Whether trials are measured on those CPUs.
    pub sharing: Sharing,
    /// The current number of background instances, for a column.
    pub background: Arc<AtomicU32>,
    /// Additional columns.
    pub extra: Vec<Columns>,
}

/// Why a sampler ended without an error of the operating system.
#[derive(Debug, thiserror::Error)]
pub enum SamplerError {
    /// The thread ended before it was ready.
    #[error("the sampler ended at once")]
    EndedAtOnce,
    /// The thread panicked.
    #[error("the sampler panicked")]
    Panicked,
}

/// Whether the sampler's CPUs are measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nothing is measured there, so lines are always written.
    OwnCore,
    /// Trials may be measured there, so no line is written while a [`Quiet`] guard exists.
    MeasuringCore,
}

/// A running sampler; it stops when dropped.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    sharing: Sharing,
    thread: Option<JoinHandle<io::Result<u64>>>,
}

/// A guard that keeps a sampler on a measuring core asleep.
#[derive(Debug)]
#[must_use = "the sampler continues as soon as the guard is dropped"]
pub struct Quiet(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    quiet: u32,
    stop: bool,
    /// The thread sleeps and waits without a time limit.
    parked: bool,
    ended: bool,
}

/// Sets [`State::ended`] when the thread ends, also by a panic.
struct Ending(Arc<Shared>);

impl Sampler {
    /// Starts the thread and pins it. It writes its first line at once.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread cannot be pinned.
    pub fn start(config: SamplerConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let sharing = config.sharing;
        let (ready, is_ready) = sync_channel(1);
        let ending = Ending(Arc::clone(&shared));
        let body = move || run(config, &ending.0, &ready);
        let thread = thread::Builder::new().name("fw-sampler".to_owned()).spawn(body)?;
        let sampler = Self { shared, sharing, thread: Some(thread) };
        match is_ready.recv() {
            Ok(()) => Ok(sampler),
            // The thread ended before it was ready, and returned the reason.
            Err(_) => sampler.stop().and_then(|_| Err(io::Error::other(SamplerError::EndedAtOnce))),
        }
    }

    /// Keeps a sampler on a measuring core asleep until the guard is dropped. Returns once it sleeps. Has no effect on a
    /// sampler with a core of its own.
    pub fn quiet(&self) -> Quiet {
        if self.sharing == Sharing::OwnCore {
            return Quiet(None);
        }
        let mut state = self.shared.lock();
        state.quiet += 1;
        self.shared.changed.notify_all();
        while !state.parked && !state.ended {
            state = self.shared.wait(state);
        }
        drop(state);
        Quiet(Some(Arc::clone(&self.shared)))
    }

    /// Ends the thread now and returns the number of lines it wrote.
    ///
    /// # Errors
    /// The error that ended it earlier, such as a full disk.
    pub fn stop(mut self) -> io::Result<u64> {
        self.end()
    }

    fn end(&mut self) -> io::Result<u64> {
        let Some(thread) = self.thread.take() else { return Ok(0) };
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        thread.join().unwrap_or_else(|_| Err(io::Error::other(SamplerError::Panicked)))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // Callers that need the error call `stop`.
        let _ = self.end();
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            let mut state = shared.lock();
            state.quiet -= 1;
            // The thread is about to wake up, so the next call of `quiet` must wait until it sleeps again.
            state.parked &= state.quiet > 0;
            shared.changed.notify_all();
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `due` and until no guard exists. Returns false if the thread must stop.
    fn sleep_until(&self, due: Instant, sharing: Sharing) -> bool {
        let mut state = self.lock();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if state.stop {
                return false;
            } else if state.quiet > 0 && sharing == Sharing::MeasuringCore {
                state.parked = true;
                self.changed.notify_all();
                state = self.wait(state);
                state.parked = false;
            } else if left.is_zero() {
                return true;
            } else {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

fn run(config: SamplerConfig, shared: &Shared, ready: &SyncSender<()>) -> io::Result<u64> {
    pin_current_thread(&config.cpus)?;
    let mut table = Table::open(&config.file, config.extra)?;
    // The receiver waits for this message.
    let _ = ready.send(());
    let mut lines = 0;
    let mut due = Instant::now();
    while shared.sleep_until(due, config.sharing) {
        table.write(&read(&config.proc, &config.background))?;
        lines += 1;
        // Lines that were missed during quiet time are not made up for.
        due = (due + config.period).max(Instant::now());
    }
    Ok(lines)
}

fn read(proc: &Path, background: &AtomicU32) -> Line {
    let me = std::process::id();
    Line {
        time: jiff::Timestamp::now().to_string(),
        monotonic: HostClock.now(),
        background: background.load(Ordering::Relaxed),
        host: HostReading::read(proc),
        harness_resident: process::resident(proc, me).ok(),
        harness_cpu: process::cpu_time(proc, me).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// A sampler, a channel with a message for every line, and the folder of its file.
    fn sampler(period: Duration, sharing: Sharing) -> (Sampler, Receiver<()>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let (tick, ticks) = channel();
        let extra = Columns::new(&["ticks_count"], move || {
            let _ = tick.send(());
            vec![Some(1)]
        });
        let config = SamplerConfig {
            proc: PathBuf::from("/proc"),
            file: dir.path().join("host.csv"),
            period,
            cpus: CpuSet::default(),
            sharing,
            background: Arc::new(AtomicU32::new(12)),
            extra: vec![extra],
        };
        (Sampler::start(config).unwrap(), ticks, dir)
    }

    #[test]
    fn every_line_has_all_columns_and_the_label() {
        let (sampler, ticks, dir) = sampler(Duration::from_millis(1), Sharing::OwnCore);
        (0..3).for_each(|_| ticks.recv_timeout(SOON).unwrap());
        let lines = sampler.stop().unwrap();
        let text = fs::read_to_string(dir.path().join("host.csv")).unwrap();
        assert_eq!(text.lines().count() as u64, lines + 1);
        let columns = text.lines().next().unwrap().split(',').count();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!((cells.len(), cells[2], cells[columns - 1]), (columns, "12", "1"));
        }
    }

    #[test]
    fn stopping_does_not_wait_for_the_period() {
        let (sampler, ticks, _dir) = sampler(Duration::from_secs(3600), Sharing::OwnCore);
        ticks.recv_timeout(SOON).unwrap();
        assert_eq!(sampler.stop().unwrap(), 1);
    }

    #[test]
    fn a_sampler_on_a_measuring_core_sleeps_while_a_guard_exists() {
        let (sampler, ticks, _dir) = sampler(Duration::from_millis(1), Sharing::MeasuringCore);
        ticks.recv_timeout(SOON).unwrap();
        let (first, second) = (sampler.quiet(), sampler.quiet());
        while ticks.try_recv().is_ok() {}
        drop(first);
        assert!(ticks.recv_timeout(Duration::from_millis(30)).is_err(), "still held");
        drop(second);
        ticks.recv_timeout(SOON).unwrap();
    }

    #[test]
    fn a_sampler_on_its_own_core_continues() {
        let (sampler, ticks, _dir) = sampler(Duration::from_millis(1), Sharing::OwnCore);
        let _quiet = sampler.quiet();
        (0..50).for_each(|_| ticks.recv_timeout(SOON).unwrap());
    }

    #[test]
    fn a_sampler_can_be_stopped_while_a_guard_exists() {
        let (sampler, _ticks, _dir) = sampler(Duration::from_millis(1), Sharing::MeasuringCore);
        let quiet = sampler.quiet();
        sampler.stop().unwrap();
        drop(quiet);
    }

    #[test]
    fn starting_fails_if_the_file_cannot_be_opened() {
        let config = SamplerConfig {
            proc: PathBuf::from("/proc"),
            file: PathBuf::from("/no-such-folder/host.csv"),
            period: SOON,
            cpus: CpuSet::default(),
            sharing: Sharing::OwnCore,
            background: Arc::default(),
            extra: Vec::new(),
        };
        assert_eq!(Sampler::start(config).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
