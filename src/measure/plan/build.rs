//! From a configuration to the list of trials.
//!
//! Invariant: trials that are compared are close in time. Levels of a ladder are shuffled within a pass, and every round of
//! isolation has its own reference and placebo (randomized multiple interleaved trials: Abedi & Brecht, ICPE'17).

use super::estimate::{Living, estimate};
use super::shuffle::Shuffler;
use super::{Plan, PlannedTrial};
use crate::model::attacker::Attacker;
use crate::model::configuration::{Configuration, LadderOrder};
use crate::model::placement::Placement;
use crate::model::platform::{Capabilities, Networking, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::record::{Experiment, Role};
use crate::model::units::Nanos;
use crate::store::Skip;

/// What this host supports.
#[derive(Debug, Clone)]
pub struct HostSupport {
    /// The requested platforms with their capabilities, or why they cannot run here.
    pub platforms: Vec<(PlatformId, Result<Capabilities, Unavailable>)>,
    /// The requested placements, or why this host does not have them.
    pub placements: Vec<(Placement, Result<(), String>)>,
    /// The measured guests, or why this host cannot measure them: a missing tool. All others can be measured.
    /// A simulated platform simulates the tools, too.
    pub workloads: Vec<(Program, Result<(), Unavailable>)>,
}

impl HostSupport {
    /// Checks that a platform with `capabilities` can measure `workload` as configured.
    ///
    /// # Errors
    /// The reason why it cannot.
    fn fits(&self, configuration: &Configuration, capabilities: Capabilities, workload: Program) -> Result<(), String> {
        if configuration.network_of(workload) != Networking::None && !capabilities.network {
            let cure = if workload.is_server() { "name another platform" } else { "--network none needs none" };
            return Err(format!("{workload}: instances have no network on this platform; {cure}"));
        }
        if configuration.is_minimum() && !capabilities.own_memory {
            return Err("--minimum: guests share the host's memory on this platform".to_owned());
        }
        match self.missing_tool(workload) {
            Some(why) if !capabilities.simulated => Err(format!("{workload}: {why}")),
            _ => Ok(()),
        }
    }

    /// Why this host cannot measure `workload`; `None` when it can.
    fn missing_tool(&self, workload: Program) -> Option<&Unavailable> {
        self.workloads.iter().find(|(program, _)| *program == workload)?.1.as_ref().err()
    }
}

/// Plans the run of `configuration` on this host. Pure.
pub fn build(configuration: &Configuration, host_support: &HostSupport) -> Plan {
    let mut builder = Builder {
        configuration,
        shuffler: Shuffler::new(configuration.seed),
        trials: Vec::new(),
        skips: skips(configuration, host_support),
    };
    let targets = targets(configuration, host_support);
    for pass in 0..configuration.runs {
        match configuration.experiment() {
            Experiment::Isolation => builder.isolation_pass(pass, &targets, &host_support.placements),
            _ => builder.ladder_pass(pass, &targets),
        }
    }
    builder.finish()
}

/// A platform that can run here, with the guests that it can measure.
#[derive(Debug, Clone)]
struct Target {
    platform: PlatformId,
    fork: bool,
    workloads: Vec<Program>,
}

fn targets(configuration: &Configuration, host_support: &HostSupport) -> Vec<Target> {
    let target = |(id, capabilities): &(PlatformId, Result<Capabilities, Unavailable>)| {
        let capabilities = *capabilities.as_ref().ok()?;
        let workloads: Vec<_> = configuration
            .measured()
            .into_iter()
            .filter(|&w| host_support.fits(configuration, capabilities, w).is_ok())
            .collect();
        Some(Target { platform: id.clone(), fork: capabilities.fork, workloads })
            .filter(|target| !target.workloads.is_empty())
    };
    host_support.platforms.iter().filter_map(target).collect()
}

fn skips(configuration: &Configuration, host_support: &HostSupport) -> Vec<Skip> {
    let platforms = host_support.platforms.iter().filter_map(|(id, capabilities)| {
        let reason = capabilities.as_ref().err()?.to_string();
        Some(Skip { platform: Some(id.clone()), placement: None, reason })
    });
    let workloads = workload_skips(configuration, host_support);
    let placements = host_support.placements.iter().filter_map(|(placement, supported)| {
        let reason = supported.as_ref().err()?.clone();
        Some(Skip { platform: None, placement: Some(*placement), reason })
    });
    let forks = host_support.platforms.iter().filter_map(|(id, capabilities)| {
        let forks = configuration.measured().iter().any(|&w| configuration.attackers_of(w).contains(&Attacker::Fork));
        let cannot = !capabilities.as_ref().ok()?.fork && forks;
        let reason = "the fork attacker: guests cannot fork on this platform".to_owned();
        cannot.then(|| Skip { platform: Some(id.clone()), placement: None, reason })
    });
    platforms.chain(placements).chain(workloads).chain(forks).collect()
}

/// The skips of guests: one for a guest that no real platform can measure here, else one for each platform that cannot.
fn workload_skips(configuration: &Configuration, host_support: &HostSupport) -> Vec<Skip> {
    let real = |c: &Result<Capabilities, Unavailable>| c.as_ref().is_ok_and(|c| !c.simulated);
    let mut skips = Vec::new();
    for workload in configuration.measured() {
        if let Some(why) =
            host_support.missing_tool(workload).filter(|_| host_support.platforms.iter().any(|(_, c)| real(c)))
        {
            skips.push(Skip { platform: None, placement: None, reason: format!("{workload}: {why}") });
            continue;
        }
        skips.extend(host_support.platforms.iter().filter_map(|(id, capabilities)| {
            let reason = host_support.fits(configuration, *capabilities.as_ref().ok()?, workload).err()?;
            Some(Skip { platform: Some(id.clone()), placement: None, reason })
        }));
    }
    // Some reasons are alike for all workloads.
    let mut unique: Vec<Skip> = Vec::new();
    for skip in skips {
        if !unique.contains(&skip) {
            unique.push(skip);
        }
    }
    unique
}

struct Builder<'a> {
    configuration: &'a Configuration,
    shuffler: Shuffler,
    trials: Vec<PlannedTrial>,
    skips: Vec<Skip>,
}

