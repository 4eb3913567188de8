//! The guests of a rig: built and given to the platforms, or missing for a reason.
//!
//! Our own guests must be there. Trials of a server that this host lacks, or of a guest that one platform cannot take,
//! are skipped; all others run.

use std::collections::{BTreeMap, BTreeSet};

use crate::guest::Image;
use crate::host::folders::Folders;
use crate::measure::plan::Plan;
use crate::measure::{Event, Observer, RunError};
use crate::model::platform::{PlatformId, Unavailable};
use crate::model::program::Program;
use crate::platform::arm::{self, GuestsError};
use crate::platform::{Error, Platform, Settings, fake};

/// The guests of a rig.
#[derive(Debug)]
pub(super) struct Guests {
    images: Vec<Image>,
    missing: Vec<MissingGuest>,
}

#[derive(Debug)]
struct MissingGuest {
    /// The platform that cannot take it; `None` where it cannot be built.
    platform: Option<PlatformId>,
    program: Program,
    why: Unavailable,
}

impl Guests {
    /// Builds what `plan` needs with `settings`, and makes every platform ready to launch every guest.
    ///
    /// # Errors
    /// When one of our own guests cannot be built, a platform cannot go on, or the user stops it.
    pub(super) fn prepare(
        plan: &Plan,
        platforms: &[Box<dyn Platform>],
        settings: &Settings,
        folders: &Folders,
        observer: &mut dyn Observer,
    ) -> Result<Self, RunError> {
        let needed = needed(plan);
        let mut guests = match platforms.iter().all(|platform| platform.capabilities().simulated) {
            true => Self { images: needed.into_iter().map(fake::image).collect(), missing: Vec::new() },
            false => Self::build(needed, settings, folders, observer)?,
        };
        for platform in platforms {
            guests.give_to(platform.as_ref())?;
        }
        Ok(guests)
    }

    fn build(
        needed: BTreeSet<Program>,
        settings: &Settings,
        folders: &Folders,
        observer: &mut dyn Observer,
    ) -> Result<Self, GuestsError> {
        let (servers, ours): (Vec<_>, Vec<_>) = needed.into_iter().partition(|program| program.is_server());
        let mut report = |text: &str| observer.notice(&Event::Preparing(text));
        let images = arm::guests(settings, folders, &ours, &mut report)?;
        let mut guests = Self { images, missing: Vec::new() };
        for server in servers {
            match arm::guests(settings, folders, &[server], &mut report) {
                Ok(images) => guests.images.extend(images),
                Err(e) => guests.add_missing(None, server, unavailable(&e)),
            }
        }
        Ok(guests)
    }

    fn give_to(&mut self, platform: &dyn Platform) -> Result<(), RunError> {
        for image in self.images.clone() {
            let why = match platform.prepare(&image) {
                Ok(()) => continue,
                Err(source @ (Error::Interrupted | Error::Fatal(_))) => {
                    let (platform, program) = (platform.id().clone(), image.program);
                    return Err(RunError::PrepareGuest { platform, program, source: Box::new(source) });
                }
                Err(Error::Unavailable(why)) => why,
                Err(error) => unavailable(&error),
            };
            self.add_missing(Some(platform.id().clone()), image.program, why);
        }
        Ok(())
    }

    /// The guests that were built.
    pub(super) fn images(&self) -> &[Image] {
        &self.images
    }

    /// The digests of what platforms boot, where that is more than a guest's image: by `qemu:linux/nginx`.
    pub(super) fn boot_artifacts(&self, platforms: &[Box<dyn Platform>]) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        for (platform, image) in platforms.iter().flat_map(|p| self.images.iter().map(move |image| (p, image))) {
            let artifact = platform.boot_artifact(image);
            if artifact.digest != image.digest {
                digests.insert(format!("{}/{}", platform.id(), image.program), artifact.digest);
            }
        }
        digests
    }

    /// The guests that `platform` cannot be given, and why.
    pub(super) fn missing(&self, platform: &PlatformId) -> Vec<(Program, Unavailable)> {
        let on_platform = self.missing.iter().filter(|guest| guest.platform.as_ref().is_none_or(|p| p == platform));
        on_platform.map(|guest| (guest.program, guest.why.clone())).collect()
    }

    /// A line for each missing guest.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.missing.iter().map(MissingGuest::warning).collect()
    }

    fn add_missing(&mut self, platform: Option<PlatformId>, program: Program, why: Unavailable) {
        self.missing.push(MissingGuest { platform, program, why });
    }
}

impl MissingGuest {
    fn warning(&self) -> String {
        let Self { platform, program, why } = self;
        match platform {
            Some(platform) => format!("warning: {platform}: no guest {program}: {why}"),
            None => format!("warning: no guest {program}: {why}"),
        }
    }
}

fn unavailable(error: &impl ToString) -> Unavailable {
    Unavailable { reason: error.to_string(), cure: "run `cargo xtask doctor` to see what is missing".to_owned() }
}

/// The measured programs, the attackers and the background programs of `plan`.
fn needed(plan: &Plan) -> BTreeSet<Program> {
    let measured = plan.trials.iter().flat_map(|trial| [trial.workload, trial.idle()]);
    let attackers = plan.trials.iter().filter_map(|trial| Some(trial.attacker?.program()));
    measured.chain(attackers).chain([Program::Sleep]).collect()
}
