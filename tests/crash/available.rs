//! The platforms that can run on this host, according to the bench targets, and `cargo xtask clean`.

use std::sync::OnceLock;

use featherweight::host::tools;
use featherweight::model::record::Experiment;

use crate::bench::{Desk, build};

/// Every kind of platform that makes something outside of the harness's process.
const CANDIDATES: [&str; 6] = ["native", "youki", "oci:runc", "docker", "docker-cli", "podman"];

/// The platforms that can run on this host. Prints why the others cannot.
pub(crate) fn platforms() -> &'static [&'static str] {
    static PLATFORMS: OnceLock<Vec<&str>> = OnceLock::new();
    PLATFORMS.get_or_init(|| CANDIDATES.into_iter().filter(|name| can_run(name)).collect())
}

/// The virtual machines that can run on this host.
pub(crate) fn machines() -> &'static [&'static str] {
    static MACHINES: OnceLock<Vec<&str>> = OnceLock::new();
    MACHINES.get_or_init(|| ["qemu:null", "qemu:linux"].into_iter().filter(|name| can_run(name)).collect())
}

/// Removes the platforms that cannot run on this host from `line`, whose first word lists platforms; `None` if none can.
pub(crate) fn only(line: &str) -> Option<String> {
    let (names, rest) = line.split_once(' ').unwrap_or((line, ""));
    let available: Vec<&str> = names.split(',').filter(|name| platforms().contains(name)).collect();
    (!available.is_empty()).then(|| format!("{} {rest}", available.join(",")))
}

fn can_run(platform: &str) -> bool {
    let plan = Desk::new().command(Experiment::Boot, &format!("--dry-run --platform {platform}")).output();
    let plan = plan.expect("it starts");
    if !plan.status.success() {
        eprintln!("{platform} is skipped: {}", String::from_utf8_lossy(&plan.stderr).trim());
    }
    plan.status.success()
}

/// Whether Nginx can be a victim. Prints why not.
pub(crate) fn has_servers() -> bool {
    static MISSING: OnceLock<Vec<&str>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| ["nginx", "wrk"].into_iter().filter(|it| tools::find(it).is_none()).collect());
    if !missing.is_empty() {
        eprintln!("no server can be a victim: {missing:?} is not installed");
    }
    missing.is_empty()
}

/// Runs `cargo xtask clean` on the ledgers of `desk`, asserts that it succeeds, and returns its output.
#[track_caller]
pub(crate) fn clean(desk: &Desk) -> String {
    static XTASK: OnceLock<std::path::PathBuf> = OnceLock::new();
    let xtask = XTASK.get_or_init(|| {
        build(&["test", "--workspace", "--no-run", "--test", "chores"]).remove("xtask").expect("built")
    });
    let mut command = std::process::Command::new(xtask);
    let done = command.arg("clean").env("FEATHERWEIGHT_STATE", desk.state()).output().expect("it starts");
    let output = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    assert!(done.status.success(), "{output}\n{}", String::from_utf8_lossy(&done.stderr));
    output
}
