//! A platform that runs nothing: virtual time, exact numbers, scripted failures. It keeps the whole contract, so that
//! order, cleanup, statistics and reports are tested on it.
//!
//! Its world: a boot takes 5 ms and 0.05 % more for every instance that lives; a row takes 10 µs, times the number of
//! busy guests on the CPU; an attacker does one operation a microsecond; Nginx answers 10,000 requests a second and
//! Redis a million, less by the same rule; a guest has 64 MiB unless told otherwise, and does not start with less than
//! 23. Each instance is up to 1 % faster or slower by its number, so that spreads are not zero.

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

use super::{Context, Error, Instance, LaunchSpec, Platform};
use crate::guest::Image;
use crate::host::clock::{Clock, VirtualClock};
use crate::host::ledger::{Ledger, Resource};
use crate::model::cpuset::CpuSet;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::{Bytes, Nanos};
use crate::platform::load_generator::LoadGenerator;

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
    /// These servers get ready and never answer.
    pub mute: BTreeSet<u64>,
    /// The images of these programs cannot be made ready.
    pub refuse: BTreeSet<Program>,
    /// From this launch on, none succeeds and the run cannot go on.
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

/// The instances that live now, by name.
type World = Arc<Mutex<BTreeMap<String, Being>>>;

/// What others notice of an instance.
#[derive(Debug, Clone, Default)]
struct Being {
    /// Its number by order of launch.
    number: u64,
    /// The CPUs that it keeps busy; `None` for what idles, and for what is not pinned.
    busy: Option<CpuSet>,
    /// Where it serves, and on which CPUs.
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

    /// A fake platform on which things go wrong as `script` says.
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

    /// How many instances live now.
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

/// The image that the fake world has for `program`: 1 MiB, on no disk.
pub fn image(program: Program) -> Image {
    Image { program, rootfs: PathBuf::from("/nowhere"), digest: "simulated".to_owned(), size: Bytes::MIB }
}

/// The busy guests on `cpus`.
fn rivals(world: &BTreeMap<String, Being>, cpus: Option<&CpuSet>) -> u64 {
    let Some(mine) = cpus else { return 0 };
    world.values().filter_map(|being| being.busy.as_ref()).filter(|busy| overlap(mine, busy)).count() as u64
}

/// An address of its own for every launch, from the benchmarking range (RFC 2544).
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
