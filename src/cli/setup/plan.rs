//! Plans the steps of setup from the state of the host. Pure.
//!
//! Invariant: if nothing is missing, the plan is empty, so that setup can be run again at any time.

use std::collections::BTreeMap;
use std::fmt;

use crate::host::cgroup::CgroupMode;

use super::packages::{Distribution, Family, Package, Tool};
use super::runtimes::{self, BACKUP, FILE, RUNTIMES};
use super::sources::SourceList;

/// The launcher of crun on hosts with hybrid control groups.
pub(super) const CRUN_V1: &str = "/usr/local/lib/featherweight/crun-v1";

/// The state of the host.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    pub(super) distribution: Distribution,
    pub(super) privilege: Privilege,
    pub(super) init: Init,
    /// The selected tools, and whether all their programs are installed.
    pub(super) tools: Vec<(&'static Tool, Presence)>,
    pub(super) lists: Lists,
    /// The packages of the missing tools, or why they are unavailable.
    pub(super) packages: BTreeMap<&'static str, Result<Vec<Package>, String>>,
    /// The source list that would add Debian's backports, if apt does not have them.
    pub(super) backports: Option<SourceList>,
    pub(super) engine: Engine,
    /// The text of Docker's `daemon.json`.
    pub(super) daemon_json: Option<String>,
    pub(super) cgroups: CgroupMode,
    /// Whether [`CRUN_V1`] is installed and up to date.
    pub(super) crun_v1: Presence,
    pub(super) compiler: Presence,
    /// The arguments with which gVisor runs on this host, or why it does not; `None` if it was not probed.
    pub(super) gvisor: Option<Result<Vec<String>, String>>,
}

/// Whether something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Installed,
    Missing,
}

impl Presence {
    pub(super) fn new(is_installed: bool) -> Self {
        if is_installed { Self::Installed } else { Self::Missing }
    }
}

/// The user's privilege to change the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privilege {
    Root,
    /// An ordinary user with sudo.
    Sudo,
    Ordinary,
}

/// The host's service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Init {
    Systemd,
    /// None, or an unsupported one.
    Other,
}

/// The state of the package manager's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    Fresh,
    /// Missing or too old.
    Stale,
}

/// The state of Docker's daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Engine {
    /// The daemon answers and has these runtimes.
    Answers {
        runtimes: Vec<String>,
    },
    /// The daemon runs, but this user has no access to its socket.
    Closed,
    /// The daemon runs but does not answer.
    Silent {
        pid: i32,
    },
    /// `DOCKER_HOST` names another daemon.
    Elsewhere {
        host: String,
    },
    Down,
}

/// A step of a plan. Setup carries out steps in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Update the package lists.
    Refresh { command: Vec<String> },
    /// Add another suite for the tools whose packages the default suite does not offer.
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

/// Whether a step is necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Certain,
    /// The updated lists will show whether it is necessary.
    Perhaps,
}

/// The steps of setup, and notes about what it cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetupPlan {
    pub(super) steps: Vec<Step>,
    /// Unavailable tools and runtimes with the reasons.
    pub(super) notes: Vec<String>,
    /// What the user can do next.
    pub(super) next: Vec<String>,
}

impl SetupPlan {
    /// Plans the steps for a host in this state.
    pub(super) fn new(findings: &Findings) -> Self {
        let mut plan = Self { steps: Vec::new(), notes: Vec::new(), next: Vec::new() };
        let installed = plan.install(findings);
        let runtimes = plan.runtimes(findings, &installed);
        plan.engine(findings, &installed, &runtimes);
        plan.guest_images(&installed);
        plan
    }

    /// Names the command for Debian's disk, which no package contains.
    fn guest_images(&mut self, installed: &[&Tool]) {
        if installed.iter().any(|tool| tool.name == "qemu") {
            let disk = "To measure virtual machines with Debian, build its disk: cargo xtask images --platform debian";
            self.next.push(disk.to_owned());
        }
    }

