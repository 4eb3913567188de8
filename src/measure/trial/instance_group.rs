//! A group of instances that are launched and ended together. Nothing outlives the group that owns it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::model::event::Event;
use crate::model::units::Nanos;
use crate::platform::{Error, Instance, LaunchSpec, Milestone, Platform, Stopped};

/// Living instances of one platform.
#[derive(Debug, Default)]
pub struct InstanceGroup {
    members: Vec<Box<dyn Instance>>,
}

impl InstanceGroup {
    /// The number of living instances.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no instance lives.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The living instances, oldest first.
    pub fn members(&mut self) -> &mut [Box<dyn Instance>] {
        &mut self.members
    }

    /// Launches `specs`, as many at once as suits the platform. What was launched before a failure stays in the group.
    ///
    /// # Errors
    /// The first launch that failed; no further launch begins then.
    pub fn launch(&mut self, platform: &dyn Platform, specs: &[LaunchSpec]) -> Result<(), Error> {
        let launched = in_parallel(platform.capabilities().launch_concurrency, specs.len(), |index| {
            platform.launch(&specs[index])
        });
        let mut first_error = Ok(());
        for instance in launched.into_iter().flatten() {
            match instance {
                Ok(instance) => self.members.push(instance),
                Err(error) if first_error.is_ok() => first_error = Err(error),
                Err(_) => {}
            }
        }
        first_error
    }

    /// Waits until every member has reached `milestone`. The instants are those of the reading; use
    /// [`InstanceGroup::launch_and_wait`] to measure them.
    ///
    /// # Errors
    /// The first member that does not reach it.
    pub fn wait(&mut self, milestone: Milestone, deadline: Nanos) -> Result<(), Error> {
        self.members.iter_mut().try_for_each(|member| member.wait_for(milestone, deadline).map(drop))
    }

