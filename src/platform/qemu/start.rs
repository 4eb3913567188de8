//! Finding QEMU, and starting a machine until its monitor answers.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::accelerator::{self, Detected};
use super::append;
use super::command::{self, Card, Machine};
use super::flavor::Flavor;
use super::monitor::{QemuInstance, stamp_monitor};
use super::qmp::{Message, Qmp, vcpu_threads};
use crate::guest::system::System;
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Unavailable};
use crate::model::units::{Bytes, Nanos};
use crate::platform::machine::append::{Network, hardware_address};
use crate::platform::machine::{MonitorCommand, find_monitor};
use crate::platform::process::handle::Process;
use crate::platform::process::spawn::FIRST_PASSED;
use crate::platform::process::watch::Patience;
use crate::platform::{Context, Error, LaunchSpec};

/// QEMU for the processor of the guest systems.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// How to install it.
const INSTALL: &str = "install it: cargo xtask setup --only qemu";

/// How long a monitor may take to come up and to answer: it takes tens of milliseconds on an idle host.
const PATIENCE: Duration = Duration::from_secs(60);

/// QEMU's program and its accelerator.
#[derive(Debug, Clone)]
pub(super) struct Vmm {
    pub(super) program: PathBuf,
    pub(super) version: String,
    pub(super) accelerator: Accelerator,
    /// Why the accelerator is not the hardware.
    pub(super) note: Option<String>,
    /// The rate of the host's time stamp counter, for emulated guests. Measured in advance, because that takes longer
    /// than a small guest's whole boot.
    tsc_khz: Option<u64>,
}

impl Vmm {
    /// Finds QEMU, or takes the program that is `set`, and detects the accelerator unless one is `required`.
    pub(super) fn find(
        folders: &Folders,
        set: Option<&Path>,
        required: Option<Accelerator>,
    ) -> Result<Self, Unavailable> {
        let (program, version) = find_monitor(PROGRAM, set, INSTALL)?;
        let Detected { accelerator, note } = accelerator::detect(folders, &program, &version, required)?;
        let tsc_khz = if accelerator == Accelerator::Tcg { tsc_khz() } else { None };
        Ok(Self { program, version, accelerator, note, tsc_khz })
    }
}

/// A machine that is about to start.
#[derive(Debug)]
pub(super) struct LaunchPlan<'a> {
    pub(super) vmm: &'a Vmm,
    pub(super) flavor: Flavor,
    pub(super) system: &'a System,
    pub(super) memory: Bytes,
    pub(super) spec: &'a LaunchSpec,
    pub(super) context: &'a Context,
}

