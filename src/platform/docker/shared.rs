//! What a platform's instances share: the engine's connection, the images and networks, and the tracker of exits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Once, PoisonError};

use super::Error;
use super::exits::ExitTracker;
use super::networks::{Networks, PORTS};
use crate::guest::{Image, write_archive};
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{CONTAINER_LABEL, Ledger, Resource};
use crate::host::output;
use crate::host::placement;
use crate::model::platform::PlatformId;
use crate::model::run::RUN_VARIABLE;
use crate::platform::bundle::GUEST_DIR;
use crate::platform::engine_api::{self, Container, Engine, Facts, Network};
use crate::platform::podman::Service;
use crate::platform::process::host_error::During;
use crate::platform::{Context, LaunchSpec, arguments, link};

/// The options of a guest's in-memory file system, equal to those of containers without an engine.
const TMPFS: &str = "rw,exec,nosuid,nodev,mode=1777";

/// Who owns an engine.
#[derive(Debug)]
pub(in crate::platform) enum EngineOwner {
    /// The user. Every object that the run creates in it is recorded by name, and removed.
    User,
    /// The run. The engine ends with its platform, together with its objects. Containers join the run's network.
    Run {
        /// The engine's process. Dropping it ends the engine.
        service: Box<Service>,
    },
}

/// One platform's side of an engine.
#[derive(Debug)]
pub(in crate::platform) struct Shared {
    pub(super) engine: Engine,
    pub(super) facts: Facts,
    pub(super) ledger: Arc<Ledger>,
    pub(super) interrupt: Interrupt,
    pub(super) exits: ExitTracker,
    pub(super) networks: Networks,
    /// Distinguishes this platform's images and networks from those of another platform of the run, which may end
    /// earlier.
    pub(super) tag: String,
    /// The references of the loaded images, by digest.
    images: Mutex<BTreeMap<String, String>>,
    pinned: Once,
    pub(super) context: Context,
    /// Dropped last, after all connections.
    pub(super) owner: EngineOwner,
}

impl Shared {
    pub(in crate::platform) fn new(
        id: &PlatformId,
        engine: Engine,
        facts: Facts,
        context: &Context,
        owner: EngineOwner,
    ) -> Self {
        let exits = ExitTracker::new(facts.time.as_deref());
        let mut tag = id.as_str().to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        tag.extend(context.arm.map(|arm| format!("-arm{arm}")));
        Self {
            engine,
            facts,
            ledger: Arc::clone(&context.ledger),
            interrupt: context.interrupt.clone(),
            exits,
            networks: Networks::new(PORTS),
            tag,
            images: Mutex::default(),
            pinned: Once::new(),
            context: context.clone(),
            owner,
        }
    }

    /// Whether the run's own engine still listens; always true for the user's.
    pub(in crate::platform) fn is_alive(&self) -> bool {
        match &self.owner {
            EngineOwner::User => true,
            EngineOwner::Run { service } => service.is_alive(),
        }
    }

    /// Pins the thread that talks to the engine to the harness's CPUs, which are set by the time of the first launch.
    pub(super) fn pin_engine_thread(&self) {
        self.pinned.call_once(|| {
            if let Ok(cpus) = placement::usable_cpus() {
                self.engine.run_on(cpus);
            }
        });
    }

    /// Loads `image`, unless it is loaded already.
    pub(in crate::platform) fn load(&self, image: &Image) -> Result<(), Error> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if images.contains_key(&image.digest) {
            return Ok(());
        }
        let reference = self.reference(image);
        let engine = self.engine.address().to_string();
        self.record(&Resource::Image { engine, name: reference.clone() })?;
        let labels = [(CONTAINER_LABEL, self.ledger.run().as_str())];
        if let Err(load) = self.engine.load(|out| write_archive(image, &reference, &labels, out)) {
            // A partially loaded image must not stay.
            return Err(match self.engine.remove_image(&reference) {
                Ok(()) => Error::Engine(load),
                Err(removal) => Error::PartialImage { reference, load: Box::new(load), removal: Box::new(removal) },
            });
        }
        images.insert(image.digest.clone(), reference);
        Ok(())
    }

    /// The container of `spec` in `network`.
    pub(in crate::platform) fn container(
        &self,
        spec: &LaunchSpec,
        runtime: Option<&str>,
        network: Network,
    ) -> Container {
        let dir = arguments::needs_files(spec.image.program).then_some(GUEST_DIR);
        let guest = std::iter::once(spec.image.guest_path());
        let run = self.ledger.run();
        Container {
            name: spec.name.clone(),
            image: self.reference(&spec.image),
            command: guest.chain(arguments::for_guest(spec, dir, link::listen(spec))).collect(),
            environment: vec!["PATH=/fw".to_owned(), format!("{RUN_VARIABLE}={run}")],
            labels: vec![(CONTAINER_LABEL.to_owned(), run.to_string())],
            cpus: spec.cpus.clone(),
            memory: spec.limits.map(|limits| limits.memory),
            pids: spec.limits.map(|limits| limits.pids),
            quota: self.context.settings.quota(spec),
            runtime: runtime.map(str::to_owned),
            network,
            cgroup_parent: match &self.owner {
                EngineOwner::User => None,
                EngineOwner::Run { service } => Some(service.cgroup_parent()),
            },
            tmpfs: (GUEST_DIR.to_owned(), TMPFS.to_owned()),
        }
    }

    /// Records a resource in the ledger, unless it ends with the run's own engine, which is recorded itself.
    pub(super) fn record(&self, resource: &Resource) -> Result<(), Error> {
        match self.owner {
            EngineOwner::User => Ok(self.ledger.record(resource).during("record a resource in the ledger")?),
            EngineOwner::Run { .. } => Ok(()),
        }
    }

    /// The reference of an image: `fw-<run>/<program>-<platform>:<digest>`, in lowercase because engines require it.
    fn reference(&self, image: &Image) -> String {
        let digest = image.digest.get(..12).unwrap_or(&image.digest);
        format!("{}/{}-{}:{digest}", self.ledger.run().name(), image.program, self.tag).to_ascii_lowercase()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let EngineOwner::Run { .. } = self.owner {
            return;
        }
        let images = std::mem::take(self.images.get_mut().unwrap_or_else(PoisonError::into_inner));
        for reference in images.into_values() {
            warn_if_kept(&reference, self.engine.remove_image(&reference));
        }
        for (outcome, name) in self.networks.remove_all(&self.engine) {
            warn_if_kept(&name, outcome);
        }
    }
}

fn warn_if_kept(name: &str, removal: Result<(), engine_api::Error>) {
    if let Err(e) = removal {
        output::err!("{name} stays in the ledger: {}", e.with_help());
    }
}
