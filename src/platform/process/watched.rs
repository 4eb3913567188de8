//! What all instances share whose life a [`Watch`] follows.

use crate::host::cgroup::Cgroup;
use crate::host::output;
use crate::model::event::{Event, Events};
use crate::model::units::{Bytes, Nanos};
use crate::platform::process::watch::{Watch, threads_of};
use crate::platform::{Endpoint, Error, Exit, GuestThread, Instance, Milestone, StampedLine, Stopped};

/// What tells one platform's instances from those of another.
pub(in crate::platform) trait Body: Send + std::fmt::Debug {
    /// Its output, its events and its end.
    fn watch(&self) -> &Watch;

    /// The same, to be waited for.
    fn watch_mut(&mut self) -> &mut Watch;

    /// Ends it if it lives and removes everything that was made for it; how it ended. Called once.
    fn end(&mut self) -> Result<Exit, Error>;

    /// Its cgroup, where it has one of its own.
    fn cgroup(&self) -> Option<&Cgroup>;

    /// Where its server answers.
    fn endpoint(&self) -> Option<Endpoint>;

    /// The processes that execute it: of a sandbox those of its kernel and its helpers.
    fn pids(&self) -> Vec<i32> {
        self.cgroup().map(Cgroup::procs).unwrap_or_default()
    }

    /// Begins to end it; it lives.
    fn kill(&mut self) {
        self.watch().kill();
    }

    /// It has come as far as `milestone`.
    fn reached(&mut self, _milestone: Milestone) {}

    /// The threads that execute it now; it lives.
    fn threads(&self) -> Vec<GuestThread> {
        threads_of(self.pids())
    }

    /// The memory that its guest was given, where it has one of its own.
    fn guest_memory(&self) -> Option<Bytes> {
        None
    }

    /// What it knows of why a wait failed, besides.
    fn explain(&mut self, error: Error) -> Error {
        error
    }
}

/// An instance: a body that is removed when it is stopped, or dropped.
#[derive(Debug)]
pub(in crate::platform) struct Watched<B: Body> {
    body: B,
    is_removed: bool,
}

impl<B: Body> Watched<B> {
    /// The instance of `body`, which was launched.
    pub(in crate::platform) fn new(body: B) -> Self {
        Self { body, is_removed: false }
    }

    fn end(&mut self) -> Result<Exit, Error> {
        self.is_removed = true;
        self.body.end()
    }
}

impl<B: Body> Instance for Watched<B> {
    fn name(&self) -> &str {
        self.body.watch().name()
    }

    fn events(&self) -> &Events {
        self.body.watch().events()
    }

    fn lines(&mut self) -> &[StampedLine] {
        self.body.watch_mut().lines()
    }

    fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error> {
        match self.body.watch_mut().wait_for(milestone, deadline) {
            Ok(at) => {
                self.body.reached(milestone);
                Ok(at)
            }
            Err(error) => Err(self.body.explain(error)),
        }
    }

    fn threads(&self) -> Vec<GuestThread> {
        if self.body.watch().has_ended() { Vec::new() } else { self.body.threads() }
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.body.cgroup()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.body.endpoint()
    }

    fn guest_memory(&self) -> Option<Bytes> {
        self.body.guest_memory()
    }

    fn kill(&mut self) {
        if !self.body.watch().has_ended() {
            self.body.kill();
        }
    }

    fn stop(mut self: Box<Self>) -> Result<Stopped, Error> {
        let exit = self.end()?;
        let watch = self.body.watch_mut();
        watch.stamp(Event::Gone);
        let (events, lines) = watch.take();
        Ok(Stopped { exit, events, lines })
    }
}

impl<B: Body> Drop for Watched<B> {
    fn drop(&mut self) {
        if !self.is_removed {
            let ended = self.end();
            let outcome = ended.map_or_else(|e| format!(": {e}"), |_| String::new());
            output::err!("{} was dropped without a stop: killed and removed{outcome}", self.body.watch().name());
        }
    }
}
