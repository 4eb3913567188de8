//! What a platform can do here, checked once before its contracts are.

use std::collections::BTreeMap;

use featherweight::model::platform::Capabilities;
use featherweight::model::program::Program;
use featherweight::platform::registry::{Coverage, Pace};

use crate::fixture::{Contract, Fixture, Needs, Subject};

/// Selects the contracts of slow platforms and of other machines with the same guest.
const SCOPE: &str = "FEATHERWEIGHT_CONFORMANCE";

/// How many contracts are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A subset for slow platforms and for other machines with the same guest.
    Default,
    /// A subset for the slowest platforms only.
    Ci,
    /// All of them.
    All,
}

/// What a platform can do here, or why it cannot run.
#[derive(Debug)]
pub(crate) struct Survey {
    subject: Subject,
    scope: Scope,
    abilities: Result<Abilities, String>,
}

#[derive(Debug)]
struct Abilities {
    can: Capabilities,
    runs_probe: bool,
    runs_every_program: bool,
}

impl Survey {
    /// Checks `subject`.
    pub(crate) fn of(subject: Subject) -> Self {
        let abilities = Fixture::open(subject).map(|fixture| Abilities {
            can: fixture.platform().capabilities(),
            runs_probe: fixture.runs(Program::Probe),
            runs_every_program: fixture.runs(Program::Write),
        });
        Self { subject, scope: Scope::from_env(), abilities }
    }

    /// Why `contract` is ignored here.
    pub(crate) fn why_ignored(&self, contract: &Contract) -> Option<String> {
        let abilities = match &self.abilities {
            Ok(abilities) => abilities,
            Err(why) => return Some(why.clone()),
        };
        let missing = abilities.missing(contract.needs).map(str::to_owned);
        missing.or_else(|| self.out_of_scope(contract.needs))
    }

    /// Prints every reason why contracts are ignored, once.
    pub(crate) fn print_reasons(&self, contracts: &[Contract]) {
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for reason in contracts.iter().filter_map(|contract| self.why_ignored(contract)) {
            *reasons.entry(reason).or_default() += 1;
        }
        for (reason, count) in reasons {
            eprintln!("{}: {count} of {} contracts ignored: {reason}", self.subject.name, contracts.len());
        }
    }

    fn out_of_scope(&self, needs: Needs) -> Option<String> {
        let is_basic = matches!(needs, Needs::Nothing | Needs::Programs);
        let is_about_the_machine = matches!(needs, Needs::Machine | Needs::Kernel);
        if self.subject.pace == Pace::Glacial && self.scope != Scope::All && !is_basic {
            return Some(format!("it is slow; {SCOPE}=all checks them"));
        }
        if self.subject.coverage == Coverage::Machine && self.scope == Scope::Default && !is_about_the_machine {
            return Some(format!("another platform runs the same guest; {SCOPE}=ci or all checks them"));
        }
        None
    }
}

impl Abilities {
    /// Which ability a contract needs that the platform lacks.
    fn missing(&self, needs: Needs) -> Option<&'static str> {
        let can = &self.can;
        if !self.runs_probe {
            return Some("it does not run the program of the tests");
        }
        match needs {
            Needs::Nothing => None,
            _ if can.simulated => Some("its guests are simulated"),
            Needs::Host | Needs::ForkOnHost if !can.host_processes => Some("its guests have a kernel of their own"),
            Needs::Fork | Needs::ForkOnHost if !can.fork => Some("its guests cannot fork"),
            Needs::Machine | Needs::Kernel if !can.own_memory => Some("its guests are not machines"),
            Needs::Limits if !can.limits => Some("it cannot limit instances here"),
            Needs::Network if !can.network => Some("its instances have no network here"),
            Needs::Programs if !self.runs_every_program => Some("it does not run every guest program"),
            Needs::Kernel if self.runs_every_program => Some("its guest programs are not kernels"),
            _ => None,
        }
    }
}

impl Scope {
    fn from_env() -> Self {
        match std::env::var(SCOPE).as_deref() {
            Err(_) | Ok("") => Scope::Default,
            Ok("ci") => Scope::Ci,
            Ok("all") => Scope::All,
            Ok(other) => panic!("{SCOPE}={other}: expected ci or all"),
        }
    }
}
