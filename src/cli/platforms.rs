//! Which platforms can run here, for doctor.

use std::sync::Arc;

use crate::host::interrupt::Interrupt;
use crate::host::ledger::Ledger;
use crate::model::platform::{PlatformFacts, PlatformId, Unavailable};
use crate::model::run::RunId;
use crate::platform::{Context, registry};
use anyhow::Context as _;

/// A platform's name with its description and version, or with the reason why it cannot run here and the remedy.
pub(in crate::cli) type Answer = (String, Result<String, String>);

/// Checks every platform of the registry. The checks create no resources, so their ledger is in a temporary folder.
pub(in crate::cli) fn survey() -> anyhow::Result<Vec<Answer>> {
    let state = tempfile::tempdir().context("failed to create a temporary folder")?;
    let ledger = Ledger::open(state.path(), &RunId::generate(), crate::platform::reap_engines)
        .context("failed to open a ledger")?;
    let context = Context::new(Arc::new(ledger), Interrupt::new().context("failed to create an interrupt")?);
    let answers = registry::survey(&context);
    Ok(answers.into_iter().map(|(id, entry, facts)| answer(&id, entry, facts)).collect())
}

fn answer(id: &PlatformId, entry: &registry::Entry, facts: Result<PlatformFacts, Unavailable>) -> Answer {
    let description = facts.map(|facts| {
        let versions: Vec<String> = std::iter::once(facts.version).chain(facts.notes).collect();
        format!("{}: {}", entry.description, versions.join("; "))
    });
    (id.to_string(), description.map_err(|why| why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_of_the_registry_answers() {
        let answers = survey().expect("the platforms can be checked");
        let names: Vec<_> = answers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(registry::defaults().iter().all(|id| names.contains(&id.as_str())), "{names:?}");
        let (_, native) = &answers[0];
        assert!(native.as_ref().is_ok_and(|text| text.contains("Linux ")), "{native:?}");
        let (_, youki) = &answers[1];
        // This test's executable has no launcher entry, and an ordinary user cannot create containers.
        assert!(youki.as_ref().is_err_and(|why| why.contains("; ")), "{youki:?}");
    }
}
