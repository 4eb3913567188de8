//! A platform with an arm's settings: what holds for every platform that has any. One without is not wrapped.

use std::path::Path;

use super::inject::{Amount, Inject};
use super::{
    BootArtifact, Context, Error, Instance, Key, LaunchSpec, Platform, Purpose, ResourceCost, Settings, honour,
};
use crate::guest::{Image, Manifest, file_digest, revision};
use crate::host::cgroup::Hierarchies;
use crate::host::clock::Clock;
use crate::host::folders::Folders;
use crate::host::network;
use crate::model::platform::{Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::platform::engine_api::Address;
use crate::platform::load_generator::LoadGenerator;

/// How notes on settings begin.
const SET: &str = "set: ";
/// How many digits tell one program from another.
const DIGEST: usize = 16;

/// A platform with settings.
#[derive(Debug)]
pub(super) struct ConfiguredPlatform {
    platform: Box<dyn Platform>,
    context: Context,
    folders: Folders,
}

impl PlatformFacts {
    /// What an arm sets, one text a setting.
    pub(crate) fn set(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str).filter(|note| note.starts_with(SET))
    }
}

impl ConfiguredPlatform {
    /// `platform`, which was made with the settings of `context`.
    pub(super) fn new(platform: Box<dyn Platform>, context: &Context) -> Self {
        Self { platform, context: context.clone(), folders: Folders::from_env() }
    }

    fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// What is set, for readers. A program is told by its content, too: it may be built anew at the same path.
    fn notes(&self) -> Result<Vec<String>, Unavailable> {
        let settings = self.settings();
        let program = |key| match key {
            Key::Runtime => settings.runtime.as_deref(),
            Key::Qemu => settings.qemu.as_deref(),
            _ => None,
        };
        let note = |(key, value)| {
            let digest =
                program(key).map(file_digest).transpose().map_err(|e| lacks(e.to_string(), "make it readable"))?;
            let content = digest.map(|digest| format!(", SHA-256 {}", &digest[..DIGEST])).unwrap_or_default();
            Ok(format!("{SET}{key}={value}{content}"))
        };
        settings.given().map(note).collect()
    }

    /// What has to be on this host for the settings.
    fn check_host(&self) -> Result<(), Unavailable> {
        let settings = self.settings();
        settings.images.as_deref().map_or(Ok(()), check_images)?;
        if let Some(name) = &settings.guests {
            revision::commit(&self.folders.project, name)
                .map_err(|e| lacks(e.to_string(), "name a commit, a branch or a tag of this project"))?;
        }
        match settings.inject {
            Some(Inject::Quota(_)) => self.check_quota(),
            Some(Inject::Delay(_)) => check_delay(),
            _ => Ok(()),
        }
    }

    fn check_quota(&self) -> Result<(), Unavailable> {
        let is_elsewhere = Address::from_env().is_ok_and(|address| !address.is_local());
        if is_elsewhere && self.id().as_str().starts_with("docker") {
            return Err(lacks("the quota of an engine elsewhere cannot be looked after", "use an engine of this host"));
        }
        let hierarchies = Hierarchies::read(Path::new("/")).map_err(|e| e.to_string());
        let can =
            hierarchies.and_then(|all| all.check_limits().and_then(|()| all.check_quota()).map_err(|e| e.to_string()));
        can.map_err(|why| lacks(why, "mount the cgroup controllers writable, and run as root; or inject busy work"))
    }

    /// `spec` with the busy work that its guest is to do.
    fn busy(&self, spec: &LaunchSpec) -> Result<LaunchSpec, Error> {
        let mut spec = spec.clone();
        match self.settings().inject {
            Some(Inject::Busy(_)) if spec.purpose != Purpose::Measured => {}
            Some(Inject::Busy(_)) if spec.image.program.is_server() => {
                let reason = format!("{} answers with its own code, which does no busy work", spec.image.program);
                return Err(lacks(reason, "inject a quota or a delay").into());
            }
            Some(Inject::Busy(Amount::Time(span))) => spec.arguments.push(format!("busy={}", span.0)),
            Some(Inject::Busy(Amount::Percent(share))) => {
                return Err(Error::Fatal(format!("busy work of {share} % was launched before anybody knew of what")));
            }
            _ => {}
        }
        Ok(spec)
    }

    /// A delay of nothing would be a drill that never comes.
    fn check_network(&self, spec: &LaunchSpec) -> Result<(), Unavailable> {
        let is_idle = spec.network == Networking::None && self.settings().delay(spec).is_some();
        let cure = "measure with --network bridge, or inject busy work or a quota";
        if is_idle { Err(lacks("an instance without a network has no packets to delay", cure)) } else { Ok(()) }
    }
}

fn check_images(folder: &Path) -> Result<(), Unavailable> {
    let found = Manifest::load(&folder.join("programs")).map_err(|e| e.to_string());
    let found = found.and_then(|it| it.ok_or_else(|| format!("{} has no programs/manifest.json", folder.display())));
    let cure = "name a folder that was target/featherweight/images, copied with cp -a";
    found.map(drop).map_err(|reason| lacks(reason, cure))
}

fn check_delay() -> Result<(), Unavailable> {
    let why = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => lacks(
            "this kernel has no netem, which delays packets",
            "load it: modprobe sch_netem; or use a kernel with CONFIG_NET_SCH_NETEM; or inject busy work or a quota",
        ),
        _ => lacks(format!("packets cannot be delayed: {e}"), "run as root, or inject busy work"),
    };
    network::can_delay().map_err(why)
}

fn lacks(reason: impl Into<String>, cure: &str) -> Unavailable {
    Unavailable { reason: reason.into(), cure: cure.to_owned() }
}

impl Platform for ConfiguredPlatform {
    fn id(&self) -> &PlatformId {
        self.platform.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.platform.capabilities()
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        honour::check(self.id(), self.settings())?;
        self.check_host()?;
        let mut facts = self.platform.check()?;
        facts.notes.extend(self.notes()?);
        Ok(facts)
    }

    fn resource_cost(&self) -> ResourceCost {
        self.platform.resource_cost()
    }

    fn clock(&self) -> &dyn Clock {
        self.platform.clock()
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        self.platform.prepare(image)
    }

    fn boot_artifact(&self, image: &Image) -> BootArtifact {
        self.platform.boot_artifact(image)
    }

    fn load_generator(&self) -> Option<&dyn LoadGenerator> {
        self.platform.load_generator()
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        self.check_network(spec)?;
        self.platform.launch(&self.busy(spec)?)
    }
}

#[cfg(test)]
mod tests;
