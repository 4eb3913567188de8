//! Every platform keeps the contract of `Platform` and `Instance`: every variant in the registry, times every contract.
//!
//! A platform that cannot run here, or lacks the capability that a contract needs, is ignored; the reason is printed once
//! per platform. A contract never branches on a platform's name.

mod arms;
mod cleanliness;
mod crashes;
mod crowds;
mod failures;
mod fixture;
mod host;
mod life;
mod limits;
mod machines;
mod network;
mod survey;

use featherweight::platform::{launcher_entry, registry};
use fixture::{Contract, Fixture, Subject};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use survey::Survey;

fn main() {
    launcher_entry();
    crashes::victim_entry();
    let arguments = Arguments::from_args();
    let contracts = [
        life::ALL,
        limits::ALL,
        arms::ALL,
        machines::ALL,
        network::ALL,
        failures::ALL,
        crowds::ALL,
        cleanliness::ALL,
        crashes::ALL,
    ]
    .concat();
    let trials = registry::variants().flat_map(|subject| trials(subject, &contracts, &arguments)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// The trials of a platform. It is surveyed only if one of them is about to run.
fn trials(subject: Subject, contracts: &[Contract], arguments: &Arguments) -> Vec<Trial> {
    let name = |contract: &Contract| format!("{}::{}", subject.name, contract.name);
    let is_needed = !arguments.list && contracts.iter().any(|contract| is_chosen(&name(contract), arguments));
    let survey = is_needed.then(|| Survey::of(subject));
    if let Some(survey) = &survey {
        survey.print_reasons(contracts);
    }
    let trial = |contract: &Contract| {
        let is_ignored = survey.as_ref().is_some_and(|survey| survey.why_ignored(contract).is_some());
        let contract = *contract;
        Trial::ignorable_test(name(&contract), move || run(subject, contract, is_ignored))
    };
    contracts.iter().map(trial).collect()
}

/// Whether the command line chooses the trial of this name.
fn is_chosen(name: &str, arguments: &Arguments) -> bool {
    let matches = |pattern: &str| if arguments.exact { name == pattern } else { name.contains(pattern) };
    let is_skipped = arguments.skip.iter().any(|pattern| matches(pattern));
    arguments.filter.as_deref().is_none_or(matches) && !is_skipped
}

fn run(subject: Subject, contract: Contract, is_ignored: bool) -> Result<Completion, Failed> {
    if is_ignored {
        return Ok(Completion::ignored());
    }
    let fixture = Fixture::open(subject)?;
    (contract.check)(&fixture);
    fixture.close();
    Ok(Completion::Completed)
}
