//! Finding QEMU, and starting a machine up to the word of its monitor.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::accelerator::{self, Detected};
use super::append;
use super::command::{self, Card, Machine};
use super::flavour::Flavour;
use super::instance::QemuInstance;
use super::qmp::{Message, Qmp, vcpus};
use crate::guest::system::System;
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::host::tools;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Unavailable};
use crate::model::run::{RUN_VARIABLE, RunId};
use crate::model::units::{Bytes, Nanos};
use crate::platform::machine::append::{Network, hardware_address};
use crate::platform::process::spawn::{self, FIRST_PASSED, Start};
use crate::platform::process::watch::{Patience, Process};
use crate::platform::{Error, LaunchSpec, settings};

/// QEMU for the processor that the guest systems are for.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// How long QEMU may take to tell its version.
const ASK: Duration = Duration::from_secs(5);

/// How long a monitor may take to be up, and to answer: tens of milliseconds on an idle host.
const PATIENCE: Duration = Duration::from_secs(60);

/// The monitor's program and what it executes guests by.
#[derive(Debug, Clone)]
pub(super) struct Vmm {
    pub(super) program: PathBuf,
    pub(super) version: String,
    pub(super) accelerator: Accelerator,
    /// Why it is not the hardware.
    pub(super) note: Option<String>,
    /// The rate of the host's time stamp counter, which emulated guests are told. Known beforehand: finding it out takes
    /// longer than a small guest's whole boot.
    tsc_khz: Option<u64>,
}

impl Vmm {
    /// QEMU on this host, or the program that is `set`, and what works here of what is `wanted`.
    pub(super) fn find(
        folders: &Folders,
        set: Option<&Path>,
        wanted: Option<Accelerator>,
    ) -> Result<Self, Unavailable> {
        let lacks = |reason: String, cure: &str| Unavailable { reason, cure: cure.to_owned() };
        if std::env::consts::ARCH != "x86_64" {
            return Err(lacks("guest systems are built for x86-64 alone".to_owned(), "use a host of that kind"));
        }
        let missing = || lacks(format!("{PROGRAM} is not installed"), "install it: cargo xtask setup --only qemu");
        let program = settings::program(set, || tools::find(PROGRAM).ok_or_else(missing))?;
        let version = tools::version(&program, &["--version"], ASK);
        let version = version.ok_or_else(|| lacks(format!("{PROGRAM} tells no version"), "install it again"))?;
        let Detected { accelerator, note } = accelerator::probe(folders, &program, &version, wanted)?;
        let tsc_khz = if accelerator == Accelerator::Tcg { tsc_khz() } else { None };
        Ok(Self { program, version, accelerator, note, tsc_khz })
    }
}

/// A machine that is about to be started.
#[derive(Debug)]
pub(super) struct LaunchPlan<'a> {
    pub(super) vmm: &'a Vmm,
    pub(super) flavour: Flavour,
    pub(super) system: &'a System,
    pub(super) memory: Bytes,
    pub(super) spec: &'a LaunchSpec,
    /// More words for the kernel's command line.
    pub(super) words: Vec<String>,
    pub(super) run: &'a RunId,
}

