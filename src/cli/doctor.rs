//! `cargo xtask doctor`: what can run here, what cannot and why, and what to do about it.
//!
//! It changes nothing on the host. The output has no colors, so `NO_COLOR` has nothing to turn off.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::folders::Folders;
use crate::host::limits::{self, Limits, Needs, Shortfall};
use crate::host::placement;
use crate::host::{HostFacts, Topology, tools};
use crate::model::placement::Placement;
use crate::model::units::Bytes;
use crate::platform::ResourceCost;
use crate::platform::registry::{self, Isolation, Need};
use anyhow::Context;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::cli::platforms::{self, Answer};
use crate::cli::setup::{self, TOOLS, Tool, ToolSelection};

/// The most instances of a step of the suite.
const MOST_INSTANCES: u64 = 1000;

/// Files that the harness keeps open for an instance.
const FILES_EACH: u64 = 4;

/// Show what can run here, what cannot and why, and what to do about it; changes nothing
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Print one JSON object, for programs
    #[arg(long)]
    json: bool,
    /// Print the platforms that a short run in CI measures on this host, one per line
    #[arg(long, hide = true, conflicts_with = "json")]
    smoke: bool,
}

/// Everything that doctor checked.
#[derive(Debug, Serialize)]
struct Findings {
    facts: HostFacts,
    topology: String,
    /// The CPUs under each placement, or why the host does not have it.
    placements: Vec<Finding>,
    /// The limits that are too low for a thousand instances.
    limits: Vec<Shortfall>,
    toolchain: Vec<Finding>,
    /// The tools that setup installs.
    tools: Vec<Finding>,
    access: Vec<Finding>,
    platforms: Vec<Finding>,
}

/// Something that is available, or not.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    /// Available, with details.
    Ok { detail: String },
    /// Not available, with the reason, and the remedy if there is one.
    Missing { reason: String },
}

impl Doctor {
    /// Prints what can run here.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::code`] gives its exit code.
    pub fn run(self) -> anyhow::Result<()> {
        let answers = platforms::survey()?;
        if self.smoke {
            smoke_platforms(&answers).iter().for_each(|name| println!("{name}"));
            return Ok(());
        }
        let findings = Findings::gather(&answers)?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&findings)?),
            false => println!("{}", findings.as_text()),
        }
        Ok(())
    }
}

impl Findings {
    fn gather(platforms: &[Answer]) -> anyhow::Result<Self> {
        let usable = placement::usable_cpus().context("ask for the usable CPUs")?;
        let topology = Topology::read(Path::new("/sys"), &usable)?;
        let facts = HostFacts::survey(&Folders::from_env().project);
        Ok(Self {
            topology: topology.in_words(),
            placements: Placement::ALL.iter().map(|&p| placement_finding(&topology, p)).collect(),
            limits: limits::check(&Limits::read(Path::new("/")), &thousand()),
            toolchain: toolchain()?,
            tools: tools_found(),
            access: access(&facts),
            platforms: platforms.iter().map(|(id, answer)| Finding::of(id, answer.clone())).collect(),
            facts,
        })
    }

    fn as_text(&self) -> String {
        let mut sections = vec![
            section("Host", self.host_rows()),
            section("Placements", rows(&self.placements)),
            section("Limits for 1,000 instances", limit_rows(&self.limits)),
            section("Guest programs", rows(&self.toolchain)),
            section("Tools", rows(&self.tools)),
            section("Access", rows(&self.access)),
        ];
        if !self.platforms.is_empty() {
            sections.push(section("Platforms", rows(&self.platforms)));
        }
        sections.join("\n\n")
    }