    /// Plans the installation of missing tools. Returns the tools that will be installed afterwards.
    fn install(&mut self, findings: &Findings) -> Vec<&'static Tool> {
        let missing: Vec<_> =
            findings.tools.iter().filter(|(_, state)| *state == Presence::Missing).map(|(tool, _)| *tool).collect();
        let (mut tools, mut unavailable, mut packages) = (Vec::new(), Vec::new(), Vec::new());
        for tool in &missing {
            let found = match (findings.packages.get(tool.name), &findings.backports) {
                (Some(Ok(found)), _) => found.clone(),
                (Some(Err(_)), Some(list)) if !tool.packages(Family::Debian).is_empty() => {
                    unavailable.push(*tool);
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
            self.steps.extend(findings.add_suite(family, &unavailable, &tools));
            self.steps.push(Step::Install { family, tools: tools.clone(), packages });
        }
        let installed = |(tool, state): &(&'static Tool, Presence)| (*state == Presence::Installed).then_some(*tool);
        findings.tools.iter().filter_map(installed).chain(tools).collect()
    }

    /// Plans Docker's additional runtimes. Returns the runtimes that its file will contain.
    fn runtimes(&mut self, findings: &Findings, installed: &[&Tool]) -> Vec<String> {
        let has = |name: &str| installed.iter().any(|tool| tool.name == name);
        if !has("docker") || matches!(findings.engine, Engine::Elsewhere { .. }) {
            return Vec::new();
        }
        let mut named = match runtimes::configured(findings.daemon_json.as_deref()) {
            Ok(named) => named,
            Err(why) => {
                self.notes.push(format!(
                    "Docker's runtimes: {why}; the file was not changed: correct it, then run setup again"
                ));
                return Vec::new();
            }
        };
        let known = |name: &str| match &findings.engine {
            Engine::Answers { runtimes } => runtimes.iter().any(|known| known == name),
            _ => false,
        };
        let absent = RUNTIMES.iter().copied().filter(|name| has(name) && !known(name));
        let absent: Vec<_> = absent.filter(|name| named.iter().all(|other| other != name)).collect();
        let added: Vec<_> = absent.into_iter().filter(|name| self.can_start(name, findings, has("cc"))).collect();
        // A launcher in use is rebuilt if crun has moved or the launcher's source has changed.
        let in_use = findings.daemon_json.as_ref().is_some_and(|text| text.contains(CRUN_V1)) && has("crun");
        let needed = findings.needs_crun_v1() && findings.crun_v1 == Presence::Missing;
        if needed && (in_use || added.contains(&"crun")) {
            self.steps.push(Step::BuildCrunV1);
        }
        if !added.is_empty() {
            named.extend(added.iter().map(|&name| name.to_owned()));
            self.steps.push(Step::Configure { runtimes: added });
        }
        named
    }

    /// Whether the runtime works on this host. If not, adds a note with the reason.
    fn can_start(&mut self, name: &str, findings: &Findings, installs_compiler: bool) -> bool {
        let has_compiler = findings.compiler == Presence::Installed || installs_compiler;
        let why = match (name, &findings.gvisor) {
            ("runsc", Some(Err(why))) => why.clone(),
            ("crun", _) if findings.needs_crun_v1() && !has_compiler => {
                "crun rejects this host's hybrid control groups, and its launcher needs a C compiler: `--only cc`"
                    .into()
            }
            _ => return true,
        };
        self.notes.push(format!("{name} as a runtime of Docker: {why}"));
        false
    }

    /// Plans the daemon, which must answer and have the runtimes of its file.
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
                "docker: dockerd (process {pid}) does not answer; see its log (a second one would take over \
                 its network)"
            )),
            Engine::Elsewhere { host } => {
                self.notes.push(format!("docker: DOCKER_HOST is {host}; setup does not start or configure that daemon"))
            }
        }
    }
}

impl Findings {
    /// Whether crun needs the launcher: it rejects hosts that mount both versions of control groups.
    pub(super) fn needs_crun_v1(&self) -> bool {
        self.cgroups == CgroupMode::Hybrid
    }

    /// Returns the step that adds backports, if a tool is unavailable or updated lists may show that one is.
    fn add_suite(&self, family: Family, unavailable: &[&'static Tool], tools: &[&'static Tool]) -> Option<Step> {
        let (list, refresh) = (self.backports.clone()?, family.refresh()?);
        match (unavailable.is_empty(), self.lists) {
            (true, Lists::Fresh) => None,
            (_, Lists::Stale) => Some(Step::AddSuite { list, tools: tools.to_vec(), refresh, need: Need::Perhaps }),
            (false, _) => Some(Step::AddSuite { list, tools: unavailable.to_vec(), refresh, need: Need::Certain }),
        }
    }

    /// Describes why a tool is unavailable, and where to get it.
    fn absence(&self, tool: &Tool, why: Option<&String>) -> String {
        let unknown = || format!("unsupported distribution {}", self.distribution.name);
        format!("{}: {}; see {}", tool.name, why.cloned().unwrap_or_else(unknown), tool.home)
    }
}

impl fmt::Display for Step {
    /// Prints a title, and the exact commands below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh { command } => write!(f, "update the package lists\n{}", indented(command)),
            Self::AddSuite { list, tools, refresh, need } => {
                let tools = list_of(tools);
                match need {
                    Need::Certain => writeln!(f, "add the suite {} for {tools}", list.suite)?,
                    Need::Perhaps => {
                        writeln!(f, "add the suite {} if any of {tools} needs it", list.suite)?;
                    }
                }
                writeln!(f, "     write {}:", list.path)?;
                list.text.lines().try_for_each(|line| writeln!(f, "       {line}"))?;
                writeln!(f, "{}", indented(refresh))?;
                write!(f, "     undo with: rm {} && {}", list.path, refresh.join(" "))
            }
            Self::Install { family, tools, packages } => {
                write!(f, "install {}", list_of(tools))?;
                family.install(packages).iter().try_for_each(|command| write!(f, "\n{}", indented(command)))?;
                let services: Vec<_> = tools.iter().filter_map(|tool| tool.service).collect();
                match *family == Family::Debian && !services.is_empty() {
                    true => {
                        let services = list(services.into_iter());
                        write!(f, "\n     stop and disable newly installed services among {services}")
                    }
                    false => Ok(()),
                }
            }
            Self::BuildCrunV1 => write!(f, "build {CRUN_V1}, which hides version 2 of control groups from crun"),
            Self::Configure { runtimes } => {
                write!(f, "add the runtimes {} to {FILE}, with a backup in {BACKUP}", list(runtimes.iter().copied()))
            }
            Self::Start(Init::Systemd) => write!(f, "start Docker\n     systemctl start docker"),
            Self::Start(Init::Other) => {
                write!(f, "start Docker in its own session\n     dockerd\n     stop it with: cargo xtask setup --stop")
            }
            Self::Reload(Init::Systemd) => {
                write!(f, "reload Docker's configuration\n     systemctl reload docker")
            }
            Self::Reload(Init::Other) => {
                write!(f, "reload Docker's configuration: send SIGHUP to the process in /run/docker.pid")
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
