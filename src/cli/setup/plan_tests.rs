//! From findings to plans.

use rstest::rstest;

use super::super::packages::choose;
use super::*;

const DEBIAN: &str = "ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME=Debian";
const UBUNTU: &str = "ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME=Ubuntu";
const FEDORA: &str = "ID=fedora\nPRETTY_NAME=Fedora";
const ARCH: &str = "ID=arch\nPRETTY_NAME=Arch";
const OTHER: &str = "ID=slackware\nPRETTY_NAME=Slackware";

/// A host of that distribution with none of the tools, whose package manager has whatever the table names.
fn bare(os_release: &str, only: &str) -> Findings {
    let names: Vec<_> = only.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let tools = choose(&names).unwrap();
    let distribution = Distribution::from_os_release(os_release);
    let first = |tool: &Tool, family: Family| -> Result<Vec<Package>, String> {
        let names = tool.packages(family).iter().map(|alternatives| alternatives[0]);
        let packages: Vec<_> = names.map(|name| Package { name: name.to_owned(), suite: None }).collect();
        if packages.is_empty() { Err("this system has no package of it".to_owned()) } else { Ok(packages) }
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
        compiler: Presence::There,
        gvisor: None,
    }
}

/// The same host with every tool and a daemon that knows all runtimes.
fn complete() -> Findings {
    let mut findings = bare(DEBIAN, "");
    findings.tools.iter_mut().for_each(|(_, state)| *state = Presence::There);
    findings.packages.clear();
    findings.daemon_json = Some(r#"{"runtimes": {"crun": {}, "runsc": {}}}"#.to_owned());
    findings.engine = Engine::Answers { runtimes: ["crun", "runc", "runsc"].map(str::to_owned).to_vec() };
    findings
}

/// The steps by their first words.
fn steps(plan: &SetupPlan) -> Vec<String> {
    plan.steps.iter().map(|step| step.to_string().lines().next().unwrap().to_owned()).collect()
}

#[test]
fn where_nothing_is_missing_there_is_nothing_to_do() {
    let plan = SetupPlan::of(&complete());
    assert_eq!((plan.steps, plan.notes), (Vec::new(), Vec::new()));
}

#[rstest]
#[case::debian(DEBIAN, "apt-get install", " gcc libc6-dev docker.io docker-cli crun runc runsc podman ", &[])]
#[case::ubuntu(UBUNTU, "apt-get install", " nginx-light qemu-system-x86 mmdebstrap e2fsprogs", &[])]
#[case::fedora(FEDORA, "dnf install", " moby-engine ", &["runsc"])]
#[case::arch(ARCH, "pacman --sync", " docker crun runc podman wrk redis nginx ", &["runsc", "mmdebstrap"])]
fn a_bare_host_gets_all_that_its_distribution_has(
    #[case] os_release: &str,
    #[case] command: &str,
    #[case] packages: &str,
    #[case] absent: &[&str],
) {
    let plan = SetupPlan::of(&bare(os_release, ""));
    let install = plan.steps[0].to_string();
    assert!(install.contains(command) && install.contains(packages), "{install}");
    let told: Vec<_> = plan.notes.iter().map(|note| note.split(": ").next().unwrap()).collect();
    assert_eq!(told, absent, "{:?}", plan.notes);
    assert!(plan.notes.iter().all(|note| note.contains("; https://")));
    assert!(plan.next[0].contains("cargo xtask images --platform debian"), "{:?}", plan.next);
    assert_eq!(steps(&plan).last().unwrap(), "start Docker in a session of its own");
}

#[test]
fn an_unknown_system_gets_no_step_and_is_told_where_each_tool_is() {
    let plan = SetupPlan::of(&bare(OTHER, "docker,wrk"));
    assert_eq!(plan.steps, []);
    let expected = "wrk: setup knows no package manager of Slackware; https://github.com/wg/wrk";
    assert_eq!((plan.notes.len(), plan.notes[1].as_str()), (2, expected));
}

#[rstest]
#[case::systemd(Init::Systemd, "systemctl start docker")]
#[case::no_systemd(Init::Other, "cargo xtask setup --stop")]
fn the_daemon_is_started_by_whatever_starts_services(#[case] init: Init, #[case] expected: &str) {
    let plan = SetupPlan::of(&Findings { init, ..bare(DEBIAN, "docker") });
    let start = plan.steps.last().unwrap().to_string();
    assert!(start.contains(expected), "{start}");
    assert_eq!(plan.steps.len(), 2, "no runtime was asked for");
}

#[test]
fn stale_lists_are_fetched_first_where_packages_are_missing() {
    let stale = Findings { lists: Lists::Stale, ..bare(DEBIAN, "wrk") };
    assert_eq!(steps(&SetupPlan::of(&stale)), ["fetch the lists of packages", "install wrk"]);
    assert_eq!(SetupPlan::of(&Findings { lists: Lists::Stale, ..complete() }).steps, []);
}

#[test]
fn what_the_package_manager_cannot_install_is_told_and_the_rest_is_installed() {
    let mut findings = bare(DEBIAN, "wrk,qemu");
    findings.packages.insert("qemu", Err("the package manager cannot install qemu-system-x86".to_owned()));
    let plan = SetupPlan::of(&findings);
    assert_eq!(steps(&plan), ["install wrk"]);
    assert_eq!(
        plan.notes,
        ["qemu: the package manager cannot install qemu-system-x86; https://www.qemu.org/download/"]
    );
}

/// Debian with lists that do not have the suite of backports, whose own suite refuses QEMU.
fn refusing(lists: Lists) -> Findings {
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
fn a_tool_that_its_suite_refuses_gets_the_suite_of_backports_first() {
    let plan = SetupPlan::of(&refusing(Lists::Fresh));
    let added = "add the suite bookworm-backports for qemu, refused without it
     write /etc/apt/sources.list.d/featherweight-backports.list:
       # Written by Featherweight's setup, from the list beside it. It can be removed at any time.
       deb http://mirror.example/debian bookworm-backports main
     apt-get update
     take it back with: rm /etc/apt/sources.list.d/featherweight-backports.list && apt-get update";
    assert_eq!(plan.steps[0].to_string(), added);
    let install = plan.steps[1].to_string();
    let commands: Vec<_> = install.lines().skip(1).collect();
    assert!(commands[0].ends_with(" wrk") && !commands[0].contains("target-release"), "{install}");
    assert!(commands[1].ends_with("--target-release bookworm-backports qemu-system-x86"), "{install}");
    assert_eq!((plan.steps.len(), plan.notes.len()), (2, 0));
}

#[test]
fn where_nothing_is_refused_no_suite_is_added() {
    let mut findings = refusing(Lists::Fresh);
    findings.packages.insert("qemu", bare(DEBIAN, "qemu").packages["qemu"].clone());
    assert_eq!(steps(&SetupPlan::of(&findings)), ["install wrk, qemu"]);
}

#[test]
fn lists_that_are_not_there_yet_may_show_that_the_suite_is_needed() {
    let expected = [
        "fetch the lists of packages",
        "add the suite bookworm-backports if any of wrk, qemu is refused without it",
        "install wrk, qemu",
    ];
    assert_eq!(steps(&SetupPlan::of(&refusing(Lists::Stale))), expected);
}

#[test]
fn services_of_new_packages_are_left_off_on_debian_alone() {
    let install = |os_release| SetupPlan::of(&bare(os_release, "nginx,redis")).steps[0].to_string();
    assert!(
        install(DEBIAN)
            .ends_with("and leave those of the services redis-server, nginx that are new stopped and disabled")
    );
    assert!(!install(FEDORA).contains("services"));
}

#[rstest]
#[case::version_2(CgroupMode::V2, Presence::Missing, 1)]
#[case::hybrid(CgroupMode::Hybrid, Presence::Missing, 2)]
#[case::hybrid_with_the_launcher(CgroupMode::Hybrid, Presence::There, 1)]
fn crun_gets_its_launcher_on_hybrid_hosts_alone(
    #[case] cgroups: CgroupMode,
    #[case] crun_v1: Presence,
    #[case] before_reload: usize,
) {
    let engine = Engine::Answers { runtimes: vec!["runc".to_owned()] };
    let plan = SetupPlan::of(&Findings { cgroups, crun_v1, engine, daemon_json: None, ..complete() });
    assert_eq!(plan.steps.len(), before_reload + 1, "{:?}", steps(&plan));
    assert_eq!(plan.steps[before_reload], Step::Reload(Init::Other));
    assert_eq!(plan.steps[before_reload - 1], Step::Configure { runtimes: vec!["crun", "runsc"] });
}

#[test]
fn a_launcher_in_use_is_built_again_when_it_is_out_of_date_and_a_users_own_is_left() {
    let file = |path: &str| Some(format!(r#"{{"runtimes": {{"crun": {{"path": "{path}"}}, "runsc": {{}}}}}}"#));
    let hybrid = Findings { cgroups: CgroupMode::Hybrid, ..complete() };
    let plan = |path: &str| SetupPlan::of(&Findings { daemon_json: file(path), ..hybrid.clone() });
    assert_eq!(plan(CRUN_V1).steps, [Step::BuildCrunV1]);
    assert_eq!(plan("/opt/crun").steps, []);
}

#[test]
fn without_a_compiler_crun_is_left_out_on_hybrid_hosts_with_the_reason() {
    let mut findings = bare(DEBIAN, "docker,crun");
    (findings.cgroups, findings.compiler) = (CgroupMode::Hybrid, Presence::Missing);
    let plan = SetupPlan::of(&findings);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::Configure { .. } | Step::BuildCrunV1)));
    assert!(plan.notes[0].starts_with("crun as a runtime of Docker's: control groups are hybrid"), "{:?}", plan.notes);
}

#[test]
fn a_gvisor_that_does_not_run_here_is_left_out_with_its_reason() {
    let engine = Engine::Answers { runtimes: vec!["crun".to_owned()] };
    let daemon_json = Some(r#"{"runtimes": {"crun": {}}}"#.to_owned());
    let gvisor = Some(Err("it does not run here".to_owned()));
    let plan = SetupPlan::of(&Findings { engine, daemon_json, gvisor, ..complete() });
    assert_eq!(
        (plan.steps.len(), plan.notes),
        (0, vec!["runsc as a runtime of Docker's: it does not run here".into()])
    );
}

#[test]
fn a_daemon_that_has_not_read_its_file_is_reloaded() {
    let engine = Engine::Answers { runtimes: vec!["runc".to_owned()] };
    let plan = SetupPlan::of(&Findings { engine, init: Init::Systemd, ..complete() });
    assert_eq!(plan.steps, [Step::Reload(Init::Systemd)]);
}

#[test]
fn runtimes_that_the_daemon_knows_from_its_options_are_not_added_to_the_file() {
    let plan = SetupPlan::of(&Findings { daemon_json: None, ..complete() });
    assert_eq!(plan.steps, []);
}

#[test]
fn a_file_that_cannot_be_read_is_left_alone() {
    let plan = SetupPlan::of(&Findings { daemon_json: Some("{,}".to_owned()), ..complete() });
    assert_eq!(plan.steps, []);
    assert!(plan.notes[0].contains("is no JSON") && plan.notes[0].contains("left alone"), "{:?}", plan.notes);
}

#[rstest]
#[case::silent(Engine::Silent { pid: 7 }, "dockerd runs as process 7 and does not answer")]
#[case::elsewhere(Engine::Elsewhere { host: "tcp://far:2376".into() }, "DOCKER_HOST names tcp://far:2376")]
fn no_second_daemon_is_started(#[case] engine: Engine, #[case] told: &str) {
    let plan = SetupPlan::of(&Findings { engine, ..complete() });
    assert_eq!(plan.steps, []);
    assert!(plan.notes[0].contains(told), "{:?}", plan.notes);
}

#[rstest]
#[case::all_in_its_file(complete().daemon_json, 0)]
#[case::an_empty_file(None, 2)]
fn a_daemon_that_may_not_be_asked_is_judged_by_its_file(#[case] daemon_json: Option<String>, #[case] steps: usize) {
    let findings = Findings { engine: Engine::Closed, daemon_json, privilege: Privilege::Sudo, ..complete() };
    assert_eq!(SetupPlan::of(&findings).steps.len(), steps);
}
