//! Tests of plans for hosts in different states.

use rstest::rstest;

use super::super::packages::choose;
use super::*;

const DEBIAN: &str = "ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME=Debian";
const UBUNTU: &str = "ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=Ubuntu";
const FEDORA: &str = "ID=fedora\nPRETTY_NAME=Fedora";
const ARCH: &str = "ID=arch\nPRETTY_NAME=Arch";
const OTHER: &str = "ID=slackware\nPRETTY_NAME=Slackware";

/// A host without tools, whose package manager offers the first package of every alternative.
fn bare(os_release: &str, only: &str) -> Findings {
    let names: Vec<_> = only.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let tools = choose(&names).unwrap();
    let distribution = Distribution::from_os_release(os_release);
    let first = |tool: &Tool, family: Family| -> Result<Vec<Package>, String> {
        let names = tool.packages(family).iter().map(|alternatives| alternatives[0]);
        let packages: Vec<_> = names.map(|name| Package { name: name.to_owned(), suite: None }).collect();
        if packages.is_empty() { Err("no package in this distribution".to_owned()) } else { Ok(packages) }
    };
    let family = distribution.family;
    Findings {
        packages: family.into_iter().flat_map(|f| tools.iter().map(move |t| (t.name, first(t, f)))).collect(),
        distribution,
        privilege: Privilege::Root,
        init: Init::Other,
        tools: tools.into_iter().map(|tool| (tool, Presence::Missing)).collect(),
        lists: Lists::Fresh,
        backports: None,
        engine: Engine::Down,
        daemon_json: None,
        cgroups: CgroupMode::V2,
        crun_v1: Presence::Missing,
        compiler: Presence::Installed,
        gvisor: None,
    }
}

