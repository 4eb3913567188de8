//! A group of instances that are launched and ended together. Owning it is the clean-up: nothing outlives it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::platform::{Error, Event, Instance, LaunchSpec, Milestone, Platform, Stopped};
use crate::units::Nanos;

/// Living instances of one platform.
#[derive(Debug, Default)]
pub struct Crew {
    members: Vec<Box<dyn Instance>>,
}

impl Crew {
    /// How many live.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none lives.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The living instances, oldest first.
    pub fn members(&mut self) -> &mut [Box<dyn Instance>] {
        &mut self.members
    }

    /// Launches `specs`, as many at once as the platform finds worth while. What was launched before a failure stays in
    /// the crew.
    ///
    /// # Errors
    /// The first launch that failed; no further one is begun then.
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

    /// Waits until every member has reached `milestone`. The instants are those of the reading: use
    /// [`Crew::launch_and_wait`] where they are measured.
    ///
    /// # Errors
    /// The first member that does not reach it.
    pub fn wait(&mut self, milestone: Milestone, deadline: Nanos) -> Result<(), Error> {
        self.members.iter_mut().try_for_each(|member| member.wait_for(milestone, deadline).map(drop))
    }

    /// Launches every spec on a thread of its own, which then waits for `milestone` at once, so that every instant is
    /// stamped as it happens. What was launched stays in the crew, in the order of the specs.
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

    /// How the members ended that have ended by themselves, in words.
    pub fn ended(&mut self, now: Nanos) -> Vec<String> {
        let how = |member: &mut Box<dyn Instance>| {
            // Looks only: `now` is over at once.
            let waited = member.wait_for(Milestone::Result, now);
            let ended = member.events().contains_key(&Event::Exit);
            ended.then(|| waited.map_or_else(|e| e.to_string(), |_| format!("{} gave its result", member.name())))
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
        let leaving: Vec<_> = leaving.into_iter().map(|member| Mutex::new(Some(member))).collect();
        let stopped = in_parallel(platform.capabilities().launch_concurrency, leaving.len(), |index| {
            let member = leaving[index].lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            member.map_or_else(|| Err(panicked("stop")), Instance::stop)
        });
        // A failed removal must not keep the others from being removed: those not begun are begun here.
        let rest = leaving.into_iter().filter_map(|member| member.into_inner().ok().flatten()).map(Instance::stop);
        stopped.into_iter().flatten().chain(rest).collect::<Vec<_>>().into_iter().collect()
    }
}

fn panicked(what: &str) -> Error {
    Error::Fatal(format!("a thread of the harness panicked in {what}"))
}

/// Does `work` for every index below `count` on up to `width` threads; begins no more after the first error.
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
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
        }
    };
    match width.min(count) {
        0 | 1 => worker(),
        width => thread::scope(|scope| (0..width).for_each(|_| drop(scope.spawn(worker)))),
    }
    results.into_iter().map(|slot| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_done_and_a_failure_begins_no_more() {
        let done = in_parallel(4, 100, Ok);
        assert!(done.into_iter().enumerate().all(|(i, r)| matches!(r, Some(Ok(n)) if n == i)));
        let done = in_parallel(1, 100, |index| if index == 3 { Err(Error::Interrupted) } else { Ok(()) });
        assert_eq!(done.iter().filter(|r| r.is_some()).count(), 4);
    }
}