    /// Launches every spec on a thread of its own, which waits for `milestone` at once, so that every instant is stamped
    /// as it happens. What was launched stays in the group, in the order of the specs.
    ///
    /// # Errors
    /// The first launch or wait that failed.
    pub fn launch_and_wait(
        &mut self,
        platform: &dyn Platform,
        specs: &[LaunchSpec],
        milestone: Milestone,
        deadline: Nanos,
    ) -> Result<(), Error> {
        let live = |spec| {
            let mut member = platform.launch(spec)?;
            let waited = member.wait_for(milestone, deadline).map(drop);
            Ok((member, waited))
        };
        let lives: Vec<Result<_, Error>> = thread::scope(|scope| {
            let threads: Vec<_> = specs.iter().map(|spec| scope.spawn(move || live(spec))).collect();
            threads.into_iter().map(|life| life.join().unwrap_or_else(|_| Err(panicked("launch")))).collect()
        });
        let mut outcomes = Vec::new();
        for life in lives {
            match life {
                Ok((member, waited)) => {
                    self.members.push(member);
                    outcomes.push(waited);
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        outcomes.into_iter().collect()
    }

    /// A line for each member that has ended by itself. A member whose engine is lost counts as ended.
    pub fn ended(&mut self, now: Nanos) -> Vec<String> {
        let how = |member: &mut Box<dyn Instance>| {
            // A deadline of `now` only checks.
            let waited = member.wait_for(Milestone::Result, now);
            let exited = member.events().contains_key(&Event::Exit);
            match waited {
                Ok(_) => exited.then(|| format!("{} gave its result", member.name())),
                Err(Error::Deadline { .. } | Error::Interrupted) if !exited => None,
                Err(why) => Some(why.to_string()),
            }
        };
        self.members.iter_mut().filter_map(how).collect()
    }

    /// Ends the youngest members until `keep` are left.
    ///
    /// # Errors
    /// The first that could not be removed; all are tried.
    pub fn shrink(&mut self, platform: &dyn Platform, keep: usize) -> Result<Vec<Stopped>, Error> {
        let mut leaving = self.members.split_off(keep.min(self.members.len()));
        leaving.iter_mut().for_each(|member| member.kill());
        stop_all(leaving, platform.capabilities().launch_concurrency)
    }
}

/// Stops `members`, up to `width` at once. The threads ignore a failed removal, so that all others are removed.
fn stop_all(members: Vec<Box<dyn Instance>>, width: usize) -> Result<Vec<Stopped>, Error> {
    let members: Vec<_> = members.into_iter().map(|member| Mutex::new(Some(member))).collect();
    let stop = |index: usize| {
        let member = members[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        member.map_or_else(|| Err(panicked("stop")), Instance::stop)
    };
    let stopped = in_parallel(width, members.len(), |index| Ok(stop(index)));
    stopped.into_iter().flatten().map(Result::flatten).collect()
}

fn panicked(what: &str) -> Error {
    Error::Fatal(format!("a thread of the harness panicked in {what}"))
}

/// Does `work` for every index below `count` on up to `width` threads. Nothing begins after the first error.
fn in_parallel<T: Send>(
    width: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Vec<Option<Result<T, Error>>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Vec<Mutex<Option<Result<T, Error>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = results.get(index) else { break };
            let result = work(index);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    match width.min(count) {
        0 | 1 => worker(),
        width => thread::scope(|scope| (0..width).for_each(|_| drop(scope.spawn(worker)))),
    }
    results.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::host::cgroup::Cgroup;
    use crate::model::event::Events;
    use crate::platform::{Endpoint, GuestThread, StampedLine};

    #[test]
    fn all_are_done_and_a_failure_begins_no_more() {
        let done = in_parallel(4, 100, Ok);
        assert!(done.into_iter().enumerate().all(|(i, r)| matches!(r, Some(Ok(n)) if n == i)));
        let done = in_parallel(1, 100, |index| if index == 3 { Err(Error::Interrupted) } else { Ok(()) });
        assert_eq!(done.iter().filter(|r| r.is_some()).count(), 4);
    }

    #[test]
    fn a_failed_removal_keeps_none_of_the_others_from_being_tried() {
        let stops = Arc::<AtomicUsize>::default();
        let member = |_| -> Box<dyn Instance> {
            Box::new(Answers { events: Events::new(), answer: None, stops: Arc::clone(&stops) })
        };
        assert!(stop_all((0..100).map(member).collect(), 4).is_err());
        assert_eq!(stops.load(Ordering::Relaxed), 100);
    }

    /// An instance with an answer to one wait.
    #[derive(Debug)]
    struct Answers {
        events: Events,
        answer: Option<Result<Nanos, Error>>,
        stops: Arc<AtomicUsize>,
    }

    impl Instance for Answers {
        fn name(&self) -> &str {
            "fw-test"
        }

        fn events(&self) -> &Events {
            &self.events
        }

        fn lines(&mut self) -> &[StampedLine] {
            &[]
        }

        fn wait_for(&mut self, _: Milestone, _: Nanos) -> Result<Nanos, Error> {
            self.answer.take().unwrap_or(Err(Error::Interrupted))
        }

        fn threads(&self) -> Vec<GuestThread> {
            Vec::new()
        }

        fn cgroup(&self) -> Option<&Cgroup> {
            None
        }

        fn endpoint(&self) -> Option<Endpoint> {
            None
        }

        fn kill(&mut self) {}

        fn stop(self: Box<Self>) -> Result<Stopped, Error> {
            self.stops.fetch_add(1, Ordering::Relaxed);
            Err(Error::failed("stop", "it has no platform"))
        }
    }

    fn late() -> Error {
        let text = || "late".to_owned();
        Error::Deadline { name: text(), after: text(), awaited: text(), last: text() }
    }

    #[rstest]
    #[case::lives(Err(late()), Events::new(), None)]
    #[case::the_user_stops(Err(Error::Interrupted), Events::new(), None)]
    #[case::has_a_result_and_lives(Ok(Nanos(1)), Events::new(), None)]
    #[case::gave_its_result(Ok(Nanos(1)), Events::from([(Event::Exit, Nanos(2))]), Some("gave its result"))]
    #[case::exited(Err(Error::failed("wait", "exited")), Events::from([(Event::Exit, Nanos(2))]), Some("wait: exited"))]
    #[case::its_engine_is_lost(Err(Error::failed("wait", "lost")), Events::new(), Some("wait: lost"))]
    fn a_member_that_ended_or_is_lost_is_reported(
        #[case] answer: Result<Nanos, Error>,
        #[case] events: Events,
        #[case] expected: Option<&str>,
    ) {
        let mut group =
            InstanceGroup { members: vec![Box::new(Answers { events, answer: Some(answer), stops: Arc::default() })] };
        match (group.ended(Nanos(3)).as_slice(), expected) {
            ([], None) => {}
            ([line], Some(expected)) => assert!(line.contains(expected), "{line}"),
            other => panic!("{other:?}"),
        }
    }
}
