//! Who has ended, by one stream of the engine's events for all instances of a platform.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::CONTAINER_LABEL;
use crate::model::run::RunId;
use crate::platform::engine_api::{Engine, Happening, Subscription};
use crate::platform::process::exit_notice::{ExitNotice, Notification, exit_of_code};

/// How far back the stream begins, in seconds: the engine's clock is known to the second only.
const EARLIER: i64 = 2;

/// The instances that wait for word of their end.
#[derive(Debug)]
pub(super) struct Ends {
    /// How far the engine's clock is ahead of ours, in seconds.
    ahead: i64,
    waiting: Arc<Mutex<Waiting>>,
    subscription: Mutex<Option<Subscription>>,
}

#[derive(Debug, Default)]
struct Waiting {
    all: BTreeMap<String, Arc<ExitNotice>>,
    /// Whether the stream flows.
    hearing: bool,
}

impl Ends {
    /// Nobody waits yet; `time` is the engine's own, as it writes it.
    pub(super) fn new(time: Option<&str>) -> Self {
        let theirs = time.and_then(|text| text.parse::<Timestamp>().ok());
        let ahead = theirs.map_or(0, |theirs| theirs.as_second() - Timestamp::now().as_second());
        Self { ahead, waiting: Arc::default(), subscription: Mutex::default() }
    }

    /// From now on tells what happens to the container `name`. Begins the stream if it does not flow: at first, and
    /// again after the engine was lost.
    pub(super) fn expect(&self, engine: &Engine, run: &RunId, name: &str) -> io::Result<Arc<ExitNotice>> {
        let told = Arc::new(ExitNotice::new()?);
        let mut subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = lock(&self.waiting);
        waiting.all.insert(name.to_owned(), Arc::clone(&told));
        let begin = !std::mem::replace(&mut waiting.hearing, true);
        drop(waiting);
        if begin {
            let waiting = Arc::clone(&self.waiting);
            let since = Timestamp::now().as_second() + self.ahead - EARLIER;
            let hear = move |happening| hear(&waiting, happening);
            *subscription = Some(engine.follow(CONTAINER_LABEL, run.as_str(), since, hear));
        }
        Ok(told)
    }

    /// Nobody waits for that one any more.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.waiting).all.remove(name);
    }
}

fn hear(waiting: &Mutex<Waiting>, happening: Happening) {
    let at = HostClock.now();
    let mut waiting = lock(waiting);
    match happening {
        Happening::Created(name) => waiting.with(&name, |told| told.tell_created(at)),
        Happening::Started(name) => waiting.with(&name, |told| told.tell_started(at)),
        Happening::Died { name, code } => {
            let exit = exit_of_code(i32::try_from(code).unwrap_or(i32::MAX));
            waiting.with(&name, |told| told.tell(Notification::Ended { at, exit }));
        }
        Happening::Lost(why) => {
            waiting.hearing = false;
            for told in waiting.all.values() {
                told.tell(Notification::Lost(why.to_string()));
            }
        }
    }
}

impl Waiting {
    fn with(&self, name: &str, tell: impl FnOnce(&ExitNotice)) {
        if let Some(told) = self.all.get(name) {
            tell(told);
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
