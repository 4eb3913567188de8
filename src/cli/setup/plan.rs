//! From what was found to what has to be done. It takes and returns data only.
//!
//! Invariant: where nothing is missing the plan is empty, so that setup can be run again at any time.

use std::collections::BTreeMap;
use std::fmt;

use crate::host::cgroup::CgroupMode;

use super::packages::{Distribution, Family, Package, Tool};
use super::runtimes::{self, BACKUP, FILE, RUNTIMES};
use super::sources::SourceList;

/// The program that starts crun where control groups are hybrid.
pub(super) const CRUN_V1: &str = "/usr/local/lib/featherweight/crun-v1";

/// What was found on the host.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    pub(super) distribution: Distribution,
    pub(super) privilege: Privilege,
    pub(super) init: Init,
    /// The tools that were asked for, and whether all their programs are there.
    pub(super) tools: Vec<(&'static Tool, Presence)>,
    pub(super) lists: Lists,
    /// The packages of the missing tools, or why they cannot be had.
    pub(super) packages: BTreeMap<&'static str, Result<Vec<Package>, String>>,
    /// The list that would let packages of the suite of backports be had, where apt has none.
    pub(super) backports: Option<SourceList>,
    pub(super) engine: Engine,
    /// The text of Docker's `daemon.json`.
    pub(super) daemon_json: Option<String>,
    pub(super) cgroups: CgroupMode,
    /// Whether [`CRUN_V1`] is there as this version builds it.
    pub(super) crun_v1: Presence,
    pub(super) compiler: Presence,
    /// With which arguments gVisor runs here, or why it does not; `None` before it is installed.
    pub(super) gvisor: Option<Result<Vec<String>, String>>,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    Missing,
}

/// By what right the host is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privilege {
    Root,
    /// An ordinary user who can ask for it.
    Sudo,
    Ordinary,
}

/// What starts the host's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Init {
    Systemd,
    /// Nothing that setup knows how to talk to.
    Other,
}

/// The package manager's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    Fresh,
    /// Never fetched, or so long ago that what they name may be gone.
    Stale,
}

/// Docker's daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Engine {
    /// It answers, and these are the runtimes that it knows.
    Answers {
        runtimes: Vec<String>,
    },
    /// It is there, but this user may not ask it; root will.
    Closed,
    /// A daemon lives and does not answer.
    Silent {
        pid: i32,
    },
    /// `DOCKER_HOST` names another one.
    Elsewhere {
        host: String,
    },
    Down,
}

/// One step. Setup does them in the order of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch the lists of packages.
    Refresh { command: Vec<String> },
    /// Let packages be taken from another suite, for those of the tools whose own suite refuses theirs.
    AddSuite { list: SourceList, tools: Vec<&'static Tool>, refresh: Vec<String>, need: Need },
    /// Install the tools' packages.
    Install { family: Family, tools: Vec<&'static Tool>, packages: Vec<Package> },
    /// Build [`CRUN_V1`].
    BuildCrunV1,
    /// Add runtimes to Docker's `daemon.json`.
    Configure { runtimes: Vec<&'static str> },
    /// Start Docker's daemon.
    Start(Init),
    /// Make Docker's daemon read its configuration again.
    Reload(Init),
}

/// Whether a step will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Certain,
    /// Only where the lists, once fetched, show that it is needed.
    Perhaps,
}

/// What setup would do, and what it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetupPlan {
    pub(super) steps: Vec<Step>,
    /// What cannot be had here and why, in sentences.
    pub(super) notes: Vec<String>,
    /// What the user does next, in sentences.
    pub(super) next: Vec<String>,
}

impl SetupPlan {
    /// What has to be done where this was found.
    pub(super) fn of(findings: &Findings) -> Self {
        let mut plan = Self { steps: Vec::new(), notes: Vec::new(), next: Vec::new() };
        let installed = plan.install(findings);
        let runtimes = plan.runtimes(findings, &installed);
        plan.engine(findings, &installed, &runtimes);
        plan.guest_images(&installed);
        plan
    }

    /// What virtual machines boot is no package: setup builds what takes no root, and names the rest.
    fn guest_images(&mut self, installed: &[&Tool]) {
        if installed.iter().any(|tool| tool.name == "qemu") {
            let more = "Virtual machines with a whole Debian need its disk: cargo xtask images --platform debian";
            self.next.push(more.to_owned());
        }
    }