    fn host_rows(&self) -> Vec<[String; 3]> {
        let f = &self.facts;
        let yes_no = |b: bool| if b { "yes" } else { "no" }.to_owned();
        let facts = [
            ("processor", f.cpu_model.clone()),
            ("topology", Some(self.topology.clone())),
            ("governor", Some(f.governors.iter().cloned().collect::<Vec<_>>().join(", ")).filter(|g| !g.is_empty())),
            ("turbo", f.turbo.map(yes_no)),
            ("memory", f.memory.map(|b| b.to_string())),
            ("swap", f.swap.map(|b| b.to_string())),
            ("system", f.os.clone()),
            ("kernel", f.kernel.clone()),
            ("control groups", f.cgroup.clone()),
            ("virtual machine", f.virtualized.map(yes_no)),
            ("clock source", f.clock_source.clone()),
            ("huge pages", f.transparent_hugepages.clone()),
        ];
        let row =
            |(what, value): (&str, Option<String>)| [what.to_owned(), String::new(), value.unwrap_or_else(unknown)];
        let tool = |(name, version): (&String, &Option<String>)| {
            [name.clone(), String::new(), version.clone().unwrap_or_else(unknown)]
        };
        // The tools that setup installs have their own section.
        let others = f.tools.iter().filter(|(name, _)| TOOLS.iter().all(|t| !has_program(t, name)));
        facts.into_iter().map(row).chain(others.map(tool)).collect()
    }
}

impl Finding {
    fn of(what: &str, answer: Result<String, String>) -> Self {
        let state = match answer {
            Ok(detail) => State::Ok { detail },
            Err(reason) => State::Missing { reason },
        };
        Self { what: what.to_owned(), state }
    }

    fn row(&self) -> [String; 3] {
        let (word, text) = match &self.state {
            State::Ok { detail } => ("ok", detail),
            State::Missing { reason } => ("no", reason),
        };
        [self.what.clone(), word.to_owned(), text.clone()]
    }
}

/// The platforms of a short run in CI. What is built in must work there, so it is listed even if its check fails; the
/// others are listed if they can run here, and the reasons of those that cannot go to standard error.
fn smoke_platforms(answers: &[Answer]) -> Vec<String> {
    let is_root = HostFacts::read(Path::new("/")).is_root();
    let mut names = Vec::new();
    for entry in registry::ENTRIES {
        for variant in entry.variants.iter().filter(|variant| variant.in_smoke_run) {
            let answer = answers.iter().find(|(name, _)| name == variant.name).map(|(_, answer)| answer);
            let must_work = entry.is_built_in() && (is_root || !entry.needs(Need::Root));
            match answer {
                Some(Err(reason)) if !must_work => eprintln!("{} is skipped: {reason}", variant.name),
                _ => names.push(variant.name.to_owned()),
            }
        }
    }
    names
}

/// What the suite's largest step needs: a thousand small containers on the platform that costs the most.
fn thousand() -> Needs {
    let containers = registry::ENTRIES.iter().filter(|entry| entry.isolation == Isolation::Container);
    let costs: Vec<ResourceCost> = containers.map(|entry| entry.cost).collect();
    let most = |value: fn(&ResourceCost) -> u64| costs.iter().map(value).max().unwrap_or(0);
    Needs {
        instances: MOST_INSTANCES,
        processes_each: most(|cost| cost.tasks),
        own_processes_each: 0,
        processes_more: 0,
        fds_each: FILES_EACH,
        inotify_each: most(|cost| cost.inotify),
        neighbors_each: most(|cost| cost.neighbors),
        memory_each: Bytes(most(|cost| cost.memory.0)),
        own_memory_each: Bytes(0),
    }
}

fn placement_finding(topology: &Topology, placement: Placement) -> Finding {
    let assignment = placement::assign(topology, placement).map_err(|e| e.reason.to_string());
    Finding::of(placement.name(), assignment.map(|assignment| describe(&assignment)))
}

fn describe(assignment: &placement::Assignment) -> String {
    let placement::Assignment { victim, attackers, harness, .. } = assignment;
    match attackers.as_slice() {
        _ if victim.is_empty() => "the scheduler decides".to_owned(),
        [] => format!("victim on CPU {victim}, harness on {harness}"),
        [attacker] => format!("victim on CPU {victim}, attacker on {attacker}, harness on {harness}"),
        several => format!("victim on CPU {victim}, {} attackers, harness on {harness}", several.len()),
    }
}

