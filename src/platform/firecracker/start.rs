//! Starting a machine: one process, in the run's network namespace if it has a network.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};

use super::config::{self, Card, Machine};
use super::flavor::Flavor;
use super::monitor::FirecrackerInstance;
use super::vmm::Vmm;
use crate::guest::system::System;
use crate::model::event::Event;
use crate::platform::machine::MonitorCommand;
use crate::platform::machine::append::{Network, hardware_address};
use crate::platform::process::spawn::FIRST_PASSED;
use crate::platform::{Context, LaunchSpec};

/// A machine that is about to start.
#[derive(Debug)]
pub(super) struct LaunchPlan<'a> {
    pub(super) vmm: &'a Vmm,
    pub(super) flavor: Flavor,
    pub(super) system: &'a System,
    pub(super) spec: &'a LaunchSpec,
    pub(super) context: &'a Context,
}

impl LaunchPlan<'_> {
    /// Starts the process, which boots at once.
    pub(super) fn boot(&self, instance: &mut FirecrackerInstance, output: &OwnedFd) -> io::Result<()> {
        let configuration = self.configuration(instance)?;
        let netns = match (&instance.tap, self.context.network.netns()) {
            (Some(_), Some(path)) => Some(File::open(path)?),
            _ => None,
        };
        let command = MonitorCommand {
            program: &self.vmm.program,
            arguments: config::arguments(&self.spec.name, FIRST_PASSED, FIRST_PASSED + 1),
            output: output.as_fd(),
            passed: &[instance.monitor.log.as_fd(), configuration.as_fd()],
            netns: netns.as_ref().map(AsFd::as_fd),
        };
        let (process, spawned) = instance.spawn(self.context, self.spec, command)?;
        instance.watch.stamp_at(Event::Spawn, spawned);
        instance.watch.follow_machine(process, self.flavor.system.exit_behavior());
        Ok(())
    }

    /// The configuration in a file in memory, so that nothing has to be removed.
    fn configuration(&self, instance: &FirecrackerInstance) -> io::Result<File> {
        let (tap, system) = (instance.tap.as_ref(), self.flavor.system);
        let append = config::line(system, self.spec, tap.map(Network::from), self.context.settings.words())
            .map_err(io::Error::other)?;
        let card = tap.map(|tap| Card { tap: tap.name(), mac: hardware_address(tap.mac()) });
        let (vcpus, memory) = (self.flavor.vcpus, instance.memory);
        let machine = Machine { vcpus, memory, system: self.system, append: &append, card };
        let mut file = File::from(memfd_create("configuration", MemfdFlags::CLOEXEC)?);
        file.write_all(config::config(&machine).to_string().as_bytes())?;
        Ok(file)
    }
}
