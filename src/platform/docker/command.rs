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

/// Starts the command that creates, starts and removes `container` and prints its output to `output`. The command
/// carries the run's marker and uses the same engine as the harness.
pub(super) fn run(container: &Container, engine: &Address, run: &RunId, output: OwnedFd) -> std::io::Result<Child> {
    let errors = output.try_clone()?;
    let mut command = Command::new(PROGRAM);
    command.args(container.run_arguments().iter().map(OsStr::new));
    command.env(RUN_VARIABLE, run.as_str()).env("DOCKER_HOST", engine.to_string());
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    // Its own process group protects it from the terminal's Ctrl-C.
    command.process_group(0).spawn()
}

/// Runs the command for its version.
pub(super) fn client_version() -> Result<String, Unavailable> {
    let output = Command::new(PROGRAM).arg("--version").stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(unavailable(String::from_utf8_lossy(&output.stderr).trim())),
        Err(e) => Err(unavailable(&e.to_string())),
    }
}

fn unavailable(reason: &str) -> Unavailable {
    Unavailable {
        reason: format!("failed to run the docker command: {reason}"),
        cure: "install docker-cli (Debian, Ubuntu: docker.io)".to_owned(),
    }
}