/// The sections that doctor prints again after setup.
///
/// # Errors
/// Fails if the platforms cannot be checked.
pub(in crate::cli) fn after_setup() -> anyhow::Result<String> {
    let platforms: Vec<_> = platforms::survey()?.into_iter().map(|(id, answer)| Finding::of(&id, answer)).collect();
    Ok(format!("{}\n\n{}", section("Tools", rows(&tools_found())), section("Platforms", rows(&platforms))))
}

/// Every program that setup installs by default, and Docker's daemon.
fn tools_found() -> Vec<Finding> {
    let program = |tool: &Tool, (name, how): (&str, &str)| {
        let installed = setup::find(name).map(|path| tools::version(&path, &[how], Duration::from_secs(10)));
        let version = installed.map(|version| version.unwrap_or_else(|| "installed; unknown version".to_owned()));
        let missing = || format!("not installed; cargo xtask setup --only {}", tool.name);
        Finding::of(name, version.ok_or_else(missing))
    };
    let always = TOOLS.iter().filter(|tool| tool.wanted == ToolSelection::Always);
    let programs = always.flat_map(|tool| tool.programs.iter().map(move |&entry| program(tool, entry)));
    programs.chain([Finding::of("Docker's daemon", setup::docker_answers())]).collect()
}

fn has_program(tool: &Tool, name: &str) -> bool {
    tool.programs.iter().any(|(program, _)| *program == name)
}

/// Tests whether there is a compiler and whether it links static programs.
fn toolchain() -> anyhow::Result<Vec<Finding>> {
    let dir = tempfile::tempdir().context("make a folder for the probe")?;
    let source = dir.path().join("probe.c");
    fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"probe 1\"); return 0; }\n")?;
    let compiler = match tools::find("cc") {
        Some(path) => Ok(path.display().to_string()),
        None => Err("no `cc` in PATH; install a C compiler (gcc or clang)".to_owned()),
    };
    let cure = "install the static C library (Debian libc6-dev, Fedora glibc-static, Alpine musl-dev)";
    let linked = match &compiler {
        Ok(cc) => link_and_run(cc, &source).map_err(|reason| format!("{reason}; {cure}")),
        Err(_) => Err("needs the C compiler".to_owned()),
    };
    Ok(vec![Finding::of("C compiler", compiler), Finding::of("static C library", linked)])
}

fn link_and_run(cc: &str, source: &Path) -> Result<String, String> {
    let program = source.with_extension("");
    let compile = Command::new(cc).arg("-static").arg("-o").arg(&program).arg(source).stdin(Stdio::null()).output();
    let output = compile.map_err(|e| format!("{cc} does not start: {e}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`cc -static` fails: {}", errors.lines().next().unwrap_or("no message").trim()));
    }
    match tools::version(&program, &[], Duration::from_secs(10)).as_deref() {
        Some("probe 1") => Ok("a static program links and runs".to_owned()),
        other => Err(format!("a static program links but does not run: it printed {other:?}")),
    }
}

fn access(facts: &HostFacts) -> Vec<Finding> {
    let root = match facts.is_root() {
        true => Ok("all platforms can be tried".to_owned()),
        false => Err("not root: containers, limits and raised kernel limits need it; `native` runs without".to_owned()),
    };
    let mode = facts.cgroup.clone().ok_or_else(|| "no control groups are mounted under /sys/fs/cgroup".to_owned());
    let groups = mode.and_then(|mode| match is_writable(Path::new("/sys/fs/cgroup")) {
        true => Ok(format!("{mode}, writable")),
        false => Err(format!("{mode}, but not writable by this user")),
    });
    let kvm = match fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Ok("can be opened; each platform tests whether guests run".to_owned()),
        Err(e) => Err(format!("/dev/kvm: {e}; virtual machines are emulated")),
    };
    vec![Finding::of("root", root), Finding::of("control groups", groups), Finding::of("KVM", kvm)]
}