    /// Plans what is missing. Returns the tools that will be there.
    fn install(&mut self, findings: &Findings) -> Vec<&'static Tool> {
        let missing: Vec<_> =
            findings.tools.iter().filter(|(_, state)| *state == Presence::Missing).map(|(tool, _)| *tool).collect();
        let (mut tools, mut refused, mut packages) = (Vec::new(), Vec::new(), Vec::new());
        for tool in &missing {
            let found = match (findings.packages.get(tool.name), &findings.backports) {
                (Some(Ok(found)), _) => found.clone(),
                (Some(Err(_)), Some(list)) if !tool.packages(Family::Debian).is_empty() => {
                    refused.push(*tool);
                    tool.first_packages(Family::Debian, Some(&list.suite))
                }
                (found, _) => {
                    self.notes.push(findings.absence(tool, found.and_then(|found| found.as_ref().err())));
                    continue;
                }
            };
            tools.push(*tool);
            packages.extend(found.into_iter().filter(|p| !packages.contains(p)).collect::<Vec<_>>());
        }
        if let (Some(family), false) = (findings.distribution.family, tools.is_empty()) {
            let is_stale = findings.lists == Lists::Stale;
            self.steps.extend(family.refresh().filter(|_| is_stale).map(|command| Step::Refresh { command }));
            self.steps.extend(findings.add_suite(family, &refused, &tools));
            self.steps.push(Step::Install { family, tools: tools.clone(), packages });
        }
        let there = |(tool, state): &(&'static Tool, Presence)| (*state == Presence::There).then_some(*tool);
        findings.tools.iter().filter_map(there).chain(tools).collect()
    }

    /// Plans Docker's further runtimes. Returns those that its file will name.
    fn runtimes(&mut self, findings: &Findings, installed: &[&Tool]) -> Vec<String> {
        let has = |name: &str| installed.iter().any(|tool| tool.name == name);
        if !has("docker") || matches!(findings.engine, Engine::Elsewhere { .. }) {
            return Vec::new();
        }
        let mut named = match runtimes::configured(findings.daemon_json.as_deref()) {
            Ok(named) => named,
            Err(why) => {
                self.notes
                    .push(format!("Docker's runtimes: {why}; it is left alone: correct it, then run setup again"));
                return Vec::new();
            }
        };
        let known = |name: &str| match &findings.engine {
            Engine::Answers { runtimes } => runtimes.iter().any(|known| known == name),
            _ => false,
        };
        let absent = RUNTIMES.iter().copied().filter(|name| has(name) && !known(name));
        let absent: Vec<_> = absent.filter(|name| named.iter().all(|there| there != name)).collect();
        let wanted: Vec<_> = absent.into_iter().filter(|name| self.can_start(name, findings, has("cc"))).collect();
        // One that is in use is built again when crun has moved or the launcher's source has changed.
        let in_use = findings.daemon_json.as_ref().is_some_and(|text| text.contains(CRUN_V1)) && has("crun");
        let needed = findings.needs_crun_v1() && findings.crun_v1 == Presence::Missing;
        if needed && (in_use || wanted.contains(&"crun")) {
            self.steps.push(Step::BuildCrunV1);
        }
        if !wanted.is_empty() {
            named.extend(wanted.iter().map(|&name| name.to_owned()));
            self.steps.push(Step::Configure { runtimes: wanted });
        }
        named
    }

    /// Whether the runtime would start here; if not, the plan says why.
    fn can_start(&mut self, name: &str, findings: &Findings, brings_compiler: bool) -> bool {
        let compiler = findings.compiler == Presence::There || brings_compiler;
        let why = match (name, &findings.gvisor) {
            ("runsc", Some(Err(why))) => why.clone(),
            ("crun", _) if findings.needs_crun_v1() && !compiler => {
                "control groups are hybrid here, which it refuses: its launcher needs a C compiler, `--only cc`".into()
            }
            _ => return true,
        };
        self.notes.push(format!("{name} as a runtime of Docker's: {why}"));
        false
    }

