//! Docker's daemon as setup starts, reloads and stops it where no service manager does.
//!
//! Invariant: it is started only where none lives in this network namespace, for a second one would take away the
//! first one's bridge; and only the daemon that setup itself started is ever stopped.

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

use super::plan::Engine;
use super::{command, engine};

/// What the daemon says. Only root starts it.
const LOG: &str = "/var/log/featherweight-dockerd.log";

/// Where every daemon leaves its process number.
const PID_FILE: &str = "/var/run/docker.pid";

/// A first start makes folders and keys and loads kernel modules.
const START: Duration = Duration::from_secs(60);

/// It ends its containers first, ten seconds each at the most, side by side.
const STOP: Duration = Duration::from_secs(60);

/// How often a starting daemon is asked.
const BETWEEN: Duration = Duration::from_millis(100);

/// The daemon that setup started. The start time tells it from a later process with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    pid: i32,
    /// Clock ticks from the host's boot to the process's start: field 22 of proc_pid_stat(5).
    started: u64,
}

/// Starts the daemon, and waits until it answers. Returns what to tell the user.
///
/// # Errors
/// When one lives already without answering, or the new one does not come to answer.
pub(super) fn start(state: &Path) -> anyhow::Result<String> {
    match engine::find() {
        Engine::Answers { .. } => return Ok("it runs already".to_owned()),
        Engine::Silent { pid } => bail!("dockerd runs as process {pid} and does not answer: see its log"),
        Engine::Elsewhere { host } => bail!("DOCKER_HOST names {host}"),
        Engine::Closed => bail!("a daemon is there that may not be asked: check the rights of its socket"),
        Engine::Down => {}
    }
    fs::create_dir_all(state).with_context(|| format!("make {}", state.display()))?;
    let said_before = fs::metadata(LOG).map_or(0, |log| log.len());
    let mut child = spawn()?;
    let pid = i32::try_from(child.id())?;
    keep(state, pid)?;
    if let Err(e) = until(START, || answers(&mut child)) {
        // One that is slow lives on, and can be stopped.
        if child.try_wait()?.is_some() {
            fs::remove_file(record_in(state)).context("forget the daemon's process")?;
        }
        bail!("{e:#}; {LOG} says:\n{}", log_since(said_before));
    }
    Ok(format!("dockerd is process {pid}, its log {LOG}\nstop it with: kill {pid}, or: cargo xtask setup --stop"))
}

/// Writes the daemon down, or ends it: nobody could stop it later.
fn keep(state: &Path, pid: i32) -> anyhow::Result<()> {
    write_down(state, pid).map_err(|e| e.context(end(pid).unwrap_or_else(|e| format!("{e:#}"))))
}

/// Notes which process `--stop` is to end.
fn write_down(state: &Path, pid: i32) -> anyhow::Result<()> {
    let record = Record { pid, started: started(pid).with_context(|| format!("dockerd ended at once; see {LOG}"))? };
    fs::write(record_in(state), serde_json::to_string(&record)?).context("write down the daemon's process")
}

/// In a session of its own it outlives the terminal.
fn spawn() -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(LOG).with_context(|| format!("open {LOG}"))?;
    let mut command = Command::new("dockerd");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // SAFETY: between fork and exec only setsid(2) is called, which is async-signal-safe.
    unsafe { command.pre_exec(|| Ok(setsid().map(drop)?)) };
    command.spawn().context("start dockerd")
}

fn answers(child: &mut Child) -> anyhow::Result<Option<()>> {
    if let Some(status) = child.try_wait()? {
        bail!("dockerd ended: {status}");
    }
    Ok(matches!(engine::find(), Engine::Answers { .. }).then_some(()))
}

/// Makes the daemon read its configuration again and waits until it knows `runtimes`.
///
/// # Errors
/// When there is no daemon to tell, or it keeps its old runtimes.
pub(super) fn reload(runtimes: &[String]) -> anyhow::Result<()> {
    let text = fs::read_to_string(PID_FILE).with_context(|| format!("read {PID_FILE}"))?;
    let pid: i32 = text.trim().parse().with_context(|| format!("read the process in {PID_FILE}"))?;
    ensure!(engine::is_dockerd(pid), "{PID_FILE} names process {pid}, which is no dockerd: restart Docker");
    let pid = Pid::from_raw(pid).context("no process number")?;
    kill_process(pid, Signal::HUP).context("send SIGHUP to dockerd")?;
    await_runtimes(runtimes)
}