/// Whether this user may create folders in `dir` or, if hierarchies are mounted separately, in one of them.
fn is_writable(dir: &Path) -> bool {
    // Opening checks the permission to move processes into the group, and writes nothing.
    let may_write = |p: &Path| fs::OpenOptions::new().write(true).open(p).is_ok();
    let mut inside = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    may_write(&dir.join("cgroup.procs")) || inside.any(|p| may_write(&p.join("cgroup.procs")))
}

fn limit_rows(shortfalls: &[Shortfall]) -> Vec<[String; 3]> {
    let row = |s: &Shortfall| {
        let state = if s.raisable.is_some() { "low" } else { "no" };
        [s.what.clone(), state.to_owned(), format!("{}, needed {}: {}", s.have, s.need, s.cure)]
    };
    match shortfalls.is_empty() {
        true => vec![["all".to_owned(), "ok".to_owned(), "high enough".to_owned()]],
        false => shortfalls.iter().map(row).collect(),
    }
}

fn rows(findings: &[Finding]) -> Vec<[String; 3]> {
    findings.iter().map(Finding::row).collect()
}

fn section(title: &str, rows: Vec<[String; 3]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(118)
        .add_rows(rows);
    format!("{title}\n{}", table.trim_fmt())
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_shown_with_what_is_needed_and_the_remedy() {
        let limits = Limits { inotify_instances: Some(128), memory_available: Some(Bytes(1)), ..Limits::default() };
        let rows = limit_rows(&limits::check(&limits, &thousand()));
        assert_eq!(rows.iter().map(|r| r[1].as_str()).collect::<Vec<_>>(), ["low", "no"]);
        assert!(rows[0][2].starts_with("128, needed 1064: sysctl -w "), "{}", rows[0][2]);
        assert_eq!(limit_rows(&[])[0][1], "ok");
    }

    #[test]
    fn the_answer_of_a_platform_becomes_a_row() {
        let rows = rows(&[
            Finding::of("youki", Ok("0.7".to_owned())),
            Finding::of("docker", Err("no socket; start it".to_owned())),
        ]);
        assert_eq!(rows, [["youki", "ok", "0.7"], ["docker", "no", "no socket; start it"]]);
    }

    #[test]
    fn a_smoke_run_measures_what_is_built_in_and_what_can_run() {
        let answers = [
            ("native".to_owned(), Err("broken".to_owned())),
            ("docker".to_owned(), Err("no socket".to_owned())),
            ("podman".to_owned(), Ok("4.3".to_owned())),
            ("qemu:debian".to_owned(), Ok("10.0".to_owned())),
        ];
        let names = smoke_platforms(&answers);
        let has = |name: &str| names.iter().any(|found| found == name);
        assert!(has("native") && has("podman") && !has("docker") && !has("qemu:debian"), "{names:?}");
    }

    #[test]
    fn json_has_every_section_and_what_is_missing() {
        let findings = Findings::gather(&[("docker".to_owned(), Err("no socket".to_owned()))]).unwrap();
        let json = serde_json::to_value(&findings).unwrap();
        for section in ["facts", "topology", "placements", "limits", "toolchain", "tools", "access", "platforms"] {
            assert!(!json[section].is_null(), "{section}");
        }
        assert_eq!(json["platforms"][0]["state"], "missing");
        assert_eq!(json["placements"].as_array().map(Vec::len), Some(Placement::ALL.len()));
        assert!(findings.as_text().contains("docker"));
    }

    #[test]
    fn a_compiler_that_cannot_link_is_reported_with_its_first_message() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("probe.c");
        fs::write(&source, "no C\n").unwrap();
        let reason = link_and_run("cc", &source).unwrap_err();
        assert!(reason.starts_with("`cc -static` fails: "), "{reason}");
    }
}
