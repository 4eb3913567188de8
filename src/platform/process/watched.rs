//! The instance type of every platform that follows its instances with a [`Watch`].

use crate::host::cgroup::Cgroup;
use crate::host::output;
use crate::model::event::{Event, Events};
use crate::model::units::{Bytes, Nanos};
use crate::platform::process::watch::{Watch, threads_of};
use crate::platform::{Endpoint, Error, Exit, GuestThread, Instance, Milestone, StampedLine, Stopped};

/// What differs between the instances of platforms.
pub(in crate::platform) trait Body: Send + std::fmt::Debug {
    /// The watch of its output, its events and its exit.
    fn watch(&self) -> &Watch;

    /// The same watch, for waits.
    fn watch_mut(&mut self) -> &mut Watch;

    /// Ends it if it lives, removes everything that was created for it, and returns its exit status. Called once.
    fn end(&mut self) -> Result<Exit, Error>;

    /// Its own cgroup, if it has one.
    fn cgroup(&self) -> Option<&Cgroup>;

    /// The address of its server.
    fn endpoint(&self) -> Option<Endpoint>;

    /// The processes that execute it. A sandbox's kernel and helpers are included.
    fn pids(&self) -> Vec<i32> {
        self.cgroup().map(Cgroup::procs).unwrap_or_default()
    }

    /// Kills it without waiting. Called only while it lives.
    fn kill(&mut self) {
        self.watch().kill();
    }

    /// Called after each wait that reached `milestone`.
    fn reached(&mut self, _milestone: Milestone) {}

    /// The threads that execute it. Called only while it lives.
    fn threads(&self) -> Vec<GuestThread> {
        threads_of(self.pids())
    }

    /// The size of its guest's own memory, if it has one.
    fn guest_memory(&self) -> Option<Bytes> {
        None
    }

    /// Adds what it knows about the cause to the error of a wait.
    fn explain(&mut self, error: Error) -> Error {
        error
    }
}

/// An instance: a body that is removed when it is stopped or dropped.
#[derive(Debug)]
pub(in crate::platform) struct Watched<B: Body> {
    body: B,
    is_removed: bool,
}

impl<B: Body> Watched<B> {
    /// The instance of a launched `body`.
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
            let failure = self.end().err().map(|e| format!(": {e}")).unwrap_or_default();
            output::err!("{} was dropped without a stop; killed and removed{failure}", self.body.watch().name());
        }
    }
}
