//! The `docker` command.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::model::platform::Unavailable;
use crate::model::run::{RUN_VARIABLE, RunId};
use crate::platform::engine_api::{Address, Container};

/// The command that users type.
const PROGRAM: &str = "docker";

/// Starts the command that makes, starts, shows and removes `container`, with its output going to `output`. It carries
/// the run's marker, and talks to the engine that the harness talks to.
pub(super) fn run(container: &Container, engine: &Address, run: &RunId, output: OwnedFd) -> std::io::Result<Child> {
    let errors = output.try_clone()?;
    let mut command = Command::new(PROGRAM);
    command.args(container.run_arguments().iter().map(OsStr::new));
    command.env(RUN_VARIABLE, run.as_str()).env("DOCKER_HOST", engine.to_string());
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    // A process group of its own keeps the terminal's Ctrl-C from it.
    command.process_group(0).spawn()
}

/// The version of the command, as it says it.
pub(super) fn client_version() -> Result<String, Unavailable> {
    let missing_guests = |reason: String| Unavailable {
        reason: format!("the docker command does not run: {reason}"),
        cure: "install docker-cli (Debian, Ubuntu: docker.io)".to_owned(),
    };
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|e| missing_guests(e.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(missing_guests(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
