//! A platform with an arm's settings: everything that is the same for all platforms. One without settings is not wrapped.

use std::path::Path;

use super::inject::{Amount, Inject};
use super::{
    BootArtifact, Context, Error, Instance, Key, LaunchSpec, Platform, Purpose, ResourceCost, Settings,
    UnsupportedSetting,
};
use crate::guest::{Image, Manifest, file_digest, revision};
use crate::host::cgroup::Hierarchies;
use crate::host::clock::Clock;
use crate::host::folders::Folders;
use crate::host::network;
use crate::model::platform::{Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::platform::load_generator::LoadGenerator;

/// The start of notes on settings.
const SET: &str = "set: ";
/// How many digits of a digest identify a program.
const DIGEST: usize = 16;

/// A platform with settings.
#[derive(Debug)]
pub(super) struct ConfiguredPlatform {
    platform: Box<dyn Platform>,
    context: Context,
    folders: Folders,
}

impl PlatformFacts {
    /// The notes on what an arm sets, one per setting.
    pub(crate) fn set(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str).filter(|note| note.starts_with(SET))
    }
}

impl ConfiguredPlatform {
    /// Wraps `platform`, which was created with the settings of `context`.
    pub(super) fn new(platform: Box<dyn Platform>, context: &Context) -> Self {
        Self { platform, context: context.clone(), folders: Folders::from_env() }
    }

    fn settings(&self) -> &Settings {
        &self.context.settings
    }

    /// One note per setting. A program's note has its digest as well, since it may be rebuilt at the same path.
    fn notes(&self) -> Result<Vec<String>, Unavailable> {
        let settings = self.settings();
        let note = |(key, value)| {
            let program = match key {
                Key::Runtime => settings.runtime.as_deref(),
                Key::Qemu => settings.qemu.as_deref(),
                _ => None,
            };
            Ok(format!("{SET}{key}={value}{}", program.map(content_note).transpose()?.unwrap_or_default()))
        };
        settings.given().map(note).collect()
    }

    /// Checks that this host has what the settings need.
    fn check_host(&self) -> Result<(), Unavailable> {
        let settings = self.settings();
        if settings.images.is_some() && settings.guests.is_some() {
            return Err(Unavailable::new("both images= and guests= choose the guests", "remove one of them"));
        }
        settings.images.as_deref().map_or(Ok(()), check_images)?;
        if let Some(name) = &settings.guests {
            revision::commit(&self.folders.project, name)
                .map_err(|e| Unavailable::new(e.to_string(), "name a commit, a branch or a tag of this project"))?;
        }
        match settings.inject {
            Some(Inject::Quota(_)) => check_quota(),
            Some(Inject::Delay(_)) => check_delay(),
            _ => Ok(()),
        }
    }

    /// `spec` with the busy work for its guest.
    fn with_busy_work(&self, spec: &LaunchSpec) -> Result<LaunchSpec, Error> {
        let mut spec = spec.clone();
        match self.settings().inject {
            Some(Inject::Busy(_)) if spec.purpose != Purpose::Measured => {}
            Some(Inject::Busy(_)) if spec.image.program.is_server() => {
                let reason = format!("{} is not our code and does no busy work", spec.image.program);
                return Err(Unavailable::new(reason, "inject a quota or a delay").into());
            }
            Some(Inject::Busy(Amount::Time(span))) => spec.arguments.push(format!("busy={}", span.0)),
            Some(Inject::Busy(Amount::Percent(share))) => {
                return Err(Error::Fatal(format!("busy work of {share} % was launched before its median was known")));
            }
            _ => {}
        }
        Ok(spec)
    }

    /// Rejects a delay of packets where there are none: the drill would have no effect.
    fn check_network(&self, spec: &LaunchSpec) -> Result<(), Unavailable> {
        if spec.network == Networking::None && self.settings().delay(spec).is_some() {
            return Err(Unavailable::new(
                "an instance without a network has no packets to delay",
                "measure with --network bridge, or inject busy work or a quota",
            ));
        }
        Ok(())
    }
}

/// The digest of a program, as text for a note.
fn content_note(program: &Path) -> Result<String, Unavailable> {
    let digest = file_digest(program).map_err(|e| Unavailable::new(e.to_string(), "make it readable"))?;
    Ok(format!(", SHA-256 {}", &digest[..DIGEST]))
}

fn check_images(folder: &Path) -> Result<(), Unavailable> {
    let reason = match Manifest::load(&folder.join("programs")) {
        Ok(Some(_)) => return Ok(()),
        Ok(None) => format!("{} has no programs/manifest.json", folder.display()),
        Err(e) => e.to_string(),
    };
    Err(Unavailable::new(reason, "name a copy of target/featherweight/images that cp -a made"))
}

fn check_quota() -> Result<(), Unavailable> {
    let hierarchies = Hierarchies::read(Path::new("/")).map_err(|e| no_quota(&e))?;
    hierarchies.check_limits().and_then(|()| hierarchies.check_quota()).map_err(|e| no_quota(&e))
}

fn no_quota(reason: &dyn std::fmt::Display) -> Unavailable {
    Unavailable::new(reason.to_string(), "mount the cgroup controllers writable, and run as root; or inject busy work")
}

fn check_delay() -> Result<(), Unavailable> {
    network::can_delay().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Unavailable::new(
            "this kernel has no netem, which delays packets",
            "load it: modprobe sch_netem; or use a kernel with CONFIG_NET_SCH_NETEM; or inject busy work or a quota",
        ),
        _ => Unavailable::new(format!("packets cannot be delayed: {e}"), "run as root, or inject busy work"),
    })
}

impl Platform for ConfiguredPlatform {
    fn id(&self) -> &PlatformId {
        self.platform.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.platform.capabilities()
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        self.platform.supports(settings)
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        self.platform.supports(self.settings())?;
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
        self.platform.launch(&self.with_busy_work(spec)?)
    }
}

#[cfg(test)]
mod tests;