impl Builder<'_> {
    fn ladder_pass(&mut self, pass: u32, targets: &[Target]) {
        for target in self.shuffler.shuffled(targets.to_vec()) {
            for workload in self.shuffler.shuffled(target.workloads.clone()) {
                self.ladder(pass, &target.platform, workload);
            }
        }
    }

    /// Every level once, then each number of victims at once.
    fn ladder(&mut self, pass: u32, platform: &PlatformId, workload: Program) {
        let levels = self.configuration.levels().to_vec();
        let levels = match self.configuration.ladder_order() {
            LadderOrder::Growth => levels,
            LadderOrder::Shuffled => self.shuffler.shuffled(levels),
        };
        levels.into_iter().for_each(|level| self.level(pass, platform, workload, level));
        let victims = self.shuffler.shuffled(self.configuration.victims().to_vec());
        victims.into_iter().for_each(|count| self.parallel(pass, platform, workload, count));
    }

    fn level(&mut self, pass: u32, platform: &PlatformId, workload: Program, background: u32) {
        let boots = self.configuration.each_pass();
        for boot in 0..boots {
            let trial = self.trial(pass * boots + boot, platform, workload);
            self.trials.push(PlannedTrial { background, ..trial });
        }
    }

    fn parallel(&mut self, pass: u32, platform: &PlatformId, workload: Program, victims: u32) {
        let trial = self.trial(pass, platform, workload);
        self.trials.push(PlannedTrial { victims, ..trial });
    }

    fn isolation_pass(&mut self, pass: u32, targets: &[Target], placements: &[(Placement, Result<(), String>)]) {
        let mut rounds = Vec::new();
        for target in targets {
            for (placement, _) in placements.iter().filter(|(_, supported)| supported.is_ok()) {
                rounds.extend(target.workloads.iter().map(|&workload| (target, *placement, workload)));
            }
        }
        for (target, placement, workload) in self.shuffler.shuffled(rounds) {
            self.round(pass, target, placement, workload);
        }
    }

    /// One reference, one placebo and every attacker once, in random order.
    fn round(&mut self, pass: u32, target: &Target, placement: Placement, workload: Program) {
        let attackers = self.configuration.attackers_of(workload).iter().copied();
        let mut members: Vec<_> = attackers
            .filter(|&attacker| target.fork || attacker != Attacker::Fork)
            .map(|attacker| (Role::Measured, Some(attacker)))
            .collect();
        members.extend([(Role::Reference, None), (Role::Placebo, None)]);
        for (role, attacker) in self.shuffler.shuffled(members) {
            let trial = self.trial(pass, &target.platform, workload);
            self.trials.push(PlannedTrial { role, attacker, placement, ..trial });
        }
    }

    fn trial(&self, trial: u32, platform: &PlatformId, workload: Program) -> PlannedTrial {
        PlannedTrial {
            order: 0,
            trial,
            role: Role::Measured,
            experiment: self.configuration.experiment(),
            platform: platform.clone(),
            workload,
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
            // References and placebos stay with the trials of their round.
            Some(word) => trial.role != Role::Measured || trial.to_string().contains(word),
        };
        let mut trials: Vec<_> = self.trials.iter().filter(|trial| kept(trial)).cloned().collect();
        drop_lonely_references(&mut trials);
        let mut living: Option<Living> = None;
        for (order, trial) in trials.iter_mut().enumerate() {
            trial.order = order as u64;
            trial.estimate = estimate(self.configuration, trial, living.as_ref());
            living = Some(Living::after(trial));
        }
        Plan { trials, skips: self.skips }
    }
}

/// Removes references and placebos of rounds in which the filter left no measured trial.
fn drop_lonely_references(trials: &mut Vec<PlannedTrial>) {
    let round = |t: &PlannedTrial| (t.platform.clone(), t.workload, t.placement, t.trial);
    let measured: std::collections::HashSet<_> =
        trials.iter().filter(|t| t.role == Role::Measured).map(round).collect();
    trials.retain(|t| measured.contains(&round(t)));
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
