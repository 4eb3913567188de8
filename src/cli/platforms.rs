//! What the platforms say of themselves, for doctor.

use std::sync::Arc;

use crate::host::interrupt::Interrupt;
use crate::host::ledger::Ledger;
use crate::model::platform::{PlatformFacts, PlatformId, Unavailable};
use crate::model::run::RunId;
use crate::platform::{Context, registry};
use anyhow::Context as _;

/// A platform's name, and what it is and its version, or why it cannot run here and the cure.
pub(in crate::cli) type Answer = (String, Result<String, String>);

/// Asks every platform of the registry whether it can run here. The ledger they are asked with lives in a temporary
/// folder and makes nothing.
pub(in crate::cli) fn survey() -> anyhow::Result<Vec<Answer>> {
    let state = tempfile::tempdir().context("make a folder for the platforms' ledger")?;
    let ledger = Ledger::open(state.path(), &RunId::generate(), crate::platform::reap_engines)
        .context("open a ledger for the platforms")?;
    let context = Context::new(Arc::new(ledger), Interrupt::new().context("make an interrupt")?);
    let answers = registry::survey(&context);
    let told = |facts: PlatformFacts| std::iter::once(facts.version).chain(facts.notes).collect::<Vec<_>>().join("; ");
    let answer = |(id, entry, facts): (PlatformId, &registry::Entry, Result<PlatformFacts, Unavailable>)| {
        let known = facts.map(|facts| format!("{}: {}", entry.about, told(facts)));
        (id.to_string(), known.map_err(|why| why.to_string()))
    };
    Ok(answers.into_iter().map(answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_of_the_registry_answers() {
        let answers = survey().expect("the platforms can be asked");
        let names: Vec<_> = answers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(registry::defaults().iter().all(|id| names.contains(&id.as_str())), "{names:?}");
        let (_, native) = &answers[0];
        assert!(native.as_ref().is_ok_and(|told| told.contains("Linux ")), "{native:?}");
        let (_, youki) = &answers[1];
        // This test's executable has no launcher entry, and an ordinary user may not make containers.
        assert!(youki.as_ref().is_err_and(|why| why.contains("; ")), "{youki:?}");
    }
}
