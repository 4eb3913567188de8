//! Why two runs cannot be compared, notes on them, and the facts that may differ between them.

use std::collections::{BTreeMap, BTreeSet};

use super::matching::{CaseSamples, Key, Pairing, names, platforms};
use crate::host::{HostFacts, differences};
use crate::model::configuration::Configuration;
use crate::model::platform::{Accelerator, Capabilities, PlatformId};
use crate::model::record::Experiment;
use crate::store::{CaseValues, RunFile, RunOutcome, RunValues};

type Cases<'a> = BTreeMap<Key, CaseSamples<'a>>;

/// The most cases that a sentence names.
const SHOWN: usize = 4;

/// Why the two runs cannot be compared, one sentence each; empty if they can.
pub(super) fn obstacles(a: (&RunValues, &Cases<'_>), b: (&RunValues, &Cases<'_>)) -> Vec<String> {
    let (mine, other) = (&a.0.file, &b.0.file);
    let common: Vec<&Key> = a.1.keys().filter(|key| b.1.contains_key(key)).collect();
    let mut all = trial_differences(&mine.configuration, &other.configuration);
    if common.is_empty() && all.is_empty() {
        all.push(format!("no common case: A has {}; B has {}", cases(a.1.keys()), cases(b.1.keys())));
    }
    all.extend(other_hosts(mine, other));
    if mine.configuration.ladder_order() != other.configuration.ladder_order()
        && common.iter().any(|k| k.background > 0)
    {
        let orders = (mine.configuration.ladder_order(), other.configuration.ladder_order());
        all.push(format!("configuration: ladder order: {} against {}", orders.0, orders.1));
    }
    all.extend(platform_obstacles(mine, other, &platforms(a.0), &platforms(b.0)));
    let mixed: BTreeSet<String> = common.iter().filter_map(|key| accelerators(&a.1[*key], &b.1[*key])).collect();
    all.extend(mixed.into_iter().map(|pair| format!("different accelerators: {pair}")));
    all
}

/// How trials differ between two configurations, one sentence each. The number of trials, their order and their timeout do
/// not matter.
pub fn trial_differences(a: &Configuration, b: &Configuration) -> Vec<String> {
    if a.experiment() != b.experiment() {
        return vec![format!("different experiments: {} against {}", a.experiment(), b.experiment())];
    }
    let measured: Vec<_> = a.measured().into_iter().filter(|workload| b.measured().contains(workload)).collect();
    let has = |name: &str| measured.iter().any(|workload| workload.name() == name);
    let network = |c: &Configuration| -> BTreeSet<String> {
        measured.iter().map(|&workload| c.network_of(workload).to_string()).collect()
    };
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(" and ");
    let wrk = |c: &Configuration| {
        format!("{} s, {} connections, {} threads", c.load().seconds, c.load().connections, c.load().threads)
    };
    let redis = |c: &Configuration| {
        format!("{} requests, {} clients, pipeline {}", c.load().requests, c.load().clients, c.load().pipeline)
    };
    let works = matches!(a.experiment(), Experiment::Scalability | Experiment::Isolation);
    let both = |parameter: &dyn Fn(&Configuration) -> String| (parameter(a), parameter(b));
    let parameters = [
        ("minimum", true, both(&|c| c.is_minimum().to_string())),
        ("network", true, both(&|c| list(network(c)))),
        ("rows", has("sqlite") && works, both(&|c| c.rows().to_string())),
        ("load of nginx", has("nginx") && works, both(&wrk)),
        ("load of redis", has("redis") && works, both(&redis)),
    ];
    let differing = parameters.into_iter().filter(|(_, matters, (mine, other))| *matters && mine != other);
    differing.map(|(name, _, (mine, other))| format!("configuration: {name}: {mine} against {other}")).collect()
}

/// Why platforms cannot be compared: each one with itself, or the only two with each other.
fn platform_obstacles(a: &RunFile, b: &RunFile, mine: &[&PlatformId], theirs: &[&PlatformId]) -> Vec<String> {
    let pairs: Vec<(&PlatformId, &PlatformId)> = match (mine, theirs) {
        ([one], [other]) => vec![(one, other)],
        _ => mine.iter().filter(|id| theirs.contains(id)).map(|id| (*id, *id)).collect(),
    };
    let mut all = Vec::new();
    for (mine, other) in pairs {
        let (Some(can), Some(could)) = (capabilities(a, mine), capabilities(b, other)) else { continue };
        if can.simulated != could.simulated {
            all.push(format!("simulated against real: {}", names(&[mine, other])));
        }
        if mine == other && can.limits != could.limits {
            let limited = if can.limits { "A" } else { "B" };
            all.push(format!("control groups: on {mine} limits are set in {limited} alone"));
        }
    }
    all
}

pub(super) fn capabilities(file: &RunFile, id: &PlatformId) -> Option<Capabilities> {
    file.platforms.iter().find(|platform| platform.id == *id).map(|platform| platform.capabilities)
}

/// The accelerators of one case, where they differ.
fn accelerators(a: &CaseSamples<'_>, b: &CaseSamples<'_>) -> Option<String> {
    let accelerators = |samples: &CaseSamples<'_>| -> BTreeSet<Accelerator> {
        samples.values.iter().map(|v| v.case.accelerator).collect()
    };
    let list = |all: BTreeSet<Accelerator>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let (mine, other) = (accelerators(a), accelerators(b));
    (mine != other).then(|| format!("{} against {}", list(mine), list(other)))
}

