//! The platforms of this version: one [`Entry`] each.
//!
//! An entry has everything that is known about a platform outside of its own folder: the command line, doctor, setup,
//! plans, the conformance tests, CI and the README read it here.

mod entries;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use entries::ENTRIES;

use super::configured::ConfiguredPlatform;
use super::tools::Tool;
use super::{Context, Error, Platform, ResourceCost, SettingKind};
use crate::model::names::UnknownName;
use crate::model::platform::{PlatformFacts, PlatformId, Unavailable};
use crate::model::units::Nanos;

/// A platform, or a family of platforms that differ in what follows the colon of their names, the flavor.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name on the command line, up to the colon.
    pub family: &'static str,
    /// The names on the command line: `native`, `docker[:RUNTIME]`.
    pub form: &'static str,
    /// What separates an instance from the host.
    pub isolation: Isolation,
    /// What the host must have.
    pub needs: &'static [Need],
    /// What it is, for doctor and the README.
    pub description: &'static str,
    /// The names that defaults, doctor and tests use.
    pub variants: &'static [Variant],
    /// The programs of other projects that all its platforms need.
    pub tools: &'static [Tool],
    /// The programs that only some need, by the first word of the flavor: `crun`, `debian`.
    pub flavor_tools: &'static [(&'static str, Tool)],
    /// The settings of an arm that at least one of its platforms supports; see [`Platform::supports`].
    pub settings: &'static [SettingKind],
    /// What the host bears for an instance, unless the platform knows better; see [`Platform::resource_cost`].
    pub cost: ResourceCost,
    /// How long instances roughly take.
    pub estimate: LaunchEstimate,
    accepts: fn(Option<&str>) -> bool,
    open: Open,
}

/// Makes the platform of a name with that flavor; `None` for an invalid flavor. Changes nothing on the host.
type Open = fn(&Context, Option<&str>) -> Option<Box<dyn Platform>>;

/// What separates an instance from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing: it simulates.
    None,
    /// A process has its own address space.
    Process,
    /// Namespaces and control groups of the host's kernel, or a kernel in a process.
    Container,
    /// Virtual hardware.
    VirtualMachine,
    /// A guest that is one program and its kernel.
    Unikernel,
}

/// What a platform needs of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The user root.
    Root,
    /// Hardware virtualization that this user may use.
    Kvm,
    /// Another program, in words.
    Program(&'static str),
}

/// A platform's full name, and who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The name on the command line.
    pub name: &'static str,
    /// Who uses it.
    pub role: Role,
    /// How quickly its instances start.
    pub pace: Pace,
    /// How many of the conformance tests it takes by default.
    pub coverage: Coverage,
    /// CI measures it for a moment if it can run there.
    pub in_smoke_run: bool,
}

/// Who uses a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Measured if the user names no platform.
    Default,
    /// Shown by doctor, measured only if the user names it.
    Listed,
    /// Used by the conformance tests only.
    Tested,
}

/// How quickly instances start, and so how many a test starts and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Fifty within seconds.
    Brisk,
    /// Dozens a minute: a kernel boots, possibly emulated.
    Slow,
    /// A few a minute: a whole distribution boots, possibly emulated.
    Glacial,
}

/// How many of the conformance tests a variant takes by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of them.
    All,
    /// Those about the machine: another variant runs the same guest on another machine or accelerator.
    Machine,
}

/// Roughly how long instances take on an idle host: for `--dry-run` and the first guess of the progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchEstimate {
    /// From the launch to the first line.
    pub launch: Nanos,
    /// From the stop to the end.
    pub removal: Nanos,
    /// One more background instance, where several start at once.
    pub another: Nanos,
    /// One background instance less.
    pub fewer: Nanos,
}

/// The names of the platforms that are measured if the user names none.
pub fn defaults() -> Vec<PlatformId> {
    let defaults = variants().filter(|variant| variant.role == Role::Default);
    defaults.map(|variant| PlatformId::new(variant.name)).collect()
}

/// Every variant of every entry.
pub fn variants() -> impl Iterator<Item = &'static Variant> {
    ENTRIES.iter().flat_map(|entry| entry.variants)
}

/// Every tool of every entry, once.
pub fn tools() -> Vec<Tool> {
    let mut tools: Vec<Tool> = Vec::new();
    for entry in ENTRIES {
        for tool in entry.tools.iter().chain(entry.flavor_tools.iter().map(|(_, tool)| tool)) {
            if tools.iter().all(|known| known.name != tool.name) {
                tools.push(*tool);
            }
        }
    }
    tools
}

/// The tools that a platform needs because of its flavor: a runtime's program, or what builds a guest system.
pub fn flavor_tools(id: &PlatformId) -> Vec<&'static Tool> {
    let (_, flavor) = split(id.as_str());
    let word = flavor.and_then(|flavor| flavor.split('-').next()).unwrap_or_default();
    let all = entry(id).map_or(&[][..], |entry| entry.flavor_tools);
    all.iter().filter(|(name, _)| *name == word).map(|(_, tool)| tool).collect()
}

/// The entries with a platform that supports `kind`.
pub fn supporters(kind: SettingKind) -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().filter(move |entry| entry.settings.contains(&kind))
}

