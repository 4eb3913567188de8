//! A platform that runs nothing: virtual time, exact numbers, scripted failures. It keeps the whole contract, so it tests
//! order, cleanup, statistics and reports.
//!
//! Its world: a boot takes 5 ms, and 0.05 % more for every living instance. A row takes 10 µs, times the number of busy
//! guests on the CPU. An attacker performs one operation a microsecond. Nginx answers 10,000 requests a second and Redis
//! a million, divided by the number of busy guests. A guest has 64 MiB by default and does not start with less than 23.
//! Each instance is up to 1 % faster or slower, depending on its number, so that spreads are not zero.

mod guest;
mod instance;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use guest::Timeline;
use instance::FakeInstance;

use super::{Context, Error, Instance, LaunchSpec, Platform, SettingKind, Settings, UnsupportedSetting};
use crate::guest::Image;
use crate::host::clock::{Clock, VirtualClock};
use crate::host::ledger::{Ledger, Resource};
use crate::model::cpuset::CpuSet;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::{Bytes, Nanos};
use crate::platform::load_generator::LoadGenerator;

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] = &[SettingKind::Busy];

/// What goes wrong, by the number of the launch (from 0).
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// These launches fail.
    pub fail_launch: BTreeSet<u64>,
    /// These guests print their first line and nothing more.
    pub hang: BTreeSet<u64>,
    /// These guests end with exit code 9 before they are ready.
    pub crash: BTreeSet<u64>,
    /// These guests end with exit code 9 right after they are ready.
    pub fade: BTreeSet<u64>,
    /// These servers become ready and never answer.
    pub mute: BTreeSet<u64>,
    /// The images of these programs cannot be prepared.
    pub refuse: BTreeSet<Program>,
    /// From this launch on, every launch is a fatal error.
    pub fatal_from: Option<u64>,
}

/// The fake platform.
#[derive(Debug)]
pub struct FakePlatform {
    id: PlatformId,
    ledger: Arc<Ledger>,
    clock: VirtualClock,
    interrupt: crate::host::interrupt::Interrupt,
    script: Script,
    launches: AtomicU64,
    world: World,
    client: load::FakeClient,
}

/// The living instances by name.
type World = Arc<Mutex<BTreeMap<String, Being>>>;

/// What other instances notice of one.
#[derive(Debug, Clone, Default)]
struct Being {
    /// The number of its launch.
    number: u64,
    /// The CPUs that it keeps busy; `None` if it idles or is not pinned.
    busy: Option<CpuSet>,
    /// The address that it serves at, and its CPUs.
    serves: Option<(SocketAddr, Option<CpuSet>)>,
    /// When it ends by itself.
    ends: Option<Nanos>,
    /// It serves and never answers.
    mute: bool,
}

impl FakePlatform {
    /// A fake platform on which nothing goes wrong.
    pub fn new(context: &Context) -> Self {
        Self::scripted(context, Script::default())
    }

    /// A fake platform on which `script` decides what goes wrong.
    pub fn scripted(context: &Context, script: Script) -> Self {
        let (clock, world) = (VirtualClock::default(), World::default());
        Self {
            id: PlatformId::new("fake"),
            ledger: Arc::clone(&context.ledger),
            client: load::FakeClient::new(&clock, &world, &context.interrupt),
            clock,
            interrupt: context.interrupt.clone(),
            script,
            launches: AtomicU64::new(0),
            world,
        }
    }

    /// The number of living instances.
    pub fn living(&self) -> usize {
        lock(&self.world).len()
    }

    fn timeline(&self, number: u64, spec: &LaunchSpec) -> Result<Timeline, Error> {
        let world = lock(&self.world);
        let rivals = rivals(&world, spec.cpus.as_ref());
        let mut timeline = guest::GuestContext { spawn: self.clock.now(), number, living: world.len() as u64, rivals }
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
            network: true,
            own_memory: true,
            simulated: true,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let notes = vec!["simulated: its figures are no measurements".to_owned()];
        Ok(PlatformFacts { version: env!("CARGO_PKG_VERSION").to_owned(), notes })
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.only(&self.id, SETTINGS)
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        match self.script.refuse.contains(&image.program) {
            true => Err(Error::failed(format!("prepare {} on fake", image.program), "the script says so")),
            false => Ok(()),
        }
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
        let address =
            spec.image.program.port().filter(|_| spec.network == Networking::Bridge).map(|p| address(number, p));
        let being = Being {
            number,
            busy: timeline.is_busy().then(|| spec.cpus.clone()).flatten(),
            serves: address.map(|address| (address, spec.cpus.clone())),
            ends: timeline.end.map(|(at, _)| at),
            mute: self.script.mute.contains(&number),
        };
        lock(&self.world).insert(spec.name.clone(), being);
        Ok(Box::new(FakeInstance::new(self, spec.name.clone(), timeline, address)))
    }

    fn load_generator(&self) -> Option<&dyn LoadGenerator> {
        Some(&self.client)
    }
}

/// The fake world's image of `program`: 1 MiB, not on any disk.
pub fn image(program: Program) -> Image {
    Image { program, rootfs: PathBuf::from("/nowhere"), digest: "simulated".to_owned(), size: Bytes::MIB }
}

/// The number of busy guests on `cpus`.
fn rivals(world: &BTreeMap<String, Being>, cpus: Option<&CpuSet>) -> u64 {
    let Some(mine) = cpus else { return 0 };
    world.values().filter_map(|being| being.busy.as_ref()).filter(|busy| overlap(mine, busy)).count() as u64
}

/// The address of a launch, from the benchmarking range (RFC 2544).
fn address(number: u64, port: u16) -> SocketAddr {
    let network = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    SocketAddr::from((Ipv4Addr::from(network + (number % (1 << 17)) as u32), port))
}

fn overlap(a: &CpuSet, b: &CpuSet) -> bool {
    a.iter().any(|cpu| b.contains(cpu))
}

fn lock(world: &World) -> std::sync::MutexGuard<'_, BTreeMap<String, Being>> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