impl LaunchPlan<'_> {
    /// Starts the machine and waits for its monitor's greeting; the guest executes meanwhile. A guest that ends before
    /// its monitor answers needs no further commands.
    pub(super) fn boot(&self, instance: &mut QemuInstance, output: OwnedFd) -> Result<(), Error> {
        let (qmp, theirs) = Qmp::pair().map_err(|e| Error::failed("make the monitor's socket", e))?;
        instance.monitor.qmp = Some(qmp);
        self.spawn(instance, output, theirs.into()).map_err(|e| Error::failed("start the monitor", e))?;
        let deadline = HostClock.now() + PATIENCE.into();
        let Some(since) = read_until(instance, deadline, |message| matches!(message, Message::Greeting(_)))? else {
            let exit = instance.watch.process().and_then(Process::peek_exit);
            return Err(instance.early_end("start the monitor", exit));
        };
        stamp_monitor(instance, since);
        // QEMU reports events only after the first command. Failing to send one is harmless: the guest has ended.
        let needs_vcpus = self.spec.cpus.is_some() || self.flavor.vcpus > 1;
        if send(instance, "qmp_capabilities") && needs_vcpus && send(instance, "query-cpus-fast") {
            let mut threads = Vec::new();
            read_until(instance, deadline, |message| match message {
                Message::Return(answer) => vcpu_threads(answer).map(|found| threads = found).is_some(),
                _ => false,
            })?;
            instance.monitor.vcpus = threads;
        }
        Ok(())
    }

    /// Starts the process.
    fn spawn(&self, instance: &mut QemuInstance, output: OwnedFd, monitor: OwnedFd) -> io::Result<()> {
        let arguments = self.arguments(instance)?;
        let tap = instance.tap.as_ref().and_then(|tap| tap.fd());
        let passed: Vec<_> = [monitor.as_fd()].into_iter().chain(tap).collect();
        let command = MonitorCommand {
            program: &self.vmm.program,
            arguments,
            output: output.as_fd(),
            passed: &passed,
            netns: None,
        };
        let (process, spawned) = instance.spawn(self.context, self.spec, command)?;
        instance.watch.stamp_at(Event::Spawn, spawned);
        let system = self.flavor.system;
        match system.reports_exit() {
            true => instance.watch.follow_machine(process, system.exit_behavior()),
            false => instance.watch.follow(process),
        }
        instance.tap.iter_mut().for_each(|tap| tap.hand_over());
        Ok(())
    }

    fn arguments(&self, instance: &QemuInstance) -> io::Result<Vec<String>> {
        let tap = instance.tap.as_ref();
        let card = tap.map(|tap| Card {
            tap: FIRST_PASSED + 1,
            mac: hardware_address(tap.mac()),
            vhost: self.vmm.accelerator == Accelerator::Kvm && File::open("/dev/vhost-net").is_ok(),
        });
        let kernel = append::Kernel {
            system: self.flavor.system,
            accelerator: self.vmm.accelerator,
            tsc_khz: self.vmm.tsc_khz,
            words: &self.context.settings.words().collect::<Vec<_>>(),
        };
        let append = append::line(&kernel, self.spec, tap.map(Network::from)).map_err(io::Error::other)?;
        let machine = Machine {
            name: &self.spec.name,
            flavor: self.flavor,
            accelerator: self.vmm.accelerator,
            system: self.system,
            memory: self.memory,
            append: &append,
            monitor: FIRST_PASSED,
            card,
        };
        Ok(command::arguments(&machine))
    }
}

/// Sends a command to the monitor; returns whether that worked.
fn send(instance: &mut QemuInstance, command: &str) -> bool {
    instance.monitor.qmp.as_mut().is_some_and(|qmp| qmp.send(command).is_ok())
}

/// Reads the monitor's messages until one `matches`. Returns when the last wait for them began, or `None` if the machine
/// ended before.
fn read_until(
    instance: &mut QemuInstance,
    deadline: Nanos,
    mut matches: impl FnMut(&Message) -> bool,
) -> Result<Option<Nanos>, Error> {
    let mut since = HostClock.now();
    loop {
        let Some(qmp) = &mut instance.monitor.qmp else { return Ok(None) };
        if qmp.read().iter().any(&mut matches) {
            return Ok(Some(since));
        }
        if qmp.fd().is_none() || instance.watch.has_ended() {
            return Ok(None);
        }
        since = HostClock.now();
        if since >= deadline {
            return Err(Error::failed("start the monitor", "it does not answer"));
        }
        instance.watch.pump(qmp.fd(), deadline, Patience::Interruptible)?;
    }
}

/// The rate of this host's time stamp counter in kHz, measured once against the monotonic clock; `None` on processors
/// without such a counter.
fn tsc_khz() -> Option<u64> {
    use std::sync::OnceLock;
    static KHZ: OnceLock<Option<u64>> = OnceLock::new();
    *KHZ.get_or_init(measure_tsc)
}

/// The kernel's own quick calibration takes 50 ms (`arch/x86/kernel/tsc.c`); its error over that span is a few millionths.
#[cfg(target_arch = "x86_64")]
fn measure_tsc() -> Option<u64> {
    const SPAN: Duration = Duration::from_millis(50);
    // SAFETY: every x86-64 processor has the instruction; it reads a counter.
    let read = || unsafe { core::arch::x86_64::_rdtsc() };
    let (began, first) = (Instant::now(), read());
    while began.elapsed() < SPAN {
        std::hint::spin_loop();
    }
    let (last, took) = (read(), began.elapsed());
    Some((u128::from(last.wrapping_sub(first)) * 1_000_000 / took.as_nanos()) as u64)
}

#[cfg(not(target_arch = "x86_64"))]
fn measure_tsc() -> Option<u64> {
    None
}