impl LaunchPlan<'_> {
    /// Starts the machine and waits until its monitor has said who it is; the guest executes meanwhile. A guest that is
    /// quicker than its monitor's answers has nothing to be asked about any more.
    pub(super) fn boot(&self, instance: &mut QemuInstance, output: OwnedFd) -> Result<(), Error> {
        let (qmp, theirs) = Qmp::pair().map_err(|e| Error::failed("make the monitor's socket", e))?;
        instance.qmp = Some(qmp);
        self.spawn(instance, output.into(), theirs.into()).map_err(|e| Error::failed("start the monitor", e))?;
        let deadline = HostClock.now() + PATIENCE.into();
        let Some(since) = listen(instance, deadline, |message| matches!(message, Message::Greeting(_)))? else {
            let process = instance.watch.process().and_then(Process::peek_exit);
            return Err(instance.explain_end("start the monitor", process));
        };
        instance.stamp_monitor(since);
        // It tells of no events before it was asked for this. What it cannot be told any more it need not know.
        let mut ask = |command| instance.qmp.as_mut().is_some_and(|qmp| qmp.ask(command).is_ok());
        let places = self.spec.cpus.is_some() || self.flavour.vcpus > 1;
        if ask("qmp_capabilities") && places && ask("query-cpus-fast") {
            let mut found = Vec::new();
            listen(instance, deadline, |message| match message {
                Message::Return(answer) => vcpus(answer).map(|threads| found = threads).is_some(),
                _ => false,
            })?;
            instance.vcpus = found;
        }
        Ok(())
    }

    /// Starts the process; the spawn event is stamped just before the clone.
    fn spawn(&self, instance: &mut QemuInstance, output: PipeWriter, monitor: OwnedFd) -> io::Result<()> {
        let network = instance.tap.as_ref().map(Network::from);
        let card = instance.tap.as_ref().map(|tap| Card {
            tap: FIRST_PASSED + 1,
            mac: hardware_address(tap.mac()),
            vhost: self.vmm.accelerator == Accelerator::Kvm && File::open("/dev/vhost-net").is_ok(),
        });
        let (system, accelerator) = (self.flavour.system, self.vmm.accelerator);
        let kernel = append::Kernel { system, accelerator, tsc_khz: self.vmm.tsc_khz, words: &self.words };
        let append = append::line(&kernel, self.spec, network).map_err(io::Error::other)?;
        let machine = Machine {
            name: &self.spec.name,
            flavour: self.flavour,
            accelerator,
            system: self.system,
            memory: self.memory,
            append: &append,
            monitor: FIRST_PASSED,
            card,
        };
        let program = CString::new(self.vmm.program.as_os_str().as_bytes())?;
        let words = command::arguments(&machine).into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let cgroup_fds = instance.cgroup.as_ref().map_or_else(|| Ok(Vec::new()), |cgroup| cgroup.open_cgroup_fds())?;
        let (input, complaints) = (File::open("/dev/null")?, &instance.complaints);
        let passed: Vec<_> =
            [monitor.as_fd()].into_iter().chain(instance.tap.as_ref().and_then(|tap| tap.fd())).collect();
        let start = Start {
            program: program.clone(),
            arguments: [program].into_iter().chain(words).collect(),
            environment: vec![CString::new(format!("{RUN_VARIABLE}={}", self.run))?],
            input: input.as_fd(),
            output: output.as_fd(),
            error: Some(complaints.as_fd()),
            passed: &passed,
            cpus: self.spec.cpus.as_ref(),
            cgroup_fds: &cgroup_fds,
            rlimits: &[],
            hides: None,
            netns: None,
        };
        instance.watch.stamp(Event::Spawn);
        let (pid, handle) = spawn::start(&start)?;
        match system.tells_its_end() {
            true => instance.watch.follow_machine(Process::new(pid, handle), system.after_word()),
            false => instance.watch.follow(Process::new(pid, handle)),
        }
        instance.tap.iter_mut().for_each(|tap| tap.hand_over());
        Ok(())
    }
}

/// Reads what the monitor says until `wanted` says so: since when that was awaited last, or nothing if the machine ended
/// before.
fn listen(
    instance: &mut QemuInstance,
    deadline: Nanos,
    mut wanted: impl FnMut(&Message) -> bool,
) -> Result<Option<Nanos>, Error> {
    let mut since = HostClock.now();
    loop {
        let Some(qmp) = &mut instance.qmp else { return Ok(None) };
        if qmp.read().iter().any(&mut wanted) {
            return Ok(Some(since));
        }
        if qmp.fd().is_none() || instance.watch.has_ended() {
            return Ok(None);
        }
        since = HostClock.now();
        if HostClock.now() >= deadline {
            return Err(Error::failed("start the monitor", "it does not answer"));
        }
        instance.watch.pump(qmp.fd(), deadline, Patience::Interruptible)?;
    }
}

/// The rate of this host's time stamp counter, in kHz, measured once against the monotonic clock; `None` where there is no
/// such counter.
fn tsc_khz() -> Option<u64> {
    use std::sync::OnceLock;
    static KHZ: OnceLock<Option<u64>> = OnceLock::new();
    *KHZ.get_or_init(measure_tsc)
}

/// The kernel's own quick calibration takes 50 ms (`arch/x86/kernel/tsc.c`); the same span is good for a few millionths.
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
