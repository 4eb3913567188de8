//! From a configuration to the list of trials.
//!
//! Invariant: what is compared stands close together in time. Levels of a ladder are shuffled within a pass, and every
//! isolation block holds its own reference and placebo (randomised multiple interleaved trials: Abedi & Brecht, ICPE'17).

use super::estimate::estimate;
use super::shuffle::Shuffler;
use super::{Configuration, LadderOrder, Plan, PlannedTrial};
use crate::attacker::Attacker;
use crate::guest::Program;
use crate::placement::Placement;
use crate::platform::{Capabilities, PlatformId, Unavailable};
use crate::store::{Experiment, Role, Skip};
use crate::units::Nanos;

/// What this machine offers.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The platforms asked for, with what they can do, or why they cannot run here.
    pub platforms: Vec<(PlatformId, Result<Capabilities, Unavailable>)>,
    /// The placements asked for, or why this host does not have them.
    pub placements: Vec<(Placement, Result<(), String>)>,
}

/// Plans the run that `configuration` asks for, on what the machine offers. Pure.
pub fn build(configuration: &Configuration, offer: &Offer) -> Plan {
    let mut builder = Builder {
        configuration,
        shuffler: Shuffler::new(configuration.seed),
        trials: Vec::new(),
        skips: skips(configuration, offer),
    };
    let platforms: Vec<_> =
        offer.platforms.iter().filter_map(|(id, c)| Some((id.clone(), *c.as_ref().ok()?))).collect();
    for pass in 0..configuration.runs {
        match configuration.experiment {
            Experiment::Isolation => builder.isolation_pass(pass, &platforms, &offer.placements),
            _ => builder.ladder_pass(pass, &platforms),
        }
    }
    builder.finish()
}

fn skips(configuration: &Configuration, offer: &Offer) -> Vec<Skip> {
    let platforms = offer.platforms.iter().filter_map(|(id, capabilities)| {
        let reason = capabilities.as_ref().err()?.to_string();
        Some(Skip { platform: Some(id.clone()), placement: None, reason })
    });
    let placements = offer.placements.iter().filter_map(|(placement, here)| {
        let reason = here.as_ref().err()?.clone();
        Some(Skip { platform: None, placement: Some(*placement), reason })
    });
    let forks = offer.platforms.iter().filter_map(|(id, capabilities)| {
        let cannot = !capabilities.as_ref().ok()?.fork && configuration.attackers.contains(&Attacker::Fork);
        let reason = "the fork attacker: guests cannot fork on this platform".to_owned();
        cannot.then(|| Skip { platform: Some(id.clone()), placement: None, reason })
    });
    platforms.chain(placements).chain(forks).collect()
}

struct Builder<'a> {
    configuration: &'a Configuration,
    shuffler: Shuffler,
    trials: Vec<PlannedTrial>,
    skips: Vec<Skip>,
}

impl Builder<'_> {
    fn ladder_pass(&mut self, pass: u32, platforms: &[(PlatformId, Capabilities)]) {
        for (platform, _) in self.shuffler.shuffled(platforms.to_vec()) {
            let levels = self.configuration.ladder.clone();
            let levels = match self.configuration.ladder_order {
                LadderOrder::Growth => levels,
                LadderOrder::Shuffled => self.shuffler.shuffled(levels),
            };
            levels.into_iter().for_each(|level| self.level(pass, &platform, level));
            let victims = self.shuffler.shuffled(self.configuration.victims.clone());
            victims.into_iter().for_each(|count| self.parallel(pass, &platform, count));
        }
    }

    fn level(&mut self, pass: u32, platform: &PlatformId, background: u32) {
        let boots = match self.configuration.experiment {
            Experiment::Boot => self.configuration.boots,
            _ => 1,
        };
        for boot in 0..boots {
            let trial = self.trial(pass * boots + boot, platform);
            self.trials.push(PlannedTrial { background, ..trial });
        }
    }

    fn parallel(&mut self, pass: u32, platform: &PlatformId, victims: u32) {
        let trial = self.trial(pass, platform);
        self.trials.push(PlannedTrial { victims, ..trial });
    }

    fn isolation_pass(
        &mut self,
        pass: u32,
        platforms: &[(PlatformId, Capabilities)],
        placements: &[(Placement, Result<(), String>)],
    ) {
        let mut blocks = Vec::new();
        for (platform, capabilities) in platforms {
            for (placement, here) in placements {
                if here.is_ok() {
                    blocks.push((platform.clone(), *capabilities, *placement));
                }
            }
        }
        for (platform, capabilities, placement) in self.shuffler.shuffled(blocks) {
            self.block(pass, &platform, capabilities, placement);
        }
    }

    /// One reference, one placebo and every attacker once, in random order.
    fn block(&mut self, pass: u32, platform: &PlatformId, capabilities: Capabilities, placement: Placement) {
        let attackers = self.configuration.attackers.iter().copied();
        let mut members: Vec<_> = attackers
            .filter(|&attacker| capabilities.fork || attacker != Attacker::Fork)
            .map(|attacker| (Role::Measured, Some(attacker)))
            .collect();
        members.extend([(Role::Reference, None), (Role::Placebo, None)]);
        for (role, attacker) in self.shuffler.shuffled(members) {
            let trial = self.trial(pass, platform);
            self.trials.push(PlannedTrial { role, attacker, placement, ..trial });
        }
    }

    fn trial(&self, trial: u32, platform: &PlatformId) -> PlannedTrial {
        PlannedTrial {
            order: 0,
            trial,
            role: Role::Measured,
            experiment: self.configuration.experiment,
            platform: platform.clone(),
            workload: workload(self.configuration.experiment),
            attacker: None,
            placement: Placement::Unpinned,
            background: 0,
            victims: 1,
            estimate: Nanos(0),
        }
    }

    fn finish(self) -> Plan {
        let kept = |trial: &PlannedTrial| match &self.configuration.filter {
            None => true,
            // References and placebos go with what they stand beside.
            Some(word) => trial.role != Role::Measured || trial.to_string().contains(word),
        };
        let mut trials: Vec<_> = self.trials.iter().filter(|trial| kept(trial)).cloned().collect();
        drop_lonely_references(&mut trials);
        let mut living: Option<(PlatformId, u32)> = None;
        for (order, trial) in trials.iter_mut().enumerate() {
            trial.order = order as u64;
            let before = living.as_ref().filter(|(platform, _)| *platform == trial.platform).map(|&(_, level)| level);
            trial.estimate = estimate(self.configuration, trial, before);
            living = Some((trial.platform.clone(), trial.background));
        }
        Plan { trials, skips: self.skips }
    }
}

/// Takes out references and placebos of blocks in which the filter left nothing to compare with.
fn drop_lonely_references(trials: &mut Vec<PlannedTrial>) {
    let block = |t: &PlannedTrial| (t.platform.clone(), t.placement, t.trial);
    let measured: std::collections::HashSet<_> =
        trials.iter().filter(|t| t.role == Role::Measured).map(block).collect();
    trials.retain(|t| measured.contains(&block(t)));
}

/// The measured guest of an experiment.
fn workload(experiment: Experiment) -> Program {
    match experiment {
        Experiment::Boot => Program::Hello,
        Experiment::Footprint => Program::Sleep,
        Experiment::Scalability | Experiment::Isolation => Program::Sqlite,
    }
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
