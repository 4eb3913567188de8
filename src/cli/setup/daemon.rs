//! Starts, reloads and stops Docker's daemon on hosts without a service manager.
//!
//! Invariant: setup starts a daemon only if none runs in this network namespace, because a second one would take over
//! the bridge of the first. It stops only the daemon that it started.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal, setsid};
use serde::{Deserialize, Serialize};

use super::engine;
use super::plan::Engine;
use crate::cli::program_output;

/// The daemon's log. Root starts the daemon.
const LOG: &str = "/var/log/featherweight-dockerd.log";

/// The file in which every daemon writes its process id.
const PID_FILE: &str = "/var/run/docker.pid";

/// The time limit of a start. The first start creates folders and keys, and loads kernel modules.
const START: Duration = Duration::from_secs(60);

/// The time limit of a stop. The daemon first ends its containers in parallel, each within ten seconds.
const STOP: Duration = Duration::from_secs(60);

/// The interval between two requests to a starting daemon.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The daemon that setup started. The start time distinguishes it from a later process with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Clock ticks from the host's boot to the process's start: field 22 of proc_pid_stat(5).
    started: u64,
}

/// Starts the daemon and waits until it answers. Returns a message for the user.
///
/// # Errors
/// When an existing or the new daemon does not answer.
pub(super) fn start(state: &Path) -> anyhow::Result<String> {
    match engine::find() {
        Engine::Answers { .. } => return Ok("dockerd is already running".to_owned()),
        Engine::Silent { pid } => bail!("dockerd (process {pid}) does not answer; see its log"),
        Engine::Elsewhere { host } => bail!("unsupported DOCKER_HOST {host}; expected the local socket"),
        Engine::Closed => bail!("no access to Docker's socket; check its permissions"),
        Engine::Down => {}
    }
    fs::create_dir_all(state).with_context(|| format!("failed to create {}", state.display()))?;
    let log_size = fs::metadata(LOG).map_or(0, |log| log.len());
    let mut child = spawn()?;
    let pid = i32::try_from(child.id())?;
    record_or_stop(state, pid)?;
    if let Err(e) = until(START, || answers(&mut child)) {
        // A slow daemon keeps running, and `--stop` can stop it.
        if child.try_wait()?.is_some() {
            fs::remove_file(record_path(state)).context("failed to remove the record of the daemon")?;
        }
        bail!("{e:#}; the end of {LOG}:\n{}", log_since(log_size));
    }
    Ok(format!("started dockerd (process {pid}, log {LOG})\nstop it with: cargo xtask setup --stop"))
}

/// Records the daemon. If that fails, stops the daemon, because `--stop` could not find it later.
fn record_or_stop(state: &Path, pid: i32) -> anyhow::Result<()> {
    record(state, pid).map_err(|e| e.context(terminate(pid).unwrap_or_else(|e| format!("{e:#}"))))
}

/// Records the process that `--stop` ends.
fn record(state: &Path, pid: i32) -> anyhow::Result<()> {
    let record =
        Record { pid, started: started(pid).with_context(|| format!("dockerd exited immediately; see {LOG}"))? };
    fs::write(record_path(state), serde_json::to_string(&record)?).context("failed to record the daemon's process")
}

/// Starts the daemon in its own session, so that it outlives the terminal.
fn spawn() -> anyhow::Result<Child> {
    let log =
        OpenOptions::new().create(true).append(true).open(LOG).with_context(|| format!("failed to open {LOG}"))?;
    let mut command = Command::new("dockerd");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // SAFETY: between fork and exec only setsid(2) is called, which is async-signal-safe.
    unsafe { command.pre_exec(|| Ok(setsid().map(drop)?)) };
    command.spawn().context("failed to start dockerd")
}

fn answers(child: &mut Child) -> anyhow::Result<Option<()>> {
    if let Some(status) = child.try_wait()? {
        bail!("dockerd exited: {status}");
    }
    Ok(matches!(engine::find(), Engine::Answers { .. }).then_some(()))
}

/// Makes the daemon reload its configuration, and waits until it has `runtimes`.
///
/// # Errors
/// When there is no daemon, or it keeps its old runtimes.
pub(super) fn reload(runtimes: &[String]) -> anyhow::Result<()> {
    let text = fs::read_to_string(PID_FILE).with_context(|| format!("failed to read {PID_FILE}"))?;
    let pid: i32 = text.trim().parse().with_context(|| format!("failed to read the process in {PID_FILE}"))?;
    ensure!(engine::is_dockerd(pid), "{PID_FILE}: process {pid} is not a dockerd; restart Docker");
    let pid = Pid::from_raw(pid).context("invalid process id 0")?;
    kill_process(pid, Signal::HUP).context("failed to send SIGHUP to dockerd")?;
    await_runtimes(runtimes)
}

