//! What a platform's instances share: the connection, the images and networks it made, the word of who ended.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, Once, PoisonError};

use super::ends::Ends;
use super::networks::{Networks, PORTS};
use crate::guest::{Image, write_archive};
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{CONTAINER_LABEL, Ledger, Resource};
use crate::host::output;
use crate::host::placement;
use crate::model::platform::PlatformId;
use crate::model::run::RUN_VARIABLE;
use crate::platform::bundle::GUEST_DIR;
use crate::platform::engine_api::{Container, Engine, Error, Facts, Network};
use crate::platform::podman::Service;
use crate::platform::{Context, LaunchSpec, arguments, link};

/// The options of the in-memory file system of a guest: those of the containers that are made without an engine.
const TMPFS: &str = "rw,exec,nosuid,nodev,mode=1777";

/// Whose an engine is.
#[derive(Debug)]
pub(in crate::platform) enum EngineOwner {
    /// The user's: whatever is made in it is written down by name, and removed.
    User,
    /// The run's own, which ends with its platform, and all that is in it. Containers join the run's network.
    Run {
        /// What ends it.
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
    pub(super) ends: Ends,
    pub(super) networks: Networks,
    /// Tells the images and networks of this platform from those of another in the same run, which may end earlier.
    pub(super) tag: String,
    /// The references of the images that are loaded, by digest.
    images: Mutex<BTreeMap<String, String>>,
    settled: Once,
    pub(super) context: Context,
    /// Dropped last, when nobody is connected any more.
    pub(super) keeper: EngineOwner,
}

impl Shared {
    pub(in crate::platform) fn new(
        id: &PlatformId,
        engine: Engine,
        facts: Facts,
        context: &Context,
        keeper: EngineOwner,
    ) -> Self {
        let (ledger, interrupt) = (Arc::clone(&context.ledger), context.interrupt.clone());
        let ends = Ends::new(facts.time.as_deref());
        let mut tag = id.as_str().to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        tag.extend(context.arm.map(|arm| format!("-arm{arm}")));
        let (networks, images, settled) = (Networks::new(PORTS), Mutex::default(), Once::new());
        let context = context.clone();
        Self { engine, facts, ledger, interrupt, ends, networks, tag, images, settled, context, keeper }
    }

    /// Whether an engine of the run's own still listens; that of the user is not asked.
    pub(in crate::platform) fn lives(&self) -> bool {
        match &self.keeper {
            EngineOwner::User => true,
            EngineOwner::Run { service } => service.lives(),
        }
    }

    /// Keeps the thread that talks to the engine where the harness is, which is pinned by the time of the first launch.
    pub(super) fn settle(&self) {
        self.settled.call_once(|| {
            if let Ok(cpus) = placement::usable_cpus() {
                self.engine.work_on(cpus);
            }
        });
    }

    /// Loads `image`, unless it is loaded.
    pub(in crate::platform) fn load(&self, image: &Image) -> Result<(), String> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if images.contains_key(&image.digest) {
            return Ok(());
        }
        let reference = self.reference(image);
        let engine = self.engine.address().to_string();
        self.write_down(&Resource::Image { engine, name: reference.clone() }).map_err(|e| e.to_string())?;
        let labels = [(CONTAINER_LABEL, self.ledger.run().as_str())];
        if let Err(why) = self.engine.load(|out| write_archive(image, &reference, &labels, out)) {
            // A half loaded one must not stay.
            let removed = self.engine.remove_image(&reference);
            return Err(
                removed.map_or_else(|e| format!("{why}; {reference} stays in the ledger: {e}"), |()| why.to_string())
            );
        }
        images.insert(image.digest.clone(), reference);
        Ok(())
    }

    /// The container of `spec` in `network`.
    pub(in crate::platform) fn describe(
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
            command: guest.chain(arguments::of_guest(spec, dir, link::listen(spec))).collect(),
            environment: vec!["PATH=/fw".to_owned(), format!("{RUN_VARIABLE}={run}")],
            labels: vec![(CONTAINER_LABEL.to_owned(), run.to_string())],
            cpus: spec.cpus.clone(),
            memory: spec.limits.map(|limits| limits.memory),
            pids: spec.limits.map(|limits| limits.pids),
            quota: self.context.settings.quota(spec),
            runtime: runtime.map(str::to_owned),
            network,
            cgroup_parent: match &self.keeper {
                EngineOwner::User => None,
                EngineOwner::Run { service } => Some(service.cgroup_parent()),
            },
            tmpfs: (GUEST_DIR.to_owned(), TMPFS.to_owned()),
        }
    }

    /// Writes a resource into the ledger, unless it ends with the engine, which stands there itself.
    pub(super) fn write_down(&self, resource: &Resource) -> io::Result<()> {
        match self.keeper {
            EngineOwner::User => self.ledger.record(resource),
            EngineOwner::Run { .. } => Ok(()),
        }
    }

    /// The name under which an image is loaded: `fw-<run>/<program>-<platform>:<digest>`. Engines allow no capitals.
    fn reference(&self, image: &Image) -> String {
        let digest = image.digest.get(..12).unwrap_or(&image.digest);
        format!("{}/{}-{}:{digest}", self.ledger.run().name(), image.program, self.tag).to_ascii_lowercase()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let EngineOwner::Run { .. } = self.keeper {
            return;
        }
        let images = std::mem::take(self.images.get_mut().unwrap_or_else(PoisonError::into_inner));
        let removals = images.into_values().map(|reference| (self.engine.remove_image(&reference), reference));
        let removals: Vec<(Result<(), Error>, String)> =
            removals.chain(self.networks.remove_all(&self.engine)).collect();
        for (outcome, name) in removals {
            if let Err(e) = outcome {
                output::err!("{name} stays in the ledger: {e}");
            }
        }
    }
}
