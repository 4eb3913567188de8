//! A fake instance: waiting for it advances the virtual clock.

use std::net::SocketAddr;

use super::super::{Endpoint, Error, Exit, GuestThread, Instance, Milestone, StampedLine, Stopped};
use super::guest::Timeline;
use super::{FakePlatform, World, lock};
use crate::guest::GuestLine;
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, VirtualClock};
use crate::host::interrupt::Interrupt;
use crate::host::output;
use crate::model::event::{Event, Events};
use crate::model::units::{Bytes, Nanos};
use crate::platform::process::watch::awaited;

/// The most lines that are kept.
const MAX_LINES: usize = 4096;

/// How long the fake platform takes to remove an instance.
const REMOVAL: Nanos = Nanos(2_000_000);

#[derive(Debug)]
pub(super) struct FakeInstance {
    name: String,
    timeline: Timeline,
    clock: VirtualClock,
    interrupt: Interrupt,
    world: World,
    events: Events,
    lines: Vec<StampedLine>,
    read: usize,
    address: Option<SocketAddr>,
    stopped: bool,
}

impl FakeInstance {
    pub(super) fn new(platform: &FakePlatform, name: String, timeline: Timeline, address: Option<SocketAddr>) -> Self {
        Self {
            name,
            address,
            events: Events::from([(Event::Spawn, timeline.spawn)]),
            timeline,
            clock: platform.clock.clone(),
            interrupt: platform.interrupt.clone(),
            world: World::clone(&platform.world),
            lines: Vec::new(),
            read: 0,
            stopped: false,
        }
    }

    /// Reads every line and the end up to `now`.
    fn catch_up(&mut self, now: Nanos) {
        while let Some((at, line)) = self.timeline.lines.get(self.read).filter(|(at, _)| *at <= now) {
            let (at, line) = (*at, line.clone());
            self.read += 1;
            self.take(at, line);
        }
        if let Some(operations) = self.timeline.operations(now).filter(|&n| n > 0) {
            self.take(now, GuestLine::Ops(operations));
        }
        if let Some((at, _)) = self.timeline.end.filter(|(at, _)| *at <= now) {
            self.events.entry(Event::Exit).or_insert(at);
        }
    }

    fn take(&mut self, at: Nanos, line: GuestLine) {
        let event = match line {
            GuestLine::Main => Some(Event::Main),
            GuestLine::Ready => Some(Event::Ready),
            GuestLine::Result(_) => Some(Event::Result),
            _ => None,
        };
        if let Some(event) = event {
            self.events.entry(event).or_insert(at);
        }
        if self.lines.len() < MAX_LINES {
            self.lines.push(StampedLine { at, line });
        }
    }

    /// When `milestone` will happen; `None` if it never does.
    fn instant_of(&self, milestone: Milestone) -> Option<Nanos> {
        let line = |matches: fn(&GuestLine) -> bool| {
            self.timeline.lines.iter().find(|(_, line)| matches(line)).map(|&(at, _)| at)
        };
        match milestone {
            Milestone::Main => line(|l| matches!(l, GuestLine::Main)),
            Milestone::Ready => line(|l| matches!(l, GuestLine::Ready)),
            Milestone::Result => line(|l| matches!(l, GuestLine::Result(_))),
            Milestone::Attacking => self.timeline.attacking_since.map(|since| since + Nanos::MILLI),
            Milestone::Exit => self.timeline.end.map(|(at, _)| at),
        }
    }

    fn last_seen(&self) -> String {
        let mut lines = self.events.keys().filter(|event| **event != Event::Spawn && **event != Event::Exit);
        lines.next_back().map_or_else(|| "no output".to_owned(), ToString::to_string)
    }

    fn how_it_ended(&self) -> String {
        match self.timeline.end {
            Some((_, Exit::Code(code))) => format!("exited with code {code}"),
            Some((_, Exit::Signal(signal))) => format!("was ended by signal {signal}"),
            None => "ended".to_owned(),
        }
    }

    /// The text of its first `FW error` line, if it printed one.
    fn reported_error(&self) -> Option<&str> {
        self.lines.iter().find_map(|stamped| match &stamped.line {
            GuestLine::Error(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl Instance for FakeInstance {
    fn name(&self) -> &str {
        &self.name
    }

    fn events(&self) -> &Events {
        &self.events
    }

    fn lines(&mut self) -> &[StampedLine] {
        self.catch_up(self.clock.now());
        &self.lines
    }

    fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error> {
        if self.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let end = self.timeline.end.map(|(at, _)| at);
        let instant = self.instant_of(milestone).filter(|&at| end.is_none_or(|end| at <= end));
        let until = instant.or(end).filter(|&at| at <= deadline);
        self.clock.advance_to(until.unwrap_or(deadline));
        self.catch_up(until.unwrap_or(deadline));
        let awaited = awaited(milestone);
        let failed = |reason: String| Err(Error::failed(format!("wait for {awaited} of {}", self.name), reason));
        if let Some(error) = self.reported_error() {
            return failed(format!("the guest reports: {error}"));
        }
        match (instant, until) {
            (Some(at), Some(_)) => Ok(at),
            (None, Some(_)) => {
                failed(format!("the guest {} before; last seen: {}", self.how_it_ended(), self.last_seen()))
            }
            (_, None) => Err(Error::Deadline {
                name: self.name.clone(),
                after: deadline.saturating_sub(self.timeline.spawn).to_string(),
                awaited: awaited.to_owned(),
                last: self.last_seen(),
            }),
        }
    }

    fn threads(&self) -> Vec<GuestThread> {
        Vec::new()
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        None
    }

    fn guest_memory(&self) -> Option<Bytes> {
        Some(self.timeline.memory)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.address.map(|address| Endpoint { address, netns: None })
    }

    fn kill(&mut self) {
        let now = self.clock.now();
        if self.timeline.end.is_none_or(|(at, _)| at > now) {
            self.timeline.end = Some((now, Exit::Signal(9)));
        }
    }

    fn stop(mut self: Box<Self>) -> Result<Stopped, Error> {
        self.kill();
        self.catch_up(self.clock.now());
        self.clock.advance(REMOVAL);
        self.events.insert(Event::Gone, self.clock.now());
        self.stopped = true;
        lock(&self.world).remove(&self.name);
        if self.timeline.is_starved() {
            // Like a machine whose kernel ended it: the exit status of its program is unknown.
            return Err(Error::failed(
                format!("stop {}", self.name),
                "it ended without reporting how its program ended",
            ));
        }
        let exit = self.timeline.end.map_or(Exit::Signal(9), |(_, exit)| exit);
        Ok(Stopped { exit, events: std::mem::take(&mut self.events), lines: std::mem::take(&mut self.lines) })
    }
}

impl Drop for FakeInstance {
    fn drop(&mut self) {
        if !self.stopped {
            output::err!("featherweight: {} was dropped without a stop: removed", self.name);
            lock(&self.world).remove(&self.name);
        }
    }
}
