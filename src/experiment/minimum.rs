//! The smallest guest memory that still boots: found by halving, and confirmed.

use std::time::Duration;

use super::Measured;
use super::stage::{Stage, lower};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Instance, LaunchSpec, Milestone, Purpose};
use crate::store::Metric;
use crate::units::{Bytes, Direction, Nanos, Unit};

/// How finely is looked.
const STEP: Bytes = Bytes::MIB;

/// So many boots in a row confirm what was found.
const CONFIRMATIONS: u32 = 3;

/// A guest that takes so many times as long as with its image's own memory is given up: with little memory, one may read
/// its files over and over. But no sooner than [`LEAST_PATIENCE`].
const PATIENCE: u64 = 5;
const LEAST_PATIENCE: Nanos = Nanos(2 * Nanos::SECOND.0);

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(stage, trial, None)?;
    let usual = boot(stage, trial, None, stage.timeout())??;
    let failed = |reason: &str| Error::failed(format!("look for the smallest memory of {}", trial.workload), reason);
    let own = usual.memory.ok_or_else(|| failed("the platform does not tell how much its guest has"))?;
    let patience = Nanos(usual.took.0.saturating_mul(PATIENCE)).max(LEAST_PATIENCE).min(stage.timeout().into());
    let boots = |steps| boot(stage, trial, Some(Bytes(STEP.0 * steps)), patience.into()).map(|booted| booted.is_ok());
    let found = search(own.0.div_ceil(STEP.0), boots)?;
    let found = found.ok_or_else(|| failed(&format!("it does not boot with {own} every time")))?;
    measured.metrics = found.metrics(own);
    Ok(())
}

/// A boot that succeeded.
#[derive(Debug, Clone, Copy)]
struct Booted {
    memory: Option<Bytes>,
    took: Nanos,
}

/// Boots the guest once and removes it. The inner error is that it did not come as far as it should.
///
/// # Errors
/// What says nothing about the guest: an interrupt, a platform that is gone, an instance that cannot be removed.
fn boot(
    stage: &Stage<'_>,
    trial: &PlannedTrial,
    memory: Option<Bytes>,
    patience: Duration,
) -> Result<Result<Booted, Error>, Error> {
    let spec = LaunchSpec { memory, ..stage.spec(trial, trial.workload, Purpose::Measured)? };
    let began = stage.clock().now();
    let mut instance = match stage.platform.launch(&spec) {
        Err(error) => return of_the_guest(error).map(Err),
        Ok(instance) => instance,
    };
    let milestone = if trial.workload.is_server() { Milestone::Ready } else { Milestone::Main };
    let waited = instance.wait_for(milestone, began + patience.into());
    let memory = Instance::guest_memory(instance.as_ref());
    instance.stop()?;
    match waited {
        Ok(at) => Ok(Ok(Booted { memory, took: at.saturating_sub(began) })),
        Err(error) => of_the_guest(error).map(Err),
    }
}

/// Sorts out the errors that are not a guest's.
fn of_the_guest(error: Error) -> Result<Error, Error> {
    match error {
        Error::Failed { .. } | Error::Deadline { .. } => Ok(error),
        Error::Unavailable(_) | Error::Interrupted | Error::Fatal(_) => Err(error),
    }
}

/// What a search has found, in steps, with all that it tried, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    least: u64,
    sufficient: Vec<u64>,
    insufficient: Vec<u64>,
}

/// The least number of steps at which `boots`, given that it does with `most` and never with none: halved, then confirmed;
/// what is not confirmed is a step too little. `None` if it does not boot every time with `most`, either.
fn search<E>(most: u64, mut boots: impl FnMut(u64) -> Result<bool, E>) -> Result<Option<Found>, E> {
    let mut found = Found { least: most, ..Found::default() };
    let mut probe = |found: &mut Found, steps| {
        let enough = boots(steps)?;
        if enough { &mut found.sufficient } else { &mut found.insufficient }.push(steps);
        Ok(enough)
    };
    let mut too_little = 0;
    while found.least - too_little > 1 {
        let middle = too_little.midpoint(found.least);
        if probe(&mut found, middle)? { found.least = middle } else { too_little = middle }
    }
    let mut confirmed = 0;
    while confirmed < CONFIRMATIONS {
        let steps = found.least;
        match probe(&mut found, steps)? {
            true => confirmed += 1,
            false if found.least == most => return Ok(None),
            false => (found.least, confirmed) = (found.least + 1, 0),
        }
    }
    Ok(Some(found))
}

impl Found {
    /// The largest memory that did not suffice is a step below; where a single step suffices there is none.
    fn metrics(&self, own: Bytes) -> Vec<Metric> {
        let bytes = |steps: u64| (STEP.0 * steps) as f64;
        let amount = |name: &str, value: f64, probes: &[u64]| Metric {
            samples: probes.iter().map(|&steps| bytes(steps)).collect(),
            ..lower(name, Unit::Bytes, value)
        };
        let context = |metric: Metric| Metric { direction: Direction::Neutral, ..metric };
        let mut metrics = vec![
            amount("minimum_memory", bytes(self.least), &self.sufficient),
            context(amount("guest_memory", own.0 as f64, &[])),
        ];
        if self.insufficient.contains(&(self.least - 1)) {
            metrics.push(context(amount("insufficient_memory", bytes(self.least - 1), &self.insufficient)));
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(most: u64, boots: impl Fn(u64) -> bool) -> Option<Found> {
        search(most, |steps| Ok::<_, Error>(boots(steps))).expect("no probe is in error")
    }

    #[test]
    fn the_least_is_confirmed_and_one_step_less_fails() {
        let found = found(64, |steps| steps >= 23).unwrap();
        assert_eq!(found.least, 23);
        assert_eq!(found.sufficient, [32, 24, 23, 23, 23, 23]);
        assert_eq!(found.insufficient, [16, 20, 22]);
    }

    #[test]
    fn what_boots_only_at_times_is_a_step_too_little() {
        let mut tries = 0;
        let mut flaky = |steps: u64| {
            tries += u32::from(steps == 23);
            Ok::<_, Error>(steps > 23 || (steps == 23 && tries != 3))
        };
        let found = search(64, &mut flaky).unwrap().unwrap();
        assert_eq!((found.least, found.insufficient.last()), (24, Some(&23)));
        assert_eq!(found.sufficient[found.sufficient.len() - 3..], [24, 24, 24]);
    }

    #[test]
    fn a_guest_that_fails_with_its_own_memory_has_no_smallest() {
        assert_eq!(found(8, |_| false), None);
    }

    #[test]
    fn where_one_step_suffices_nothing_was_too_little() {
        let names = |found: &Found| found.metrics(Bytes(64 << 20)).into_iter().map(|m| m.name).collect::<Vec<_>>();
        let least = found(4, |_| true).unwrap();
        assert_eq!((least.least, names(&least)), (1, vec!["minimum_memory".to_owned(), "guest_memory".to_owned()]));
        assert_eq!(names(&found(4, |steps| steps > 1).unwrap())[2], "insufficient_memory");
    }

    proptest! {
        #[test]
        fn whatever_is_needed_is_found_in_few_boots(most in 1u64..100_000, share in 0.0f64..1.0) {
            let needed = ((most as f64 * share) as u64).max(1);
            let found = found(most, |steps| steps >= needed).unwrap();
            prop_assert_eq!(found.least, needed);
            prop_assert!(found.sufficient.len() + found.insufficient.len() <= 17 + CONFIRMATIONS as usize);
            prop_assert!(needed == 1 || found.insufficient.contains(&(needed - 1)));
        }
    }
}
