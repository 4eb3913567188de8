//! The load generator of the fake world: driving a server advances the virtual clock.

use super::super::Error;
use super::guest::parts_per_10_000;
use super::{Being, World, lock, rivals};
use crate::host::clock::{Clock, VirtualClock};
use crate::host::interrupt::Interrupt;
use crate::model::metric;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::units::Nanos;
use crate::platform::load_generator::{Drive, Driven, LoadGenerator};

/// The requests a second of a server without competition for its CPUs. Redis gets pipelined requests.
fn rate_alone(program: Program) -> f64 {
    if program == Program::Redis { 1e6 } else { 1e4 }
}

/// Drives the servers of one fake platform.
#[derive(Debug)]
pub(super) struct FakeClient {
    clock: VirtualClock,
    world: World,
    interrupt: Interrupt,
}

impl FakeClient {
    pub(super) fn new(clock: &VirtualClock, world: &World, interrupt: &Interrupt) -> Self {
        Self { clock: clock.clone(), world: World::clone(world), interrupt: interrupt.clone() }
    }

    /// The server at the drive's address, and the number of busy guests on its CPUs.
    fn server(&self, drive: &Drive<'_>) -> Option<(Being, u64)> {
        let world = lock(&self.world);
        let serves = |being: &&Being| being.serves.as_ref().is_some_and(|(at, _)| *at == drive.endpoint.address);
        let server = world.values().find(serves)?.clone();
        let cpus = server.serves.as_ref().and_then(|(_, cpus)| cpus.as_ref());
        let rivals = rivals(&world, cpus);
        Some((server, rivals))
    }
}

impl LoadGenerator for FakeClient {
    fn check(&self, _program: Program) -> Result<String, Unavailable> {
        Ok("simulated".to_owned())
    }

    fn drive(&self, drive: &Drive<'_>) -> Result<Driven, Error> {
        if self.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let address = drive.endpoint.address;
        let failed = |reason: &str| Error::failed(format!("drive {} at {address}", drive.program), reason);
        let begun = self.clock.now();
        let (server, rivals) = self.server(drive).ok_or_else(|| failed("connection refused"))?;
        let luck = parts_per_10_000(server.number) as f64 / 10_000.0;
        let rate = rate_alone(drive.program) * luck / (rivals + 1) as f64;
        let seconds = match drive.program {
            Program::Redis => drive.load.requests as f64 / rate,
            _ => f64::from(drive.load.seconds),
        };
        let span = Nanos((seconds * 1e9) as u64);
        if let Some(end) = server.ends.filter(|&end| end < begun + span && !server.mute) {
            self.clock.advance_to(end);
            return Err(failed("connection reset"));
        }
        if server.mute || span > drive.deadline.into() {
            self.clock.advance_to(begun + drive.deadline.into());
            return Err(Error::Deadline {
                name: address.to_string(),
                after: Nanos::from(drive.deadline).to_string(),
                awaited: "the end of its load".to_owned(),
                last: if server.mute { "no answer" } else { "answers" }.to_owned(),
            });
        }
        self.clock.advance_to(begun + span);
        Ok(Driven { metrics: vec![metric::THROUGHPUT.of(rate)], flags: Vec::new() })
    }
}