/// Waits until the daemon has `runtimes`.
///
/// # Errors
/// When the daemon does not have them in time.
pub(super) fn await_runtimes(runtimes: &[String]) -> anyhow::Result<()> {
    let has_runtimes = || match engine::find() {
        Engine::Answers { runtimes: known } => Ok(runtimes.iter().all(|name| known.contains(name)).then_some(())),
        other => bail!("Docker no longer answers: {other:?}"),
    };
    until(Duration::from_secs(10), has_runtimes)
        .context("Docker keeps its old runtimes; restart it when no container runs")
}

/// Polls until there is a result: a daemon does not report when it is ready.
fn until<T>(limit: Duration, mut poll: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(result) = poll()? {
            return Ok(result);
        }
        ensure!(Instant::now() < end, "timed out after {} s", limit.as_secs());
        thread::sleep(POLL_INTERVAL);
    }
}

/// Stops the daemon that setup started, if it still runs. Returns a message for the user.
///
/// # Errors
/// When the daemon does not stop.
pub(super) fn stop(state: &Path) -> anyhow::Result<String> {
    let path = record_path(state);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok("setup has started no daemon".to_owned()),
        Err(e) => return Err(e).with_context(|| format!("failed to read {}", path.display())),
    };
    let record: Record = serde_json::from_str(&text).with_context(|| format!("failed to read {}", path.display()))?;
    let message = match is_ours(&record) {
        true => terminate(record.pid)?,
        false => format!("the dockerd that setup started (process {}) has already ended", record.pid),
    };
    fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    Ok(message)
}

fn is_ours(record: &Record) -> bool {
    engine::is_dockerd(record.pid) && started(record.pid) == Some(record.started)
}

/// Sends SIGTERM, never SIGKILL, which would leave the daemon's containers behind.
fn terminate(pid: i32) -> anyhow::Result<String> {
    let pidfd = pidfd_open(Pid::from_raw(pid).context("invalid process id 0")?, PidfdFlags::empty())?;
    pidfd_send_signal(&pidfd, Signal::TERM).context("failed to send SIGTERM to dockerd")?;
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(STOP)?))?;
    ensure!(ended > 0, "dockerd (process {pid}) did not end within {} s; see {LOG}", STOP.as_secs());
    Ok(format!("stopped dockerd (process {pid})"))
}

/// Returns the path of the record of the daemon.
fn record_path(state: &Path) -> PathBuf {
    state.join("dockerd.json")
}

fn started(pid: i32) -> Option<u64> {
    // The name in parentheses may contain any character.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Returns the last lines of the log, without its first `bytes`.
fn log_since(bytes: u64) -> String {
    let log = fs::read(LOG).unwrap_or_default();
    let since = usize::try_from(bytes).ok().and_then(|start| log.get(start..)).unwrap_or_default();
    program_output::end_of(&String::from_utf8_lossy(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_stopped_without_a_record() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(stop(state.path()).unwrap(), "setup has started no daemon");
    }

    #[test]
    fn a_process_that_is_not_the_recorded_daemon_keeps_running() {
        let state = tempfile::tempdir().unwrap();
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(other.id()).unwrap();
        let record = Record { pid, started: started(pid).unwrap() };
        fs::write(record_path(state.path()), serde_json::to_string(&record).unwrap()).unwrap();
        let message = stop(state.path()).unwrap();
        let is_running = other.try_wait().unwrap().is_none();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(is_running && message.ends_with("has already ended"), "{message}");
        assert!(!record_path(state.path()).exists());
    }

    #[test]
    fn only_a_dockerd_with_the_recorded_id_and_start_time_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("dockerd");
        fs::copy("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg0("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let own = Record { pid, started: started(pid).unwrap() };
        assert!(!is_ours(&Record { started: own.started + 1, ..own.clone() }));
        fs::write(record_path(dir.path()), serde_json::to_string(&own).unwrap()).unwrap();
        assert_eq!(stop(dir.path()).unwrap(), format!("stopped dockerd (process {pid})"));
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn stop_reads_the_record() {
        let state = tempfile::tempdir().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        record(state.path(), own).unwrap();
        let message = stop(state.path()).unwrap();
        assert_eq!(message, format!("the dockerd that setup started (process {own}) has already ended"));
    }

    #[test]
    fn a_daemon_that_cannot_be_recorded_is_stopped() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let error = record_or_stop(Path::new("/no/such/folder"), pid).unwrap_err();
        assert!(!child.wait().unwrap().success());
        let error = format!("{error:#}");
        assert!(error.starts_with(&format!("stopped dockerd (process {pid}): failed to record")), "{error}");
    }

    #[test]
    fn polling_ends_with_a_result_an_error_or_a_timeout() {
        assert_eq!(until(Duration::ZERO, || Ok(Some(1))).unwrap(), 1);
        let failed = until(Duration::from_secs(60), || -> anyhow::Result<Option<()>> { bail!("exited") });
        assert_eq!(failed.unwrap_err().to_string(), "exited");
        let late = until(Duration::ZERO, || Ok(None::<()>));
        assert_eq!(late.unwrap_err().to_string(), "timed out after 0 s");
    }
}