/// A host with every tool and a daemon with all runtimes.
fn complete() -> Findings {
    let mut findings = bare(DEBIAN, "");
    findings.tools.iter_mut().for_each(|(_, state)| *state = Presence::Installed);
    findings.packages.clear();
    findings.daemon_json = Some(r#"{"runtimes": {"crun": {}, "runsc": {}}}"#.to_owned());
    findings.engine = Engine::Answers { runtimes: ["crun", "runc", "runsc"].map(str::to_owned).to_vec() };
    findings
}

/// The titles of the steps.
fn steps(plan: &SetupPlan) -> Vec<String> {
    plan.steps.iter().map(|step| step.to_string().lines().next().unwrap().to_owned()).collect()
}

#[test]
fn the_plan_is_empty_if_nothing_is_missing() {
    let plan = SetupPlan::new(&complete());
    assert_eq!((plan.steps, plan.notes), (Vec::new(), Vec::new()));
}

#[rstest]
#[case::debian(DEBIAN, "apt-get install", " gcc libc6-dev crun runc runsc docker.io docker-cli podman ", &[])]
#[case::ubuntu(UBUNTU, "apt-get install", " qemu-system-x86 mmdebstrap e2fsprogs wrk ", &[])]
#[case::fedora(FEDORA, "dnf install", " moby-engine ", &["runsc"])]
#[case::arch(ARCH, "pacman --sync", " crun runc docker podman ", &["runsc", "mmdebstrap"])]
fn a_bare_host_gets_everything_that_its_distribution_offers(
    #[case] os_release: &str,
    #[case] command: &str,
    #[case] packages: &str,
    #[case] absent: &[&str],
) {
    let plan = SetupPlan::new(&bare(os_release, ""));
    let install = plan.steps[0].to_string();
    assert!(install.contains(command) && install.contains(packages), "{install}");
    let noted: Vec<_> = plan.notes.iter().map(|note| note.split(": ").next().unwrap()).collect();
    assert_eq!(noted, absent, "{:?}", plan.notes);
    assert!(plan.notes.iter().all(|note| note.contains("; see https://")));
    assert!(plan.next[0].contains("cargo xtask images --platform debian"), "{:?}", plan.next);
    assert_eq!(steps(&plan).last().unwrap(), "start Docker in its own session");
}

#[test]
fn an_unknown_distribution_gets_no_steps_but_links() {
    let plan = SetupPlan::new(&bare(OTHER, "docker,wrk"));
    assert_eq!(plan.steps, []);
    let expected = "wrk: unsupported distribution Slackware; see https://github.com/wg/wrk";
    assert_eq!((plan.notes.len(), plan.notes[1].as_str()), (2, expected));
}

#[rstest]
#[case::systemd(Init::Systemd, "systemctl start docker")]
#[case::no_systemd(Init::Other, "cargo xtask setup --stop")]
fn the_daemon_is_started_by_the_service_manager(#[case] init: Init, #[case] expected: &str) {
    let plan = SetupPlan::new(&Findings { init, ..bare(DEBIAN, "docker") });
    let start = plan.steps.last().unwrap().to_string();
    assert!(start.contains(expected), "{start}");
    assert_eq!(plan.steps.len(), 2, "no runtime was selected");
}

#[test]
fn stale_lists_are_updated_first_if_packages_are_missing() {
    let stale = Findings { lists: Lists::Stale, ..bare(DEBIAN, "wrk") };
    assert_eq!(steps(&SetupPlan::new(&stale)), ["update the package lists", "install wrk"]);
    assert_eq!(SetupPlan::new(&Findings { lists: Lists::Stale, ..complete() }).steps, []);
}

#[test]
fn unavailable_tools_are_noted_and_others_installed() {
    let mut findings = bare(DEBIAN, "wrk,qemu");
    findings.packages.insert("qemu", Err("unavailable packages: qemu-system-x86".to_owned()));
    let plan = SetupPlan::new(&findings);
    assert_eq!(steps(&plan), ["install wrk"]);
    assert_eq!(plan.notes, ["qemu: unavailable packages: qemu-system-x86; see https://www.qemu.org/download/"]);
}

/// A Debian without backports, whose default suite does not offer QEMU.
fn without_qemu(lists: Lists) -> Findings {
    let stock = ("debian.list".to_owned(), "deb http://mirror.example/debian bookworm main\n".to_owned());
    let mut findings = bare(DEBIAN, "wrk,qemu");
    findings.lists = lists;
    findings.backports = super::super::sources::missing(&[stock], "bookworm-backports");
    if lists == Lists::Fresh {
        findings.packages.insert("qemu", Err("packages need to be removed".to_owned()));
    }
    findings
}

#[test]
fn backports_are_added_for_an_unavailable_tool() {
    let plan = SetupPlan::new(&without_qemu(Lists::Fresh));
    let added = "add the suite bookworm-backports for qemu
     write /etc/apt/sources.list.d/featherweight-backports.list:
       # Written by Featherweight's setup, with the mirror of the system's own list. You can remove it at any time.
       deb http://mirror.example/debian bookworm-backports main
     apt-get update
     undo with: rm /etc/apt/sources.list.d/featherweight-backports.list && apt-get update";
    assert_eq!(plan.steps[0].to_string(), added);
    let install = plan.steps[1].to_string();
    let commands: Vec<_> = install.lines().skip(1).collect();
    assert!(commands[0].ends_with(" wrk") && !commands[0].contains("target-release"), "{install}");
    assert!(commands[1].ends_with("--target-release bookworm-backports qemu-system-x86"), "{install}");
    assert_eq!((plan.steps.len(), plan.notes.len()), (2, 0));
}

#[test]
fn no_suite_is_added_if_all_tools_are_available() {
    let mut findings = without_qemu(Lists::Fresh);
    findings.packages.insert("qemu", bare(DEBIAN, "qemu").packages["qemu"].clone());
    assert_eq!(steps(&SetupPlan::new(&findings)), ["install qemu, wrk"]);
}

#[test]
fn stale_lists_may_require_backports() {
    let expected = [
        "update the package lists",
        "add the suite bookworm-backports if any of qemu, wrk needs it",
        "install qemu, wrk",
    ];
    assert_eq!(steps(&SetupPlan::new(&without_qemu(Lists::Stale))), expected);
}

#[test]
fn only_debians_new_services_are_disabled() {
    let install = |os_release| SetupPlan::new(&bare(os_release, "nginx,redis")).steps[0].to_string();
    assert!(install(DEBIAN).ends_with("stop and disable newly installed services among redis-server, nginx"));
    assert!(!install(FEDORA).contains("services"));
}

#[rstest]
#[case::version_2(CgroupMode::V2, Presence::Missing, 1)]
#[case::hybrid(CgroupMode::Hybrid, Presence::Missing, 2)]
#[case::hybrid_with_the_launcher(CgroupMode::Hybrid, Presence::Installed, 1)]
fn crun_gets_its_launcher_only_on_hybrid_hosts(
    #[case] cgroups: CgroupMode,
    #[case] crun_v1: Presence,
    #[case] before_reload: usize,
) {
    let engine = Engine::Answers { runtimes: vec!["runc".to_owned()] };
    let plan = SetupPlan::new(&Findings { cgroups, crun_v1, engine, daemon_json: None, ..complete() });
    assert_eq!(plan.steps.len(), before_reload + 1, "{:?}", steps(&plan));
    assert_eq!(plan.steps[before_reload], Step::Reload(Init::Other));
    assert_eq!(plan.steps[before_reload - 1], Step::Configure { runtimes: vec!["crun", "runsc"] });
}

#[test]
fn an_outdated_launcher_in_use_is_rebuilt_and_a_users_own_is_kept() {
    let file = |path: &str| Some(format!(r#"{{"runtimes": {{"crun": {{"path": "{path}"}}, "runsc": {{}}}}}}"#));
    let hybrid = Findings { cgroups: CgroupMode::Hybrid, ..complete() };
    let plan = |path: &str| SetupPlan::new(&Findings { daemon_json: file(path), ..hybrid.clone() });
    assert_eq!(plan(CRUN_V1).steps, [Step::BuildCrunV1]);
    assert_eq!(plan("/opt/crun").steps, []);
}

#[test]
fn a_note_explains_why_crun_is_skipped_without_a_compiler() {
    let mut findings = bare(DEBIAN, "docker,crun");
    (findings.cgroups, findings.compiler) = (CgroupMode::Hybrid, Presence::Missing);
    let plan = SetupPlan::new(&findings);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Configure { .. } | Step::BuildCrunV1)));
    assert!(
        plan.notes[0].starts_with("crun as a runtime of Docker: crun rejects this host's hybrid"),
        "{:?}",
        plan.notes
    );
}

