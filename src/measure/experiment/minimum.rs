//! The smallest guest memory that still boots: found by bisection, then confirmed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Measured;
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, TrialRig};
use crate::model::metric::{self, MetricInfo};
use crate::model::record::Metric;
use crate::model::units::{Bytes, Nanos};
use crate::platform::{Error, Instance, LaunchSpec, Milestone, Purpose};

/// The resolution of the search.
const STEP: Bytes = Bytes::MIB;

/// The boots in a row that confirm a sufficient memory, and the failures that confirm an insufficient one.
const CONFIRMATIONS: u32 = 3;

/// A boot is aborted after this many times the boot time with the image's own memory, but not before [`LEAST_PATIENCE`].
/// With little memory, a guest may read its files over and over.
const PATIENCE: u64 = 5;
const LEAST_PATIENCE: Nanos = Nanos(2 * Nanos::SECOND.0);

pub(super) fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(rig, trial, None)?;
    let usual = boot(rig, trial, None, rig.timeout())??;
    let failed = |reason: &str| Error::failed(format!("look for the smallest memory of {}", trial.workload), reason);
    let own = usual.memory.ok_or_else(|| failed("the platform does not report the guest's memory"))?;
    let patience = Nanos(usual.took.0.saturating_mul(PATIENCE)).max(LEAST_PATIENCE).min(rig.timeout().into());
    let boots = |steps| boot(rig, trial, Some(Bytes(STEP.0 * steps)), patience.into()).map(|booted| booted.is_ok());
    let found = search(own.0.div_ceil(STEP.0), boots)?;
    let found = found.ok_or_else(|| failed(&format!("it does not always boot with {own}")))?;
    measured.metrics = found.metrics(own);
    Ok(())
}

/// A boot that succeeded.
#[derive(Debug, Clone, Copy)]
struct Booted {
    memory: Option<Bytes>,
    took: Nanos,
}

/// Boots the guest once and removes it. The inner error is a boot that failed.
///
/// # Errors
/// Errors that are not the guest's: an interrupt, a platform that is gone, an instance that cannot be removed.
fn boot(
    rig: &TrialRig<'_>,
    trial: &PlannedTrial,
    memory: Option<Bytes>,
    patience: Duration,
) -> Result<Result<Booted, Error>, Error> {
    let spec = LaunchSpec { memory, ..rig.spec(trial, trial.workload, Purpose::Measured)? };
    let began = rig.clock().now();
    let mut instance = match rig.platform.launch(&spec) {
        Err(error) => return guest_error(error).map(Err),
        Ok(instance) => instance,
    };
    let milestone = if trial.workload.is_server() { Milestone::Ready } else { Milestone::Main };
    let waited = instance.wait_for(milestone, began + patience.into());
    let memory = Instance::guest_memory(instance.as_ref());
    let stopped = instance.stop().map(drop);
    let booted = judge(waited, stopped)?;
    Ok(booted.map(|at| Booted { memory, took: at.saturating_sub(began) }))
}

/// Derives the outcome of a boot from its wait and its removal. The exit status of a guest that ended before its program
/// is unknown, so its removal fails as well.
fn judge<T>(waited: Result<T, Error>, stopped: Result<(), Error>) -> Result<Result<T, Error>, Error> {
    match waited {
        Ok(value) => stopped.map(|()| Ok(value)),
        Err(error) => {
            stopped.or_else(|error| guest_error(error).map(drop))?;
            guest_error(error).map(Err)
        }
    }
}

/// Separates the errors of a guest from all others.
fn guest_error(error: Error) -> Result<Error, Error> {
    match error {
        Error::Failed { .. } | Error::Deadline { .. } => Ok(error),
        Error::Unavailable(_) | Error::Interrupted | Error::Fatal(_) => Err(error),
    }
}

/// The result of a search, in steps, with all attempts in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SearchResult {
    least: u64,
    sufficient: Vec<u64>,
    insufficient: Vec<u64>,
}

/// Searches for the least number of steps at which `boots` is true, assuming that it is for `most` and never for zero.
///
/// The search bisects, confirms the result and refutes one step less. A result that is not confirmed goes up by a step.
/// If one step less is confirmed, a boot has failed for another reason, and the search bisects again below it.
/// `None` if the guest does not boot with `most` either.
fn search<E>(most: u64, boots: impl FnMut(u64) -> Result<bool, E>) -> Result<Option<SearchResult>, E> {
    let found = SearchResult { least: most, ..SearchResult::default() };
    let mut search = Search { boots, found, verdicts: BTreeMap::new() };
    search.bisect()?;
    loop {
        let least = search.found.least;
        if !search.suffices(least)? {
            if least == most {
                return Ok(None);
            }
            search.found.least += 1;
        } else if least > 1 && search.suffices(least - 1)? {
            search.found.least -= 1;
            search.bisect()?;
        } else {
            return Ok(Some(search.found));
        }
    }
}

/// A search in progress.
struct Search<B> {
    boots: B,
    found: SearchResult,
    /// Confirmed (true) and refuted (false) numbers of steps.
    verdicts: BTreeMap<u64, bool>,
}

impl<E, B: FnMut(u64) -> Result<bool, E>> Search<B> {
    /// Lowers the least to one step above a failure, with one boot per attempt.
    fn bisect(&mut self) -> Result<(), E> {
        let failed = self.found.insufficient.iter().copied().filter(|&steps| steps < self.found.least);
        let mut too_little = failed.max().unwrap_or(0);
        while self.found.least - too_little > 1 {
            let middle = too_little.midpoint(self.found.least);
            if self.probe(middle)? { self.found.least = middle } else { too_little = middle }
        }
        Ok(())
    }

    /// Whether the guest boots [`CONFIRMATIONS`] times in a row before it fails as often.
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
    /// The metrics. The insufficient memory is one step below the least; there is none if a single step suffices.
    fn metrics(&self, own: Bytes) -> Vec<Metric> {
        let bytes = |steps: u64| (STEP.0 * steps) as f64;
        let searched = |metric: &MetricInfo, steps: u64, probes: &[u64]| Metric {
            samples: probes.iter().map(|&steps| bytes(steps)).collect(),
            ..metric.of(bytes(steps))
        };
        let mut metrics = vec![
            searched(&metric::MINIMUM_MEMORY, self.least, &self.sufficient),
            metric::GUEST_MEMORY.of(own.0 as f64),
        ];
        if self.insufficient.contains(&(self.least - 1)) {
            metrics.push(searched(&metric::INSUFFICIENT_MEMORY, self.least - 1, &self.insufficient));
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
        Error::failed("stop a guest", "it ended without reporting a status")
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
        let outcome = match judge(waited, stopped) {
            Ok(Ok(_)) => "booted",
            Ok(Err(_)) => "too little",
            Err(_) => "aborted",
        };
        assert_eq!(outcome, expected);
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
