//! A platform that runs nothing: virtual time, exact numbers, scripted failures. It keeps the whole contract, so that
//! order, cleanup, statistics and reports are tested on it.
//!
//! Its world: a boot takes 5 ms and 0.05 % more for every instance that lives; a row takes 10 µs, times the number of
//! busy guests on the CPU; an attacker does one operation a microsecond. Each instance is up to 1 % faster or slower
//! by its number, so that spreads are not zero.

mod guest;
mod instance;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use guest::Timeline;
use instance::FakeInstance;

use super::{
    Accelerator, Capabilities, Context, Error, Instance, LaunchSpec, Platform, PlatformFacts, PlatformId, Unavailable,
};
use crate::clock::{Clock, VirtualClock};
use crate::cpuset::CpuSet;
use crate::guest::{Image, Program};
use crate::ledger::{Ledger, Resource};
use crate::units::Bytes;

/// What goes wrong, by the number of the launch (from 0).
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// These launches fail.
    pub fail_launch: BTreeSet<u64>,
    /// These guests print their first line and nothing more.
    pub hang: BTreeSet<u64>,
    /// These guests end with exit code 9 before they are ready.
    pub crash: BTreeSet<u64>,
    /// These guests end with exit code 9 a millisecond after they are ready.
    pub fade: BTreeSet<u64>,
    /// From this launch on, none succeeds and the run cannot go on.
    pub fatal_from: Option<u64>,
}

/// The fake platform.
#[derive(Debug)]
pub struct FakePlatform {
    id: PlatformId,
    ledger: Arc<Ledger>,
    clock: VirtualClock,
    interrupt: crate::interrupt::Interrupt,
    script: Script,
    launches: AtomicU64,
    world: World,
}

/// The instances that live now, with the CPUs that they keep busy.
type World = Arc<Mutex<BTreeMap<String, Option<CpuSet>>>>;

impl FakePlatform {
    /// A fake platform on which nothing goes wrong.
    pub fn new(context: &Context) -> Self {
        Self::scripted(context, Script::default())
    }

    /// A fake platform on which things go wrong as `script` says.
    pub fn scripted(context: &Context, script: Script) -> Self {
        Self {
            id: PlatformId::new("fake"),
            ledger: Arc::clone(&context.ledger),
            clock: VirtualClock::default(),
            interrupt: context.interrupt.clone(),
            script,
            launches: AtomicU64::new(0),
            world: World::default(),
        }
    }

    /// How many instances live now.
    pub fn living(&self) -> usize {
        lock(&self.world).len()
    }

    fn timeline(&self, number: u64, spec: &LaunchSpec) -> Result<Timeline, Error> {
        let world = lock(&self.world);
        let rivals = world.values().flatten().filter(|busy| spec.cpus.as_ref().is_some_and(|mine| overlap(mine, busy)));
        let mut timeline = guest::Surroundings {
            spawn: self.clock.now(),
            number,
            living: world.len() as u64,
            rivals: rivals.count() as u64,
        }
        .timeline(spec)
        .map_err(|reason| Error::failed(format!("launch {} on fake", spec.name), reason))?;
        if self.script.hang.contains(&number) {
            timeline.hang_after_main();
        }
        if self.script.crash.contains(&number) {
            timeline.crash_after_main();
        }
        if self.script.fade.contains(&number) {
            timeline.fade_when_ready();
        }
        Ok(timeline)
    }
}

impl Platform for FakePlatform {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: false,
            launch_concurrency: 1,
            host_processes: false,
            network: false,
            simulated: true,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let notes = vec!["simulated: its figures are no measurements".to_owned()];
        Ok(PlatformFacts { version: env!("CARGO_PKG_VERSION").to_owned(), notes })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, _image: &Image) -> Result<(), Error> {
        Ok(())
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let number = self.launches.fetch_add(1, Ordering::SeqCst);
        let action = || format!("launch {} on fake", spec.name);
        self.ledger
            .record(&Resource::Process { name: spec.name.clone() })
            .map_err(|e| Error::Fatal(format!("write the ledger: {e}")))?;
        if self.script.fatal_from.is_some_and(|from| number >= from) {
            return Err(Error::Fatal("the fake platform's script ends here".to_owned()));
        }
        if self.script.fail_launch.contains(&number) {
            return Err(Error::failed(action(), "the script says so"));
        }
        let timeline = self.timeline(number, spec)?;
        let busy = timeline.is_busy().then(|| spec.cpus.clone()).flatten();
        lock(&self.world).insert(spec.name.clone(), busy);
        Ok(Box::new(FakeInstance::new(self, spec.name.clone(), timeline)))
    }
}

/// The image that the fake world has for `program`: 1 MiB, on no disk.
pub fn image(program: Program) -> Image {
    Image { program, rootfs: PathBuf::from("/nowhere"), digest: "simulated".to_owned(), size: Bytes::MIB }
}

fn overlap(a: &CpuSet, b: &CpuSet) -> bool {
    a.iter().any(|cpu| b.contains(cpu))
}

fn lock(world: &World) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<CpuSet>>> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
