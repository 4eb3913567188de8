//! With which arguments gVisor runs on this host, found out by running it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::command;

/// What intercepts the guest's system calls, the faster first. `kvm` is left out: a host may offer it and hang.
const PLATFORMS: &[&str] = &["systrap", "ptrace"];

/// A container that runs `true` takes a tenth of a second.
const LIMIT: Duration = Duration::from_secs(30);

/// What gVisor has to be given here.
///
/// # Errors
/// Why it does not run, by its own words.
pub(super) fn probe() -> Result<Vec<String>, String> {
    // In the host's network namespace a sandbox without a network is the only one that leaves the host as it is.
    let attempt = |platform: &str| {
        let command = ["runsc", &format!("--platform={platform}"), "--network=none", "do", "true"].map(str::to_owned);
        command::run(&command, LIMIT).map_err(|e| command::last_line(&format!("{e:#}")))
    };
    let answers: Vec<_> = PLATFORMS.iter().map(|platform| (*platform, attempt(platform))).collect();
    choose(&answers, has_networks())
}

/// Whether gVisor can be given a network. It takes a namespace in which this file exists for the host's own, and
/// newer kernels show the file in every namespace.
fn has_networks() -> Networks {
    let fresh = thread::spawn(|| {
        // SAFETY: only the network of this thread changes, which ends at once and shares nothing else by it.
        let alone = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
        alone.map(|()| Path::new("/proc/sys/net/core/rmem_default").exists())
    });
    match fresh.join() {
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
        let told = |(platform, answer): &(&str, Result<String, String>)| {
            format!("--platform={platform}: {}", answer.as_ref().err().map_or("", String::as_str))
        };
        return Err(format!("it does not run here ({})", answers.iter().map(told).collect::<Vec<_>>().join("; ")));
    };
    let network = (networks == Networks::Refused).then(|| "--network=none".to_owned());
    Ok(network.into_iter().chain([format!("--platform={platform}")]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_platform_that_works_is_taken_with_a_network_where_there_can_be_one() {
        let answers = [("systrap", Err("unknown platform".to_owned())), ("ptrace", Ok(String::new()))];
        assert_eq!(choose(&answers, Networks::Refused).unwrap(), ["--network=none", "--platform=ptrace"]);
        assert_eq!(choose(&answers[1..], Networks::Offered).unwrap(), ["--platform=ptrace"]);
    }

    #[test]
    fn where_none_works_each_says_why() {
        let answers = [("systrap", Err("unknown".to_owned())), ("ptrace", Err("denied".to_owned()))];
        let why = choose(&answers, Networks::Refused).unwrap_err();
        assert_eq!(why, "it does not run here (--platform=systrap: unknown; --platform=ptrace: denied)");
    }
}
