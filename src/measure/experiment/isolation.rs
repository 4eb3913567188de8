//! Isolation: a victim next to attackers on the CPUs of the placement.
//!
//! The reference is the victim alone. The placebo is the victim with idle neighbors in the attackers' places. A trial fails
//! if an attacker ended before its victim, or made no progress while the victim ran.

use std::time::Duration;

use super::{Measured, server, sqlite, victim};
use crate::guest::GuestLine;
use crate::host::placement::{self, Assignment};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, InstanceGroup, ROOMY, TrialRig, pinned};
use crate::model::attacker::Attacker;
use crate::model::cpuset::CpuSet;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::record::{Cpus, Role};
use crate::model::units::Bytes;
use crate::platform::{Error, LaunchSpec, Limits, Milestone, Purpose, StampedLine};

/// The interval between an attacker's reports of its operations. The default, a second, is as long as a whole victim of
/// the quick profile.
const REPORT_EVERY_MS: u64 = 100;

/// The longest life of an attacker, in trial timeouts: it settles, its victim runs, and its operations are counted.
const LIVES: u64 = 3;

/// The interval between two readings of a count that has not moved yet.
const READ_EVERY: Duration = Duration::from_millis(10);

/// The size of one STREAM array in last-level caches. STREAM's own rule asks for four caches for all three arrays
/// (McCalpin, STREAM benchmark, run rules).
const ARRAY_PER_CACHE: u64 = 2;

/// The least size of an array: larger than a core's own caches, however many attackers share the last level.
const LEAST_ARRAY: Bytes = Bytes(8 << 20);

/// The assumed last-level cache where the kernel reports none.
const ASSUMED_CACHE: Bytes = Bytes(32 << 20);

pub(super) fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(rig, trial, None)?;
    let places = placement::assign(rig.topology, trial.placement)
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
    rig.with_group(|group| {
        settle_in(rig, group, trial, &neighbours)?;
        let before = operations(group);
        measure_victim(rig, trial, &places, measured)?;
        measured.attack_ops = trial.attacker.map(|attacker| progress(rig, group, attacker, before)).transpose()?;
        Ok(())
    })
}

/// Launches the neighbors and waits until each one attacks, or sleeps, on its CPUs.
fn settle_in(
    rig: &TrialRig<'_>,
    group: &mut InstanceGroup,
    trial: &PlannedTrial,
    cpus: &[CpuSet],
) -> Result<(), Error> {
    let (program, arguments, limits) = neighbour(rig, trial.attacker, cpus);
    let spec = |set: &CpuSet| {
        let spec = rig.spec(trial, program, Purpose::Neighbor)?;
        Ok(LaunchSpec { arguments: arguments.clone(), cpus: pinned(set), limits: Some(limits), ..spec })
    };
    let specs = cpus.iter().map(spec).collect::<Result<Vec<_>, Error>>()?;
    group.launch(rig.platform, &specs)?;
    let milestone = if trial.attacker.is_some() { Milestone::Attacking } else { Milestone::Ready };
    group.wait(milestone, rig.deadline())?;
    let mut members = group.members().iter().zip(cpus);
    members.try_for_each(|(member, set)| victim::verify(rig, member.as_ref(), set))
}

/// The guest in an attacker's place, with its arguments and limits.
fn neighbour(rig: &TrialRig<'_>, attacker: Option<Attacker>, cpus: &[CpuSet]) -> (Program, Vec<String>, Limits) {
    let Some(attacker) = attacker else { return (Program::Sleep, Vec::new(), ROOMY) };
    let mut arguments = vec![format!("report_ms={}", report_ms(rig.configuration.timeout_s))];
    let mut limits = ROOMY;
    if attacker == Attacker::Stream {
        let array = array_bytes(rig, cpus);
        arguments.push(format!("bytes={}", array.0));
        limits.memory = Bytes(3 * array.0) + ROOMY.memory;
    }
    (attacker.program(), arguments, limits)
}

/// The size of each attacker's array. Attackers share the size of one, so that a hundred of them do not fill the host.
fn array_bytes(rig: &TrialRig<'_>, cpus: &[CpuSet]) -> Bytes {
    let cpu = cpus.first().and_then(CpuSet::first);
    let cache = cpu.and_then(|cpu| rig.topology.last_level_cache(cpu)).unwrap_or(ASSUMED_CACHE);
    Bytes((cache.0 * ARRAY_PER_CACHE / cpus.len().max(1) as u64).max(LEAST_ARRAY.0))
}

/// The report interval. The harness does not read an attacker's lines while its victim is timed, so all lines of its life
/// must fit into its pipe: 64 KiB (`pipe(7)`), and a line takes up to 20 bytes.
fn report_ms(timeout_s: u64) -> u64 {
    REPORT_EVERY_MS.max(timeout_s * LIVES * 1000 / 3000)
}

fn measure_victim(
    rig: &TrialRig<'_>,
    trial: &PlannedTrial,
    places: &Assignment,
    measured: &mut Measured,
) -> Result<(), Error> {
    let spec = rig.spec(trial, trial.workload, Purpose::Measured)?;
    let spec = LaunchSpec { cpus: pinned(&places.victim), ..spec };
    if !trial.is_driven() {
        let arguments = sqlite::arguments(rig.configuration.rows());
        return sqlite::alone(rig, &LaunchSpec { arguments, ..spec }, measured);
    }
    let attackers = if trial.attacker.is_some() { places.attackers.as_slice() } else { &[] };
    measured.flags.extend(placement::client_shares(&places.client, &places.victim, attackers));
    server::alone(rig, &spec, &places.client, measured)
}

/// The operations that every member has reported so far, in the order of the members.
fn operations(group: &mut InstanceGroup) -> Vec<u64> {
    group.members().iter_mut().map(|member| last_report(member.lines())).collect()
}

fn last_report(lines: &[StampedLine]) -> u64 {
    let count = lines.iter().rev().find_map(|stamped| match stamped.line {
        GuestLine::Ops(count) => Some(count),
        _ => None,
    });
    count.unwrap_or(0)
}

/// The operations of all attackers since `before`. Waits for up to two reports of an attacker that has not moved yet, to
/// distinguish one that was held up while the victim ran from one that attacked.
fn progress(rig: &TrialRig<'_>, group: &mut InstanceGroup, attacker: Attacker, before: Vec<u64>) -> Result<u64, Error> {
    let ended = group.ended(rig.clock().now());
    if let Some(first) = ended.first() {
        let reason = format!("{} of {} attackers had ended before the victim: {first}", ended.len(), group.len());
        return Err(Error::failed(format!("attack with {attacker}"), reason));
    }
    let give_up = rig.clock().now() + Duration::from_millis(report_ms(rig.configuration.timeout_s) * 2).into();
    loop {
        let done: Vec<u64> =
            operations(group).iter().zip(&before).map(|(now, then)| now.saturating_sub(*then)).collect();
        if done.iter().all(|&ops| ops > 0) {
            return Ok(done.iter().sum());
        }
        if rig.clock().now() >= give_up {
            let idle = done.iter().filter(|&&ops| ops == 0).count();
            let reason = format!("{idle} of {} attackers made no progress while the victim ran", done.len());
            return Err(Error::failed(format!("attack with {attacker}"), reason));
        }
        rig.clock().pause(READ_EVERY);
    }
}