    /// Plans the daemon: it has to answer and to know the runtimes of its file.
    fn engine(&mut self, findings: &Findings, installed: &[&Tool], named: &[String]) {
        if installed.iter().all(|tool| tool.name != "docker") {
            return;
        }
        match &findings.engine {
            Engine::Down => self.steps.push(Step::Start(findings.init)),
            Engine::Answers { runtimes } => {
                let ours = named.iter().filter(|name| RUNTIMES.contains(&name.as_str()));
                if ours.into_iter().any(|name| !runtimes.contains(name)) {
                    self.steps.push(Step::Reload(findings.init));
                }
            }
            Engine::Closed if self.steps.iter().any(|step| matches!(step, Step::Configure { .. })) => {
                self.steps.push(Step::Reload(findings.init));
            }
            Engine::Closed => {}
            Engine::Silent { pid } => self.notes.push(format!(
                "docker: dockerd runs as process {pid} and does not answer; a second one would take its network: see its log"
            )),
            Engine::Elsewhere { host } => self.notes.push(format!(
                "docker: DOCKER_HOST names {host}; the daemon there is not setup's to start or to configure"
            )),
        }
    }
}

impl Findings {
    /// crun refuses hosts with both versions of control groups.
    pub(super) fn needs_crun_v1(&self) -> bool {
        self.cgroups == CgroupMode::Hybrid
    }

    /// The step that adds the suite of backports where a tool was refused, or may turn out to be once the lists are there.
    fn add_suite(&self, family: Family, refused: &[&'static Tool], tools: &[&'static Tool]) -> Option<Step> {
        let (list, refresh) = (self.backports.clone()?, family.refresh()?);
        match (refused.is_empty(), self.lists) {
            (true, Lists::Fresh) => None,
            (_, Lists::Stale) => Some(Step::AddSuite { list, tools: tools.to_vec(), refresh, need: Need::Perhaps }),
            (false, _) => Some(Step::AddSuite { list, tools: refused.to_vec(), refresh, need: Need::Certain }),
        }
    }

    /// Why a tool cannot be had, and where it is.
    fn absence(&self, tool: &Tool, why: Option<&String>) -> String {
        let unknown = || format!("setup knows no package manager of {}", self.distribution.name);
        format!("{}: {}; {}", tool.name, why.cloned().unwrap_or_else(unknown), tool.home)
    }
}

impl fmt::Display for Step {
    /// What is done, and below it the exact commands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh { command } => write!(f, "fetch the lists of packages\n{}", indented(command)),
            Self::AddSuite { list, tools, refresh, need } => {
                let tools = list_of(tools);
                match need {
                    Need::Certain => writeln!(f, "add the suite {} for {tools}, refused without it", list.suite)?,
                    Need::Perhaps => {
                        writeln!(f, "add the suite {} if any of {tools} is refused without it", list.suite)?;
                    }
                }
                writeln!(f, "     write {}:", list.path)?;
                list.text.lines().try_for_each(|line| writeln!(f, "       {line}"))?;
                writeln!(f, "{}", indented(refresh))?;
                write!(f, "     take it back with: rm {} && {}", list.path, refresh.join(" "))
            }
            Self::Install { family, tools, packages } => {
                write!(f, "install {}", list_of(tools))?;
                family.install(packages).iter().try_for_each(|command| write!(f, "\n{}", indented(command)))?;
                let services: Vec<_> = tools.iter().filter_map(|tool| tool.service).collect();
                match *family == Family::Debian && !services.is_empty() {
                    true => {
                        let services = list(services.into_iter());
                        write!(f, "\n     and leave those of the services {services} that are new stopped and disabled")
                    }
                    false => Ok(()),
                }
            }
            Self::BuildCrunV1 => write!(
                f,
                "build {CRUN_V1}, which starts crun out of sight of the second hierarchy of control groups that it refuses"
            ),
            Self::Configure { runtimes } => write!(
                f,
                "add the runtimes {} to {FILE}; what is there stays, a copy of it in {BACKUP}",
                list(runtimes.iter().copied())
            ),
            Self::Start(Init::Systemd) => write!(f, "start Docker\n     systemctl start docker"),
            Self::Start(Init::Other) => {
                write!(
                    f,
                    "start Docker in a session of its own\n     dockerd\n     stop it with: cargo xtask setup --stop"
                )
            }
            Self::Reload(Init::Systemd) => {
                write!(f, "let Docker read its configuration again\n     systemctl reload docker")
            }
            Self::Reload(Init::Other) => {
                write!(f, "let Docker read its configuration again: SIGHUP to the process in /run/docker.pid")
            }
        }
    }
}

fn indented(command: &[String]) -> String {
    format!("     {}", command.join(" "))
}

fn list_of(tools: &[&Tool]) -> String {
    list(tools.iter().map(|tool| tool.name))
}

pub(super) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
