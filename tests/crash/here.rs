//! What can run on this host, by asking the targets themselves; and the project's own broom.

use std::sync::OnceLock;

use featherweight::host::tools;
use featherweight::model::record::Experiment;

use crate::bench::{Desk, build};

/// Every kind of platform that makes something outside the harness's own process.
const CANDIDATES: [&str; 6] = ["native", "youki", "oci:runc", "docker", "docker-cli", "podman"];

/// The platforms that can run here; why the others are left out is said.
pub(crate) fn platforms() -> &'static [&'static str] {
    static HERE: OnceLock<Vec<&str>> = OnceLock::new();
    HERE.get_or_init(|| CANDIDATES.into_iter().filter(|name| runs(name)).collect())
}

/// The virtual machines that can run here.
pub(crate) fn machines() -> &'static [&'static str] {
    static HERE: OnceLock<Vec<&str>> = OnceLock::new();
    HERE.get_or_init(|| ["qemu:null", "qemu:linux"].into_iter().filter(|name| runs(name)).collect())
}

/// The platforms in `line`, whose first word lists them, that can run here, with the rest of the line; `None` for none.
pub(crate) fn those_of(line: &str) -> Option<String> {
    let (names, rest) = line.split_once(' ').unwrap_or((line, ""));
    let here: Vec<&str> = names.split(',').filter(|name| platforms().contains(name)).collect();
    (!here.is_empty()).then(|| format!("{} {rest}", here.join(",")))
}

fn runs(platform: &str) -> bool {
    let plan = Desk::new().command(Experiment::Boot, &format!("--dry-run --platform {platform}")).output();
    let plan = plan.expect("it starts");
    if !plan.status.success() {
        eprintln!("{platform} is left out: {}", String::from_utf8_lossy(&plan.stderr).trim());
    }
    plan.status.success()
}

/// Whether Nginx can be a victim; why not is said.
pub(crate) fn has_servers() -> bool {
    static LACKING: OnceLock<Vec<&str>> = OnceLock::new();
    let missing_guests =
        LACKING.get_or_init(|| ["nginx", "wrk"].into_iter().filter(|it| tools::find(it).is_none()).collect());
    if !missing_guests.is_empty() {
        eprintln!("no server is a victim: {missing_guests:?} is not installed");
    }
    missing_guests.is_empty()
}

/// `cargo xtask clean` over the ledgers of `desk`, which must leave nothing: what it says.
#[track_caller]
pub(crate) fn clean(desk: &Desk) -> String {
    static XTASK: OnceLock<std::path::PathBuf> = OnceLock::new();
    let xtask = XTASK.get_or_init(|| {
        build(&["test", "--workspace", "--no-run", "--test", "chores"]).remove("xtask").expect("built")
    });
    let mut command = std::process::Command::new(xtask);
    let done = command.arg("clean").env("FEATHERWEIGHT_STATE", desk.state()).output().expect("it starts");
    let said = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    said
}
