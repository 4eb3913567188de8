//! The exits of a platform's instances, from one stream of the engine's events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::Error;
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::CONTAINER_LABEL;
use crate::model::run::RunId;
use crate::platform::engine_api::{ContainerEvent, Engine, Subscription};
use crate::platform::process::exit_notice::{ExitNotice, Notification, exit_of_code};
use crate::platform::process::host_error::During;

/// How far back the stream begins, in seconds, because the offset to the engine's clock is rounded to a second.
const LOOKBACK: i64 = 2;

/// Tracks the exits of instances.
#[derive(Debug)]
pub(super) struct ExitTracker {
    /// How far the engine's clock is ahead of ours, in seconds.
    clock_offset: i64,
    tracked: Arc<Mutex<Tracked>>,
    subscription: Mutex<Option<Subscription>>,
}

#[derive(Debug, Default)]
struct Tracked {
    notices: BTreeMap<String, Arc<ExitNotice>>,
    /// Whether a stream is open.
    is_streaming: bool,
}

impl ExitTracker {
    /// A tracker without instances; `time` is the engine's clock in its own format.
    pub(super) fn new(time: Option<&str>) -> Self {
        let engine_time = time.and_then(|text| text.parse::<Timestamp>().ok());
        let clock_offset = engine_time.map_or(0, |time| time.as_second() - Timestamp::now().as_second());
        Self { clock_offset, tracked: Arc::default(), subscription: Mutex::default() }
    }

    /// Tracks the container `name`. Opens the stream if none is open: at first, and again after the engine was lost.
    pub(super) fn track(&self, engine: &Engine, run: &RunId, name: &str) -> Result<Arc<ExitNotice>, Error> {
        let notice = Arc::new(ExitNotice::new().during("create an eventfd")?);
        let mut subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tracked = lock(&self.tracked);
        tracked.notices.insert(name.to_owned(), Arc::clone(&notice));
        let was_streaming = std::mem::replace(&mut tracked.is_streaming, true);
        drop(tracked);
        if !was_streaming {
            let tracked = Arc::clone(&self.tracked);
            let since = Timestamp::now().as_second() + self.clock_offset - LOOKBACK;
            let dispatch = move |event| dispatch(&tracked, event);
            *subscription = Some(engine.follow(CONTAINER_LABEL, run.as_str(), since, dispatch));
        }
        Ok(notice)
    }

    /// Stops tracking the container `name`.
    pub(super) fn untrack(&self, name: &str) {
        lock(&self.tracked).notices.remove(name);
    }
}

fn dispatch(tracked: &Mutex<Tracked>, event: ContainerEvent) {
    let at = HostClock.now();
    let mut tracked = lock(tracked);
    match event {
        ContainerEvent::Created(name) => {
            if let Some(notice) = tracked.notices.get(&name) {
                notice.report_created(at);
            }
        }
        ContainerEvent::Started(name) => {
            if let Some(notice) = tracked.notices.get(&name) {
                notice.report_started(at);
            }
        }
        ContainerEvent::Died { name, code } => {
            let exit = exit_of_code(i32::try_from(code).unwrap_or(i32::MAX));
            if let Some(notice) = tracked.notices.get(&name) {
                notice.report(Notification::Ended { at, exit });
            }
        }
        ContainerEvent::Lost(error) => {
            tracked.is_streaming = false;
            for notice in tracked.notices.values() {
                notice.report(Notification::Lost(error.clone()));
            }
        }
    }
}

fn lock(tracked: &Mutex<Tracked>) -> MutexGuard<'_, Tracked> {
    tracked.lock().unwrap_or_else(PoisonError::into_inner)
}
