//! Isolation: a victim beside attackers that run where the placement says.
//!
//! The reference is the victim alone, the placebo the victim beside idle neighbours in the attackers' places. An attack
//! that ended before its victim, or made no progress beside it, is a failed trial.

use std::time::Duration;

use super::{Measured, server, sqlite, victim};
use crate::guest::GuestLine;
use crate::host::placement::{self, Assignment};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::Stage;
use crate::measure::trial::{Background, InstanceGroup};
use crate::measure::trial::{ROOMY, pinned};
use crate::model::attacker::Attacker;
use crate::model::cpuset::CpuSet;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::record::{Cpus, Role};
use crate::model::units::Bytes;
use crate::platform::{Error, LaunchSpec, Limits, Milestone, Purpose};

/// How often attackers tell their operations. A second, their default, is as long as a whole victim of the quick profile.
const OPS_EVERY_MS: u64 = 100;

/// An attacker lives through settling, its victim's time and the count after it: this many times the trial's timeout at
/// the most.
const LIVES: u64 = 3;

/// How often their count is looked at when it has not moved yet.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An array of STREAM's is at least this many times the last-level cache (its own rule for the three together is four
/// times: McCalpin, STREAM benchmark, run rules).
const ARRAY_PER_CACHE: u64 = 2;

/// However many attackers share a cache, an array stays larger than a core's own.
const LEAST_ARRAY: Bytes = Bytes(8 << 20);

/// The last-level cache that is assumed when the kernel tells none.
const ASSUMED_CACHE: Bytes = Bytes(32 << 20);

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(stage, trial, None)?;
    let places = placement::assign(stage.topology, trial.placement)
        .map_err(|e| Unavailable { reason: e.to_string(), cure: "choose another placement".to_owned() })?;
    let neighbours = match trial.role {
        Role::Reference => Vec::new(),
        Role::Measured | Role::Placebo => places.attackers.clone(),
    };
    measured.cpus = Cpus {
        victim: places.victim.iter().collect(),
        attackers: neighbours.iter().flat_map(CpuSet::iter).collect(),
        client: if trial.is_driven() { places.client.iter().collect() } else { Vec::new() },
    };
    stage.with_group(|group| {
        settle_in(stage, group, trial, &neighbours)?;
        let before = operations(group);
        measure_victim(stage, trial, &places, measured)?;
        measured.attack_ops = trial.attacker.map(|attacker| progress(stage, group, attacker, before)).transpose()?;
        Ok(())
    })
}

/// Launches the neighbours and waits until each attacks, or sleeps, where it should.
fn settle_in(stage: &Stage<'_>, group: &mut InstanceGroup, trial: &PlannedTrial, cpus: &[CpuSet]) -> Result<(), Error> {
    let (program, arguments, limits) = neighbour(stage, trial.attacker, cpus);
    let spec = |set: &CpuSet| {
        let spec = stage.spec(trial, program, Purpose::Neighbour)?;
        Ok(LaunchSpec { arguments: arguments.clone(), cpus: pinned(set), limits: Some(limits), ..spec })
    };
    let specs = cpus.iter().map(spec).collect::<Result<Vec<_>, Error>>()?;
    group.launch(stage.platform, &specs)?;
    let milestone = if trial.attacker.is_some() { Milestone::Attacking } else { Milestone::Ready };
    group.wait(milestone, stage.deadline())?;
    let mut members = group.members().iter().zip(cpus);
    members.try_for_each(|(member, set)| victim::verify(stage, member.as_ref(), set))
}

/// What runs in an attacker's place: its guest, its arguments and the limits it lives in.
fn neighbour(stage: &Stage<'_>, attacker: Option<Attacker>, cpus: &[CpuSet]) -> (Program, Vec<String>, Limits) {
    let Some(attacker) = attacker else { return (Program::Sleep, Vec::new(), ROOMY) };
    let mut arguments = vec![format!("report_ms={}", report_ms(stage.configuration.timeout_s))];
    let mut limits = ROOMY;
    if attacker == Attacker::Stream {
        let array = array_bytes(stage, cpus);
        arguments.push(format!("bytes={}", array.0));
        limits.memory = Bytes(3 * array.0) + ROOMY.memory;
    }
    (attacker.program(), arguments, limits)
}

/// The arrays of all attackers together are as large as one attacker's: a hundred of them must not fill the host.
fn array_bytes(stage: &Stage<'_>, cpus: &[CpuSet]) -> Bytes {
    let cpu = cpus.first().and_then(CpuSet::first);
    let cache = cpu.and_then(|cpu| stage.topology.last_level_cache(cpu)).unwrap_or(ASSUMED_CACHE);
    Bytes((cache.0 * ARRAY_PER_CACHE / cpus.len().max(1) as u64).max(LEAST_ARRAY.0))
}

/// Nobody reads an attacker's lines while its victim is timed, so as many as it can print in its life must fit into its
/// pipe: 64 KiB (`pipe(7)`), of which a line takes up to 20 bytes.
fn report_ms(timeout_s: u64) -> u64 {
    OPS_EVERY_MS.max(timeout_s * LIVES * 1000 / 3000)
}

fn measure_victim(
    stage: &Stage<'_>,
    trial: &PlannedTrial,
    places: &Assignment,
    measured: &mut Measured,
) -> Result<(), Error> {
    let spec = stage.spec(trial, trial.workload, Purpose::Measured)?;
    let spec = LaunchSpec { cpus: pinned(&places.victim), ..spec };
    if !trial.is_driven() {
        let arguments = sqlite::arguments(stage.configuration.rows());
        return sqlite::alone(stage, &LaunchSpec { arguments, ..spec }, measured);
    }
    let attackers = if trial.attacker.is_some() { places.attackers.as_slice() } else { &[] };
    measured.flags.extend(placement::client_shares(&places.client, &places.victim, attackers));
    server::alone(stage, &spec, &places.client, measured)
}

/// The operations that every member has told of so far, in the order of the members.
fn operations(group: &mut InstanceGroup) -> Vec<u64> {
    let told = |line: &GuestLine| match line {
        GuestLine::Ops(count) => Some(*count),
        _ => None,
    };
    group.members().iter_mut().map(|m| m.lines().iter().rev().find_map(|l| told(&l.line)).unwrap_or(0)).collect()
}

/// The operations of all attackers since `before`, waiting for the next count of one that has not moved yet: for two
/// counts at the most, so that an attacker that was held up while the victim lived is told from one that attacked.
fn progress(stage: &Stage<'_>, group: &mut InstanceGroup, attacker: Attacker, before: Vec<u64>) -> Result<u64, Error> {
    let ended = group.ended(stage.clock().now());
    if let Some(first) = ended.first() {
        let reason = format!("{} of {} attackers had ended before the victim: {first}", ended.len(), group.len());
        return Err(Error::failed(format!("attack with {attacker}"), reason));
    }
    let give_up = stage.clock().now() + Duration::from_millis(report_ms(stage.configuration.timeout_s) * 2).into();
    loop {
        let done: Vec<u64> =
            operations(group).iter().zip(&before).map(|(now, then)| now.saturating_sub(*then)).collect();
        if done.iter().all(|&ops| ops > 0) {
            return Ok(done.iter().sum());
        }
        if stage.clock().now() >= give_up {
            let idle = done.iter().filter(|&&ops| ops == 0).count();
            let reason = format!("{idle} of {} attackers made no progress beside the victim", done.len());
            return Err(Error::failed(format!("attack with {attacker}"), reason));
        }
        stage.clock().pause(LOOK_EVERY);
    }
}