/// Waits until the daemon knows `runtimes`.
///
/// # Errors
/// When it does not come to know them.
pub(super) fn await_runtimes(runtimes: &[String]) -> anyhow::Result<()> {
    let knows = || match engine::find() {
        Engine::Answers { runtimes: known } => Ok(runtimes.iter().all(|name| known.contains(name)).then_some(())),
        other => bail!("Docker does not answer any more: {other:?}"),
    };
    until(Duration::from_secs(10), knows).context("Docker keeps its old runtimes: restart it when no container runs")
}

/// Asks again and again: a daemon that gets ready tells nobody.
fn until<T>(limit: Duration, mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < end, "no answer within {} s", limit.as_secs());
        thread::sleep(BETWEEN);
    }
}

/// Stops the daemon that setup started, if it still lives. Returns what to tell the user.
///
/// # Errors
/// When it lives on.
pub(super) fn stop(state: &Path) -> anyhow::Result<String> {
    let path = record_in(state);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok("setup has started no daemon".to_owned()),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    };
    let record: Record = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    let told = match is_ours(&record) {
        true => end(record.pid)?,
        false => format!("the daemon that setup started, process {}, is gone already", record.pid),
    };
    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    Ok(told)
}

fn is_ours(record: &Record) -> bool {
    engine::is_dockerd(record.pid) && started(record.pid) == Some(record.started)
}

/// It is asked, never killed: its containers would be left without anybody.
fn end(pid: i32) -> anyhow::Result<String> {
    let pidfd = pidfd_open(Pid::from_raw(pid).context("no process number")?, PidfdFlags::empty())?;
    pidfd_send_signal(&pidfd, Signal::TERM).context("ask dockerd to end")?;
    let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(STOP)?))?;
    ensure!(ended > 0, "dockerd, process {pid}, has not ended after {} s; see {LOG}", STOP.as_secs());
    Ok(format!("stopped dockerd, process {pid}"))
}

/// Where the daemon that setup started is written down.
fn record_in(state: &Path) -> PathBuf {
    state.join("dockerd.json")
}

fn started(pid: i32) -> Option<u64> {
    // The name in parentheses may itself hold any character.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The end of what the daemon has written after the first `bytes` of its log.
fn log_since(bytes: u64) -> String {
    let log = fs::read(LOG).unwrap_or_default();
    let since = usize::try_from(bytes).ok().and_then(|start| log.get(start..)).unwrap_or_default();
    command::end_of(&String::from_utf8_lossy(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_record_there_is_nothing_to_stop() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(stop(state.path()).unwrap(), "setup has started no daemon");
    }

    #[test]
    fn a_process_that_is_not_the_daemon_of_the_record_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(other.id()).unwrap();
        let record = Record { pid, started: started(pid).unwrap() };
        fs::write(record_in(state.path()), serde_json::to_string(&record).unwrap()).unwrap();
        let told = stop(state.path()).unwrap();
        let lives = other.try_wait().unwrap().is_none();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(lives && told.ends_with("is gone already"), "{told}");
        assert!(!record_in(state.path()).exists());
    }

    #[test]
    fn only_a_dockerd_of_that_number_and_start_time_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("dockerd");
        fs::copy("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg0("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let mine = Record { pid, started: started(pid).unwrap() };
        assert!(!is_ours(&Record { started: mine.started + 1, ..mine.clone() }));
        fs::write(record_in(dir.path()), serde_json::to_string(&mine).unwrap()).unwrap();
        assert_eq!(stop(dir.path()).unwrap(), format!("stopped dockerd, process {pid}"));
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn what_is_written_down_is_what_stop_reads() {
        let state = tempfile::tempdir().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        write_down(state.path(), own).unwrap();
        let told = stop(state.path()).unwrap();
        assert_eq!(told, format!("the daemon that setup started, process {own}, is gone already"));
    }

    #[test]
    fn a_daemon_that_cannot_be_written_down_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let error = keep(Path::new("/no/such/folder"), pid).unwrap_err();
        assert!(!child.wait().unwrap().success());
        let error = format!("{error:#}");
        assert!(error.starts_with(&format!("stopped dockerd, process {pid}: write down")), "{error}");
    }

    #[test]
    fn waiting_ends_with_the_answer_the_error_or_the_limit() {
        assert_eq!(until(Duration::ZERO, || Ok(Some(1))).unwrap(), 1);
        let failed = until(Duration::from_secs(60), || -> anyhow::Result<Option<()>> { bail!("gone") });
        assert_eq!(failed.unwrap_err().to_string(), "gone");
        let late = until(Duration::ZERO, || Ok(None::<()>));
        assert_eq!(late.unwrap_err().to_string(), "no answer within 0 s");
    }
}
