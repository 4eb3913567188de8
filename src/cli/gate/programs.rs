//! Starting this program again for the commands that the gate runs: `setup`, `ab`, `history`.
//!
//! Containers and virtual machines need root. Results and caches belong to the runner's user again afterwards.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use rustix::process::{getegid, geteuid};

use super::workflow::{CommandsOff, print};

/// The folder of this project. Its commands run there: the calling repository may configure Cargo for itself.
const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// Starts this program again.
#[derive(Debug)]
pub(super) struct Programs {
    program: PathBuf,
    sudo: bool,
    target: PathBuf,
    /// Folders that root may have written to.
    owned: Vec<PathBuf>,
}

impl Programs {
    /// Prepares to start this program, or the one that `GATE_XTASK` names, such as a stand-in of a test. `folder`
    /// receives results.
    ///
    /// # Errors
    /// When the path of this program is unknown.
    pub(super) fn new(as_root: bool, folder: Option<&Path>) -> anyhow::Result<Self> {
        let program = match env::var_os("GATE_XTASK") {
            Some(program) => PathBuf::from(program),
            None => env::current_exe().context("failed to find this program")?,
        };
        let target = Path::new(PROJECT).join(variable("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        let cargo = variable("CARGO_HOME").map(PathBuf::from);
        let cargo = cargo.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cargo")));
        let owned = [Some(target.clone()), cargo, folder.map(Path::to_owned)].into_iter().flatten();
        let owned = owned.filter(|path| path.exists()).collect();
        Ok(Self { program, sudo: as_root && !geteuid().is_root(), target, owned })
    }

    /// Runs a command to its end and returns its exit code.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn run(&self, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<i32> {
        let status = self.command(arguments).status();
        let status = status.with_context(|| self.not_started())?;
        self.reclaim();
        Ok(code(status))
    }

    /// Runs a command that is both shown and kept in the file `log`; returns its exit code. The runner obeys no workflow
    /// command that it prints.
    ///
    /// # Errors
    /// When it cannot be started or its output cannot be kept.
    pub(super) fn run_logged(&self, arguments: &[impl AsRef<OsStr>], log: &Path) -> anyhow::Result<i32> {
        let _off = CommandsOff::new()?;
        let _guard = IgnoreInterrupt::new()?;
        let file = File::create(log).with_context(|| format!("failed to create {}", log.display()))?;
        let (reader, writer) = io::pipe().context("failed to create a pipe")?;
        let mut command = self.command(arguments);
        command.stdout(writer.try_clone().context("failed to share a pipe")?).stderr(writer);
        let mut child = command.spawn().with_context(|| self.not_started())?;
        // It holds the writing end of the pipe, which would never end.
        drop(command);
        let copied = copy(reader, file);
        let status = child.wait().context("failed to wait for a command")?;
        self.reclaim();
        copied.with_context(|| format!("failed to write {}", log.display()))?;
        Ok(code(status))
    }

    /// Runs a command and returns its exit code with what it printed on standard output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn read(&self, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<(i32, String)> {
        let output = self.command(arguments).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| self.not_started())?;
        self.reclaim();
        Ok((code(output.status), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    fn not_started(&self) -> String {
        format!("failed to start {}", self.program.display())
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let prefix = if self.sudo { sudo(variable("PATH"), variable("HOME")) } else { Vec::new() };
        let words = prefix.into_iter().chain([self.program.clone().into_os_string()]);
        let mut words = words.chain(arguments.iter().map(|argument| argument.as_ref().to_owned()));
        let mut command = Command::new(words.next().expect("the program is one of the words"));
        command.args(words).current_dir(PROJECT);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_TERM_COLOR", "never").env("NO_COLOR", "1");
        // Guests are built by Cargo. Its version is the project's, and not the one that the job uses.
        if variable("RUSTUP_TOOLCHAIN").is_none() {
            command.env("RUSTUP_TOOLCHAIN", env!("CARGO_PKG_RUST_VERSION"));
        }
        // What is measured does not need to write on GitHub.
        command.env_remove("GATE_TOKEN");
        command
    }

    /// Gives folders back to the runner's user. Later steps report what they cannot read, so a failure only prints.
    fn reclaim(&self) {
        if !self.sudo {
            return;
        }
        let owner = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
        let status = Command::new("sudo").args(["chown", "-R", &owner]).args(&self.owned).status();
        if !status.is_ok_and(|status| status.success()) {
            print("warning: failed to give the results back to the current user");
        }
    }
}

/// The words before a program that runs as root. sudo replaces `PATH` and `HOME` even when it preserves the environment.
fn sudo(path: Option<OsString>, home: Option<OsString>) -> Vec<OsString> {
    let assignment = |name: &str, value: Option<OsString>| {
        let mut word = OsString::from(name);
        word.push(value.unwrap_or_default());
        word
    };
    let mut words: Vec<OsString> = ["sudo", "--preserve-env", "env"].map(OsString::from).into();
    words.extend([assignment("PATH=", path), assignment("HOME=", home)]);
    words
}

/// Ctrl-C reaches the command as well. The gate waits for it and reports that it was interrupted.
#[derive(Debug)]
struct IgnoreInterrupt(signal_hook::SigId);

impl IgnoreInterrupt {
    fn new() -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let id = signal_hook::flag::register(signal_hook::consts::SIGINT, flag);
        Ok(Self(id.context("failed to watch for Ctrl-C")?))
    }
}

impl Drop for IgnoreInterrupt {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.0);
    }
}

/// Copies what a command prints to standard output and to its log.
fn copy(mut from: impl Read, mut log: impl Write) -> io::Result<()> {
    let mut buffer = [0; 8192];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        log.write_all(&buffer[..length])?;
        let mut terminal = io::stdout();
        let _ = terminal.write_all(&buffer[..length]).and_then(|()| terminal.flush());
    }
}

/// The exit code as shells report it: 128 and the signal for a process that a signal ended.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// A variable that is not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn programs(program: &str) -> Programs {
        Programs { program: program.into(), sudo: false, target: "/tmp".into(), owned: Vec::new() }
    }

    #[test]
    fn root_gets_the_path_and_the_home_of_the_user() {
        let words = sudo(Some("/bin:/opt".into()), None);
        assert_eq!(words, ["sudo", "--preserve-env", "env", "PATH=/bin:/opt", "HOME="]);
    }

    #[test]
    fn a_program_as_root_stands_behind_sudo() {
        let root = Programs { sudo: true, ..programs("/opt/xtask") };
        let command = root.command(&["ab"]);
        let words: Vec<&OsStr> = command.get_args().collect();
        assert_eq!(command.get_program(), "sudo");
        assert_eq!(words[words.len() - 2..], ["/opt/xtask", "ab"]);
    }

    #[test]
    fn no_command_gets_the_token() {
        let command = programs("/opt/xtask").command(&["ab"]);
        assert!(command.get_envs().any(|entry| entry == (OsStr::new("GATE_TOKEN"), None)));
    }

    #[test]
    fn both_streams_and_the_exit_code_of_a_command_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.txt");
        let code = programs("ls").run_logged(&["-d", "/", "/no/such/file"], &log).unwrap();
        let text = fs::read_to_string(&log).unwrap();
        assert_eq!(code, 2);
        assert!(text.contains("/no/such/file") && text.lines().any(|line| line == "/"), "{text}");
        assert_eq!(programs("echo").read(&["a", "b"]).unwrap(), (0, "a b\n".to_owned()));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = programs("/no/such/program").run(&["ab"]).unwrap_err();
        assert_eq!(error.to_string(), "failed to start /no/such/program");
    }
}
