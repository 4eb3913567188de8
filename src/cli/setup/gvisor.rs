//! Finds the arguments with which gVisor runs on this host, by running it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::command;
use crate::cli::program_output;

/// gVisor's platforms, which intercept system calls, fastest first. Without `kvm`, which hangs on some hosts.
const PLATFORMS: &[&str] = &["systrap", "ptrace"];

/// The time limit of a container that runs `true`, which usually takes 0.1 s.
const LIMIT: Duration = Duration::from_secs(30);

/// Returns the arguments with which gVisor runs.
///
/// # Errors
/// gVisor's own message if it does not run.
pub(super) fn probe() -> Result<Vec<String>, String> {
    // Without a network of its own, a sandbox does not change the host's network namespace.
    let attempt = |platform: &str| {
        let command = ["runsc", &format!("--platform={platform}"), "--network=none", "do", "true"].map(str::to_owned);
        command::run(&command, LIMIT).map_err(|e| program_output::last_line(&format!("{e:#}")))
    };
    let answers: Vec<_> = PLATFORMS.iter().map(|platform| (*platform, attempt(platform))).collect();
    choose(&answers, has_networks())
}

/// Whether gVisor supports networks on this kernel.
///
/// gVisor mistakes a network namespace that has this file for the host's. Newer kernels have the file in every
/// namespace.
fn has_networks() -> Networks {
    let new_namespace = thread::spawn(|| {
        // SAFETY: only this thread's network namespace changes, and the thread ends right afterwards.
        let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
        unshared.map(|()| Path::new("/proc/sys/net/core/rmem_default").exists())
    });
    match new_namespace.join() {
        Ok(Ok(false)) => Networks::Offered,
        _ => Networks::Refused,
    }
}

/// Whether a sandbox can have a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Networks {
    Offered,
    Refused,
}

fn choose(answers: &[(&str, Result<String, String>)], networks: Networks) -> Result<Vec<String>, String> {
    let works = answers.iter().find(|(_, answer)| answer.is_ok()).map(|(platform, _)| *platform);
    let Some(platform) = works else {
        let failure = |(platform, answer): &(&str, Result<String, String>)| {
            format!("--platform={platform}: {}", answer.as_ref().err().map_or("", String::as_str))
        };
        return Err(format!(
            "gVisor does not run on this host ({})",
            answers.iter().map(failure).collect::<Vec<_>>().join("; ")
        ));
    };
    let network = (networks == Networks::Refused).then(|| "--network=none".to_owned());
    Ok(network.into_iter().chain([format!("--platform={platform}")]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_working_platform_is_chosen_with_a_network_if_possible() {
        let answers = [("systrap", Err("unknown platform".to_owned())), ("ptrace", Ok(String::new()))];
        assert_eq!(choose(&answers, Networks::Refused).unwrap(), ["--network=none", "--platform=ptrace"]);
        assert_eq!(choose(&answers[1..], Networks::Offered).unwrap(), ["--platform=ptrace"]);
    }

    #[test]
    fn an_error_has_the_reason_of_every_platform() {
        let answers = [("systrap", Err("unknown".to_owned())), ("ptrace", Err("denied".to_owned()))];
        let why = choose(&answers, Networks::Refused).unwrap_err();
        assert_eq!(why, "gVisor does not run on this host (--platform=systrap: unknown; --platform=ptrace: denied)");
    }
}
