//! The guests of a run: built, given to the platforms, or lacking with the reason.
//!
//! What every experiment needs must be there. A server that cannot be had on this host, or a guest that one platform
//! cannot take, leaves its trials skipped and the rest as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::{EngineError, EngineEvent, Observer};
use crate::guest::Image;
use crate::host::folders::Folders;
use crate::measure::plan::Plan;
use crate::model::platform::{PlatformId, Unavailable};
use crate::model::program::Program;
use crate::platform::arm;
use crate::platform::{Error, Platform, Settings, fake};

/// The guests of a run.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    /// Those that were built.
    pub(crate) images: Vec<Image>,
    /// Those that a platform, or none at all, can be given.
    missing_guests: Vec<(Option<PlatformId>, Program, Unavailable)>,
}

impl Guests {
    /// Builds what `plan` needs, as `settings` want it.
    ///
    /// # Errors
    /// When a guest of our own cannot be built.
    pub(crate) fn build(
        plan: &Plan,
        platforms: &[Box<dyn Platform>],
        settings: &Settings,
        folders: &Folders,
        observer: &mut dyn Observer,
    ) -> Result<Self, EngineError> {
        let needed = needed(plan);
        if platforms.iter().all(|platform| platform.capabilities().simulated) {
            return Ok(Self { images: needed.into_iter().map(fake::image).collect(), missing_guests: Vec::new() });
        }
        let (servers, ours): (Vec<_>, Vec<_>) = needed.into_iter().partition(|program| program.is_server());
        let mut build = |programs: &[Program]| {
            arm::guests(settings, folders, programs, &mut |text| observer.notice(&EngineEvent::Preparing(text)))
        };
        let images = build(&ours).map_err(|e| EngineError::Host(e.to_string()))?;
        let mut guests = Self { images, missing_guests: Vec::new() };
        for server in servers {
            match build(&[server]) {
                Ok(images) => guests.images.extend(images),
                Err(e) => guests.lack(None, server, e.to_string()),
            }
        }
        Ok(guests)
    }

    /// Makes every platform ready to launch every guest.
    ///
    /// # Errors
    /// When going on makes no sense, or the user asked to stop.
    pub(crate) fn prepare(&mut self, platforms: &[Box<dyn Platform>]) -> Result<(), EngineError> {
        let images = self.images.clone();
        for (platform, image) in platforms.iter().flat_map(|p| images.iter().map(move |i| (p, i))) {
            match platform.prepare(image) {
                Ok(()) => {}
                Err(error @ (Error::Interrupted | Error::Fatal(_))) => {
                    return Err(EngineError::Host(error.to_string()));
                }
                Err(Error::Unavailable(why)) => {
                    self.missing_guests.push((Some(platform.id().clone()), image.program, why));
                }
                Err(error) => self.lack(Some(platform.id().clone()), image.program, error.to_string()),
            }
        }
        Ok(())
    }

    /// What the platforms make of the guests, where that is more than their images: digests by `qemu:linux/nginx`.
    pub(crate) fn made(&self, platforms: &[Box<dyn Platform>]) -> BTreeMap<String, String> {
        let of = |platform: &dyn Platform, image: &Image| {
            let made = platform.boot_artifact(image).digest;
            (made != image.digest).then(|| (format!("{}/{}", platform.id(), image.program), made))
        };
        platforms
            .iter()
            .flat_map(|platform| self.images.iter().filter_map(move |image| of(platform.as_ref(), image)))
            .collect()
    }

    /// The guests that `platform` cannot be given, and why.
    pub(crate) fn missing_guests(&self, platform: &PlatformId) -> Vec<(Program, Unavailable)> {
        let here = |(of, _, _): &&(Option<PlatformId>, _, _)| of.as_ref().is_none_or(|of| of == platform);
        self.missing_guests.iter().filter(here).map(|(_, program, why)| (*program, why.clone())).collect()
    }

    /// What is lacking, in words.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.missing_guests.iter().map(|(platform, program, why)| match platform {
            Some(platform) => format!("warning: {platform}: no guest {program}: {why}"),
            None => format!("warning: no guest {program}: {why}"),
        })
    }

    fn lack(&mut self, platform: Option<PlatformId>, program: Program, reason: String) {
        let cure = "cargo xtask doctor tells what is missing".to_owned();
        self.missing_guests.push((platform, program, Unavailable { reason, cure }));
    }
}

/// What is measured, what attacks, and what idles.
fn needed(plan: &Plan) -> BTreeSet<Program> {
    let measured = plan.trials.iter().flat_map(|trial| [trial.workload, trial.idle()]);
    let attackers = plan.trials.iter().filter_map(|trial| Some(trial.attacker?.program()));
    measured.chain(attackers).chain([Program::Sleep]).collect()
}
