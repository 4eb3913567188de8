//! The smallest guest memory that still boots: found by halving, and confirmed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Measured;
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::Background;
use crate::measure::trial::Stage;
use crate::measure::trial::lower;
use crate::model::record::Metric;
use crate::model::units::{Bytes, Direction, Nanos, Unit};
use crate::platform::{Error, Instance, LaunchSpec, Milestone, Purpose};

/// How finely is looked.
const STEP: Bytes = Bytes::MIB;

/// So many boots in a row confirm what suffices, and so many failures what does not.
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
    let stopped = instance.stop().map(drop);
    let booted = judge(waited, stopped)?;
    Ok(booted.map(|at| Booted { memory, took: at.saturating_sub(began) }))
}

/// What a boot tells, from how the waiting and the removal went. Of a guest that ended before its program did nobody
/// knows how that ended, and so its removal fails as well.
fn judge<T>(waited: Result<T, Error>, stopped: Result<(), Error>) -> Result<Result<T, Error>, Error> {
    match waited {
        Ok(value) => stopped.map(|()| Ok(value)),
        Err(error) => {
            stopped.or_else(|error| of_the_guest(error).map(drop))?;
            of_the_guest(error).map(Err)
        }
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
struct SearchResult {
    least: u64,
    sufficient: Vec<u64>,
    insufficient: Vec<u64>,
}

/// The least number of steps at which `boots`, given that it does with `most` and never with none: halved, then confirmed,
/// and a step less refuted. What is not confirmed is a step too little; where a step less is confirmed, a boot has failed
/// for another reason, and what lies below is halved again. `None` if it does not boot with `most`, either.
fn search<E>(most: u64, boots: impl FnMut(u64) -> Result<bool, E>) -> Result<Option<SearchResult>, E> {
    let found = SearchResult { least: most, ..SearchResult::default() };
    let mut search = Search { boots, found, verdicts: BTreeMap::new() };
    search.halve()?;
    loop {
        let least = search.found.least;
        if !search.suffices(least)? {
            if least == most {
                return Ok(None);
            }
            search.found.least += 1;
        } else if least > 1 && search.suffices(least - 1)? {
            search.found.least -= 1;
            search.halve()?;
        } else {
            return Ok(Some(search.found));
        }
    }
}

/// A search under way.
struct Search<B> {
    boots: B,
    found: SearchResult,
    /// What is confirmed and what is refuted.
    verdicts: BTreeMap<u64, bool>,
}

impl<E, B: FnMut(u64) -> Result<bool, E>> Search<B> {
    /// Lowers the least to what lies a step above what failed, by one boot each.
    fn halve(&mut self) -> Result<(), E> {
        let failed = self.found.insufficient.iter().copied().filter(|&steps| steps < self.found.least);
        let mut too_little = failed.max().unwrap_or(0);
        while self.found.least - too_little > 1 {
            let middle = too_little.midpoint(self.found.least);
            if self.probe(middle)? { self.found.least = middle } else { too_little = middle }
        }
        Ok(())
    }

    /// Whether it boots with so many steps so many times in a row before it has failed as often.
    fn suffices(&mut self, steps: u64) -> Result<bool, E> {
        if let Some(&verdict) = self.verdicts.get(&steps) {
            return Ok(verdict);
        }
        let (mut in_a_row, mut failures) = (0, 0);
        while in_a_row < CONFIRMATIONS && failures < CONFIRMATIONS {
            match self.probe(steps)? {
                true => in_a_row += 1,
                false => (in_a_row, failures) = (0, failures + 1),
            }
        }
        self.verdicts.insert(steps, failures < CONFIRMATIONS);
        Ok(failures < CONFIRMATIONS)
    }

    fn probe(&mut self, steps: u64) -> Result<bool, E> {
        let enough = (self.boots)(steps)?;
        if enough { &mut self.found.sufficient } else { &mut self.found.insufficient }.push(steps);
        Ok(enough)
    }
}

impl SearchResult {
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
    use rstest::rstest;

    use super::*;

    fn found(most: u64, boots: impl Fn(u64) -> bool) -> Option<SearchResult> {
        search(most, |steps| Ok::<_, Error>(boots(steps))).expect("no probe is in error")
    }

    #[test]
    fn the_least_is_confirmed_and_a_step_less_refuted() {
        let found = found(64, |steps| steps >= 23).unwrap();
        assert_eq!(found.least, 23);
        assert_eq!(found.sufficient, [32, 24, 23, 23, 23, 23]);
        assert_eq!(found.insufficient, [16, 20, 22, 22, 22, 22]);
    }

    /// Needs 23 steps of 64, and fails in those boots, too.
    #[rstest]
    #[case::once_while_it_is_halved(&[1], 23)]
    #[case::and_once_when_a_step_less_is_tried(&[1, 10], 23)]
    #[case::once_while_it_is_confirmed(&[8], 23)]
    #[case::as_often_as_what_is_too_little(&[7, 8, 9], 24)]
    fn a_hiccup_does_not_make_it_larger(#[case] hiccups: &[u32], #[case] least: u64) {
        let mut boots = 0;
        let found = search(64, |steps| {
            boots += 1;
            Ok::<_, Error>(steps >= 23 && !hiccups.contains(&boots))
        });
        let found = found.unwrap().unwrap();
        assert_eq!(found.least, least);
        assert!(found.sufficient.iter().rev().take_while(|&&steps| steps == least).count() >= 3);
        assert!(found.insufficient.iter().filter(|&&steps| steps == least - 1).count() >= 3);
    }

    fn failed() -> Error {
        Error::failed("stop a guest", "it ended without a word")
    }

    #[rstest]
    #[case::it_booted(Ok(1), Ok(()), "booted")]
    #[case::it_ended_too_early(Err(failed()), Err(failed()), "too little")]
    #[case::it_came_to_nothing(Err(failed()), Ok(()), "too little")]
    #[case::it_booted_and_cannot_be_removed(Ok(1), Err(failed()), "aborted")]
    #[case::the_user_stops(Err(failed()), Err(Error::Interrupted), "aborted")]
    #[case::the_user_has_stopped(Err(Error::Interrupted), Err(failed()), "aborted")]
    #[case::the_run_cannot_go_on(Err(failed()), Err(Error::Fatal("no disk".into())), "aborted")]
    fn only_what_says_nothing_about_the_guest_ends_the_search(
        #[case] waited: Result<u64, Error>,
        #[case] stopped: Result<(), Error>,
        #[case] expected: &str,
    ) {
        let told = match judge(waited, stopped) {
            Ok(Ok(_)) => "booted",
            Ok(Err(_)) => "too little",
            Err(_) => "aborted",
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn a_guest_that_fails_with_its_own_memory_has_no_smallest() {
        assert_eq!(found(8, |_| false), None);
    }

    #[test]
    fn where_one_step_suffices_nothing_was_too_little() {
        let names =
            |found: &SearchResult| found.metrics(Bytes(64 << 20)).into_iter().map(|m| m.name).collect::<Vec<_>>();
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
            prop_assert!(found.sufficient.len() + found.insufficient.len() <= 17 + 2 * CONFIRMATIONS as usize);
            prop_assert!(needed == 1 || found.insufficient.contains(&(needed - 1)));
        }
    }
}
