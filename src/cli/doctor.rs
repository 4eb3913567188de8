//! `cargo xtask doctor`: what can run here, what cannot and why, and what to do about it.
//!
//! It changes nothing on the host. The output has no colours, so that there is nothing for `NO_COLOR` to turn off.

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
use anyhow::Context;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::cli::platforms::{self, Answer};
use crate::cli::setup::{self, TOOLS, Tool, ToolSelection};

/// A thousand small containers of an engine on its bridges: the suite's largest step.
const THOUSAND: Needs = Needs {
    instances: 1000,
    processes_each: 13,
    own_processes_each: 0,
    processes_more: 0,
    fds_each: 4,
    inotify_each: 1,
    neighbors_each: 2,
    memory_each: Bytes(16 << 20),
    own_memory_each: Bytes(0),
};

/// Show what can run here, what cannot and why, and what to do about it; changes nothing
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Print it as one JSON object, for programs
    #[arg(long)]
    json: bool,
}

/// Everything that doctor found.
#[derive(Debug, Serialize)]
struct Findings {
    facts: HostFacts,
    topology: String,
    /// Who would run where under each placement; or why the host does not have it.
    placements: Vec<Finding>,
    /// What is short for a thousand instances.
    limits: Vec<Shortfall>,
    toolchain: Vec<Finding>,
    /// The tools that setup installs.
    tools: Vec<Finding>,
    access: Vec<Finding>,
    platforms: Vec<Finding>,
}

/// One thing that is there, or not.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum State {
    /// There, with what is known of it.
    Ok { detail: String },
    /// Not there, why, and the cure where there is one.
    Missing { reason: String },
}

impl Doctor {
    /// Prints what can run here.
    ///
    /// # Errors
    /// When the host cannot be read.
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::code`] gives its exit code.
    pub fn run(self) -> anyhow::Result<()> {
        let findings = Findings::gather(&platforms::survey()?)?;
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
            limits: limits::check(&Limits::read(Path::new("/")), &THOUSAND),
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
        // Those of setup have a section of their own.
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

fn placement_finding(topology: &Topology, placement: Placement) -> Finding {
    let told = |a: placement::Assignment| match (a.victim.is_empty(), a.attackers.len()) {
        (true, _) => "the host decides".to_owned(),
        (false, 0) => format!("victim on CPU {}, harness on {}", a.victim, a.harness),
        (false, 1) => format!("victim on CPU {}, attacker on {}, harness on {}", a.victim, a.attackers[0], a.harness),
        (false, n) => format!("victim on CPU {}, {n} attackers, harness on {}", a.victim, a.harness),
    };
    Finding::of(placement.name(), placement::assign(topology, placement).map(told).map_err(|e| e.reason))
}

/// What doctor says again when setup is through.
///
/// # Errors
/// When the platforms cannot be asked.
pub(in crate::cli) fn after_setup() -> anyhow::Result<String> {
    let platforms: Vec<_> = platforms::survey()?.into_iter().map(|(id, answer)| Finding::of(&id, answer)).collect();
    Ok(format!("{}\n\n{}", section("Tools", rows(&tools_found())), section("Platforms", rows(&platforms))))
}

/// Every program that setup installs unless told otherwise, and Docker's daemon.
fn tools_found() -> Vec<Finding> {
    let program = |tool: &Tool, (name, how): (&str, &str)| {
        let there = setup::find(name).map(|path| tools::version(&path, &[how], Duration::from_secs(10)));
        let version = there.map(|version| version.unwrap_or_else(|| "there; it does not tell its version".to_owned()));
        let missing = || format!("not installed; cargo xtask setup --only {}", tool.name);
        Finding::of(name, version.ok_or_else(missing))
    };
    let always = TOOLS.iter().filter(|tool| tool.wanted == ToolSelection::Always);
    let programs = always.flat_map(|tool| tool.programs.iter().map(move |&asked| program(tool, asked)));
    programs.chain([Finding::of("Docker's daemon", setup::docker_answers())]).collect()
}

fn has_program(tool: &Tool, name: &str) -> bool {
    tool.programs.iter().any(|(program, _)| *program == name)
}

/// Whether a compiler is there and whether it links static programs, found out by doing it.
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
        return Err(format!("`cc -static` fails: {}", errors.lines().next().unwrap_or("without a message").trim()));
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
        Ok(_) => Ok("opens; whether guests execute is found out by the platforms".to_owned()),
        Err(e) => Err(format!("/dev/kvm: {e}; virtual machines are emulated")),
    };
    vec![Finding::of("root", root), Finding::of("control groups", groups), Finding::of("KVM", kvm)]
}

/// Whether this user may make folders in `dir` or, where hierarchies are mounted side by side, in one of them.
fn is_writable(dir: &Path) -> bool {
    // Opening writes nothing; the kernel checks the right to move processes here.
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
        true => vec![["all".to_owned(), "ok".to_owned(), "nothing is short".to_owned()]],
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
    fn a_limit_tells_what_there_is_what_is_needed_and_the_cure() {
        let limits = Limits { inotify_instances: Some(128), memory_available: Some(Bytes(1)), ..Limits::default() };
        let rows = limit_rows(&limits::check(&limits, &THOUSAND));
        assert_eq!(rows.iter().map(|r| r[1].as_str()).collect::<Vec<_>>(), ["low", "no"]);
        assert!(rows[0][2].starts_with("128, needed 1064: sysctl -w "), "{}", rows[0][2]);
        assert_eq!(limit_rows(&[])[0][1], "ok");
    }

    #[test]
    fn a_platforms_answer_becomes_a_row() {
        let rows = rows(&[
            Finding::of("youki", Ok("0.7".to_owned())),
            Finding::of("docker", Err("no socket; start it".to_owned())),
        ]);
        assert_eq!(rows, [["youki", "ok", "0.7"], ["docker", "no", "no socket; start it"]]);
    }

    #[test]
    fn json_has_every_section_and_tells_missing_from_there() {
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
    fn a_compiler_that_cannot_link_is_told_with_the_first_line_of_its_complaint() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("probe.c");
        fs::write(&source, "no C\n").unwrap();
        let reason = link_and_run("cc", &source).unwrap_err();
        assert!(reason.starts_with("`cc -static` fails: "), "{reason}");
    }
}