/// The host's facts.
pub(super) fn host(file: &RunFile) -> HostFacts {
    HostFacts::stored(&file.host)
}

/// How the hosts of two runs differ, one sentence each. A host without recorded facts counts as the same.
pub(super) fn other_hosts(a: &RunFile, b: &RunFile) -> Vec<String> {
    if b.host.is_empty() { Vec::new() } else { other_host(a, &host(b)) }
}

/// How the host of a run differs from another host.
pub fn other_host(run: &RunFile, other: &HostFacts) -> Vec<String> {
    let differences = if run.host.is_empty() { Vec::new() } else { differences(&host(run), other) };
    differences.into_iter().map(|d| format!("different hosts: {d}")).collect()
}

/// The notes on the whole comparison.
pub(super) fn notes(a: (&RunValues, &Cases<'_>), b: (&RunValues, &Cases<'_>), pairing: Pairing) -> Vec<String> {
    let (mine, other) = (a.0, b.0);
    let mut all = vec![format!(
        "stored runs of {} and {}: drift between them counts as a difference, so this claims less than `cargo xtask ab`",
        mine.file.started, other.file.started
    )];
    if pairing == Pairing::Across {
        let (mine, other) = (names(&platforms(mine)), names(&platforms(other)));
        all.push(format!("two platforms are compared: A was measured on {mine}, B on {other}"));
    }
    for (name, run) in [("A", mine), ("B", other)] {
        all.extend(incomplete(name, run));
        all.extend(run.warnings.iter().map(|warning| format!("{name}: {warning}")));
        all.extend(losses(name, run));
        if run.file.host.is_empty() {
            all.push(format!("{name}'s host is not recorded; it is assumed to be the same"));
        }
    }
    all.extend(other_guests(a.1, b.1));
    all.extend(alone("A", a.1, b.1));
    all.extend(alone("B", b.1, a.1));
    all
}

/// The cases whose measured guest differs.
fn other_guests(a: &Cases<'_>, b: &Cases<'_>) -> Option<String> {
    let images = |samples: &CaseSamples<'_>| -> BTreeSet<String> {
        samples.values.iter().map(|v| v.case.image.clone()).collect()
    };
    let differ =
        |(key, samples): &(&Key, &CaseSamples<'_>)| b.get(key).is_some_and(|other| images(other) != images(samples));
    let differing: Vec<&Key> = a.iter().filter(differ).map(|(key, _)| key).collect();
    (!differing.is_empty()).then(|| {
        let cases = cases(differing.into_iter());
        format!("the measured guest is another program in B, so a difference may come from the guest: {cases}")
    })
}

fn incomplete(name: &str, run: &RunValues) -> Option<String> {
    let (trials, planned) = (run.cases.iter().map(|case| case.counts.trials()).sum::<usize>(), run.file.planned);
    let ended = run.file.outcome;
    (ended != RunOutcome::Complete).then(|| format!("{name} is not complete ({ended}): {trials} of {planned} trials"))
}

/// The numbers of failed and of flagged trials.
fn losses(name: &str, run: &RunValues) -> Option<String> {
    let sum = |count: fn(&CaseValues) -> usize| run.cases.iter().map(count).sum::<usize>();
    let (failed, flagged) = (sum(|case| case.counts.failed), sum(|case| case.counts.flagged));
    (failed + flagged > 0).then(|| {
        format!("{name}: of {} trials {failed} failed and {flagged} are flagged", sum(|case| case.counts.trials()))
    })
}

/// The cases that only this run has.
fn alone(name: &str, own: &Cases<'_>, other: &Cases<'_>) -> Option<String> {
    let missing: Vec<&Key> = own.keys().filter(|key| !other.contains_key(key)).collect();
    (!missing.is_empty()).then(|| format!("in {name} alone, not compared: {}", cases(missing.into_iter())))
}

/// The first few cases and the number of the others.
fn cases<'a>(keys: impl Iterator<Item = &'a Key>) -> String {
    let mut all: Vec<String> = keys.map(ToString::to_string).collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    all.join(", ") + &rest
}

/// Facts of a run that may differ from another's, by name.
pub(super) fn facts(file: &RunFile) -> BTreeMap<String, String> {
    /// The digits that identify a digest.
    const DIGITS: usize = 12;
    let short = |digest: &str| digest.chars().take(DIGITS).collect::<String>();
    let host = host(file);
    let mut all =
        BTreeMap::from([("run".to_owned(), file.run.to_string()), ("featherweight".to_owned(), file.version.clone())]);
    all.extend(host.revision.map(|revision| ("revision".to_owned(), short(&revision))));
    let tools = host.tools.into_iter().filter_map(|(tool, version)| Some((format!("tool {tool}"), version?)));
    let platforms = file.platforms.iter().map(|p| (format!("platform {}", p.id), p.facts.version.clone()));
    let images = file.images.iter().map(|image| (format!("guest {}", image.program), short(&image.digest)));
    let made = file.made.iter().map(|(what, digest)| (format!("made {what}"), short(digest)));
    all.extend(tools.chain(platforms).chain(images).chain(made));
    all
}
