//! Starting a machine: one process, in the run's network namespace where it has a network.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{MemfdFlags, memfd_create};

use super::config::{self, Card, Machine};
use super::flavour::Flavour;
use super::instance::FirecrackerInstance;
use super::vmm::Vmm;
use crate::guest::system::System;
use crate::model::event::Event;
use crate::model::run::RUN_VARIABLE;
use crate::platform::machine::append::{Network, hardware_address};
use crate::platform::process::spawn::{self, FIRST_PASSED, Start};
use crate::platform::process::watch::Process;
use crate::platform::{Context, LaunchSpec};

/// A machine that is about to be started.
#[derive(Debug)]
pub(super) struct LaunchPlan<'a> {
    pub(super) vmm: &'a Vmm,
    pub(super) flavour: Flavour,
    pub(super) system: &'a System,
    pub(super) spec: &'a LaunchSpec,
    pub(super) context: &'a Context,
}

impl LaunchPlan<'_> {
    /// Starts the process, which boots at once; the spawn event is stamped just before the clone.
    pub(super) fn boot(&self, instance: &mut FirecrackerInstance, output: &OwnedFd) -> io::Result<()> {
        let configuration = self.configuration(instance)?;
        let program = CString::new(self.vmm.program.as_os_str().as_bytes())?;
        let words = config::arguments(&self.spec.name, FIRST_PASSED, FIRST_PASSED + 1).into_iter().map(CString::new);
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let cgroup_fds = instance.cgroup.as_ref().map_or_else(|| Ok(Vec::new()), |cgroup| cgroup.open_cgroup_fds())?;
        let input = File::open("/dev/null")?;
        let netns = match (&instance.tap, self.context.network.netns()) {
            (Some(_), Some(path)) => Some(File::open(path)?),
            _ => None,
        };
        let start = Start {
            program: program.clone(),
            arguments: [program].into_iter().chain(words).collect(),
            environment: vec![CString::new(format!("{RUN_VARIABLE}={}", self.context.ledger.run()))?],
            input: input.as_fd(),
            output: output.as_fd(),
            error: Some(instance.complaints.as_fd()),
            passed: &[instance.log.as_fd(), configuration.as_fd()],
            cpus: self.spec.cpus.as_ref(),
            cgroup_fds: &cgroup_fds,
            rlimits: &[],
            hides: None,
            netns: netns.as_ref().map(AsFd::as_fd),
        };
        instance.watch.stamp(Event::Spawn);
        let (pid, handle) = spawn::start(&start)?;
        instance.watch.follow_machine(Process::new(pid, handle), self.flavour.system.after_word());
        Ok(())
    }

    /// The configuration, in a file in memory: nothing of it has to be removed.
    fn configuration(&self, instance: &FirecrackerInstance) -> io::Result<File> {
        let (tap, system) = (instance.tap.as_ref(), self.flavour.system);
        let append = config::line(system, self.spec, tap.map(Network::from), self.context.settings.words())
            .map_err(io::Error::other)?;
        let card = tap.map(|tap| Card { tap: tap.name(), mac: hardware_address(tap.mac()) });
        let (vcpus, memory) = (self.flavour.vcpus, instance.memory);
        let machine = Machine { vcpus, memory, system: self.system, append: &append, card };
        let mut file = File::from(memfd_create("configuration", MemfdFlags::CLOEXEC)?);
        file.write_all(config::config(&machine).to_string().as_bytes())?;
        Ok(file)
    }
}