#[test]
fn a_note_explains_why_gvisor_is_skipped() {
    let engine = Engine::Answers { runtimes: vec!["crun".to_owned()] };
    let daemon_json = Some(r#"{"runtimes": {"crun": {}}}"#.to_owned());
    let gvisor = Some(Err("gVisor does not run on this host".to_owned()));
    let plan = SetupPlan::new(&Findings { engine, daemon_json, gvisor, ..complete() });
    assert_eq!(
        (plan.steps.len(), plan.notes),
        (0, vec!["runsc as a runtime of Docker: gVisor does not run on this host".into()])
    );
}

#[test]
fn a_daemon_without_the_runtimes_of_its_file_is_reloaded() {
    let engine = Engine::Answers { runtimes: vec!["runc".to_owned()] };
    let plan = SetupPlan::new(&Findings { engine, init: Init::Systemd, ..complete() });
    assert_eq!(plan.steps, [Step::Reload(Init::Systemd)]);
}

#[test]
fn runtimes_that_the_daemon_already_has_are_not_added_to_the_file() {
    let plan = SetupPlan::new(&Findings { daemon_json: None, ..complete() });
    assert_eq!(plan.steps, []);
}

#[test]
fn an_invalid_file_is_not_changed() {
    let plan = SetupPlan::new(&Findings { daemon_json: Some("{,}".to_owned()), ..complete() });
    assert_eq!(plan.steps, []);
    assert!(plan.notes[0].contains("invalid JSON") && plan.notes[0].contains("was not changed"), "{:?}", plan.notes);
}

#[rstest]
#[case::silent(Engine::Silent { pid: 7 }, "dockerd (process 7) does not answer")]
#[case::elsewhere(Engine::Elsewhere { host: "tcp://far:2376".into() }, "DOCKER_HOST is tcp://far:2376")]
fn no_second_daemon_is_started(#[case] engine: Engine, #[case] message: &str) {
    let plan = SetupPlan::new(&Findings { engine, ..complete() });
    assert_eq!(plan.steps, []);
    assert!(plan.notes[0].contains(message), "{:?}", plan.notes);
}

#[rstest]
#[case::all_in_its_file(complete().daemon_json, 0)]
#[case::an_empty_file(None, 2)]
fn an_inaccessible_daemon_is_planned_by_its_file(#[case] daemon_json: Option<String>, #[case] steps: usize) {
    let findings = Findings { engine: Engine::Closed, daemon_json, privilege: Privilege::Sudo, ..complete() };
    assert_eq!(SetupPlan::new(&findings).steps.len(), steps);
}