/// The entry of a platform's family; `None` for a platform that this version does not have.
pub fn entry(id: &PlatformId) -> Option<&'static Entry> {
    let (family, _) = split(id.as_str());
    ENTRIES.iter().find(|entry| entry.family == family)
}

/// Creates the platform of that name for a run.
///
/// # Errors
/// Fails for an unknown name.
pub fn open(id: &PlatformId, context: &Context) -> Result<Box<dyn Platform>, Error> {
    let (entry, flavor) = find(id.as_str()).map_err(|e| Error::Fatal(e.to_string()))?;
    let invalid = || Error::Fatal(format!("invalid platform `{id}`; expected {}", entry.form));
    let platform = (entry.open)(context, flavor).ok_or_else(invalid)?;
    Ok(if context.settings.is_plain() { platform } else { Box::new(ConfiguredPlatform::new(platform, context)) })
}

/// Checks which of the listed platforms can run here. Changes nothing on the host.
pub fn survey(context: &Context) -> Vec<(PlatformId, &'static Entry, Result<PlatformFacts, Unavailable>)> {
    let mut answers = Vec::new();
    for entry in ENTRIES {
        for variant in entry.variants.iter().filter(|variant| variant.role != Role::Tested) {
            let id = PlatformId::new(variant.name);
            let facts = check(&id, context);
            answers.push((id, entry, facts));
        }
    }
    answers
}

fn check(id: &PlatformId, context: &Context) -> Result<PlatformFacts, Unavailable> {
    match open(id, context) {
        Ok(platform) => platform.check(),
        Err(Error::Unavailable(why)) => Err(why),
        Err(other) => Err(Unavailable::new(other.to_string(), "report this bug")),
    }
}

/// The names that the command line accepts.
pub fn accepted() -> String {
    ENTRIES.iter().map(|entry| entry.form).collect::<Vec<_>>().join(", ")
}

/// The platforms as a Markdown table, for the README.
pub fn markdown() -> String {
    let mut table = "| name | isolation | needs | description |\n| --- | --- | --- | --- |\n".to_owned();
    for entry in ENTRIES {
        let form = entry.form.replace('|', "\\|");
        table += &format!("| `{form}` | {} | {} | {} |\n", entry.isolation, entry.needs_text(), entry.description);
    }
    table
}

impl Entry {
    /// Whether it runs without programs of other projects, so that CI measures it on every host.
    pub fn is_built_in(&self) -> bool {
        self.tools.is_empty() && self.needs.iter().all(|need| *need == Need::Root)
    }

    /// Whether it needs `need`.
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    fn needs_text(&self) -> String {
        match self.needs {
            [] => "nothing".to_owned(),
            needs => needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Isolation::None => "none",
            Isolation::Process => "process",
            Isolation::Container => "container",
            Isolation::VirtualMachine => "virtual machine",
            Isolation::Unikernel => "unikernel",
        })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Need::Root => "root",
            Need::Kvm => "KVM",
            Need::Program(name) => name,
        })
    }
}

impl Variant {
    /// A name that is measured if the user names no platform.
    const fn default(name: &'static str) -> Self {
        Self { role: Role::Default, ..Self::tested(name) }
    }

    /// A name that doctor shows.
    const fn listed(name: &'static str) -> Self {
        Self { role: Role::Listed, ..Self::tested(name) }
    }

    /// A name for the conformance tests.
    const fn tested(name: &'static str) -> Self {
        Self { name, role: Role::Tested, pace: Pace::Brisk, coverage: Coverage::All, in_smoke_run: false }
    }

    const fn pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    const fn same_guest(self) -> Self {
        Self { coverage: Coverage::Machine, ..self }
    }

    const fn smoke(self) -> Self {
        Self { in_smoke_run: true, ..self }
    }
}

impl LaunchEstimate {
    /// An engine with a daemon. Docker starts about nine containers a second if four launches overlap.
    pub const ENGINE: Self = Self::millis(500, 120, 110, 50);

    /// A process that the harness starts.
    pub const PROCESS: Self = Self::millis(8, 3, 8, 3);

    const fn millis(launch: u64, removal: u64, another: u64, fewer: u64) -> Self {
        const fn ms(n: u64) -> Nanos {
            Nanos(n * Nanos::MILLI.0)
        }
        Self { launch: ms(launch), removal: ms(removal), another: ms(another), fewer: ms(fewer) }
    }
}

/// The entry of a name, and the flavor in it.
fn find(name: &str) -> Result<(&'static Entry, Option<&str>), UnknownName> {
    let (family, flavor) = split(name);
    let entry = ENTRIES.iter().find(|entry| entry.family == family && (entry.accepts)(flavor));
    let unknown = || UnknownName { given: name.to_owned(), what: "platform", accepted: accepted() };
    entry.map(|entry| (entry, flavor)).ok_or_else(unknown)
}

/// The family and the flavor of a name.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(family, flavor)| (family, Some(flavor)))
}

impl FromStr for PlatformId {
    type Err = UnknownName;

    /// Accepts the names of the registry only.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        find(text).map(|_| PlatformId::new(text))
    }
}
