//! What stands around the trials: the host's facts, its limits, its noise and the samples.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use serde_json::Value;

use super::{EngineError, EngineEvent, Observer};
use crate::host::cgroup::Hierarchies;
use crate::host::folders::Folders;
use crate::host::ledger::{Ledger, Resource};
use crate::host::limits::{self, Limits, Needs, RaisedLimits, Shortfall};
use crate::host::noise::{self, Baseline, FwqConfig, NoiseReading, Verdict};
use crate::host::placement;
use crate::host::sampler::{Columns, Sampler, SamplerConfig, Sharing};
use crate::host::{HostFacts, Topology};
use crate::measure::plan::Plan;
use crate::model::attacker::Attacker;
use crate::model::configuration::Configuration;
use crate::model::cpuset::CpuSet;
use crate::model::placement::Placement;
use crate::model::platform::Networking;
use crate::model::record::Experiment;
use crate::model::units::Bytes;
use crate::platform::ResourceCost;
use crate::store::NoiseGuard;

/// How often the host is sampled.
const PERIOD: Duration = Duration::from_secs(1);

/// The noise guard takes two seconds a CPU for 20,000 quanta: on a large host a few CPUs stand for all.
const MAX_GUARDED: usize = 8;

/// Files that the harness keeps open for one instance: its output, its process, and what tells its end.
const FILES_EACH: u64 = 3;

/// The surroundings of a run, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct RunEnvironment {
    limits: Option<RaisedLimits>,
    guard: Guard,
    sampler: Option<Sampler>,
    background: Arc<AtomicU32>,
}

impl RunEnvironment {
    /// Raises what is too low, pins the harness away from the victim and starts sampling into `dir`.
    pub(crate) fn prepare(
        configuration: &Configuration,
        topology: &Topology,
        needs: &Needs,
        ledger: &Ledger,
        dir: &Path,
        folders: &Folders,
        observer: &mut dyn Observer,
    ) -> Result<Self, EngineError> {
        let background = Arc::<AtomicU32>::default();
        let limits = raise_limits(needs, ledger, observer);
        let places = Places::of(configuration, topology);
        placement::pin_current_thread(&places.harness)
            .map_err(|e| EngineError::Host(format!("pin the harness to CPUs {}: {e}", places.harness)))?;
        let guard = Guard::new(configuration.noise_quanta, &places.measuring, &folders.output.join("noise.jsonl"));
        let sampler = start_sampler(dir, ledger, &places, &background).map_err(|source| EngineError::Folder {
            what: "sample the host into",
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self { limits, guard, sampler: Some(sampler), background })
    }

    /// The count of background instances, for the sampler's column.
    pub(crate) fn background_count(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.background)
    }

    /// The sampler, for keeping it quiet while a trial is timed.
    pub(crate) fn sampler(&self) -> Option<&Sampler> {
        self.sampler.as_ref()
    }

    /// Takes the noise guard's readings, before the first trial and after the last.
    pub(crate) fn measure_noise(&mut self, observer: &mut dyn Observer) {
        let quiet = self.sampler.as_ref().map(Sampler::quiet);
        if let Err(e) = self.guard.measure() {
            observer.notice(&EngineEvent::Preparing(&format!("the noise guard could not measure: {e}")));
        }
        drop(quiet);
    }

    /// Puts everything back and judges the noise.
    pub(crate) fn close(mut self, problems: &mut Vec<String>) -> Option<NoiseGuard> {
        if let Some(Err(e)) = self.sampler.take().map(Sampler::stop) {
            problems.push(format!("sample the host: {e}"));
        }
        if let Some(Err(e)) = self.limits.take().map(RaisedLimits::undo) {
            problems.push(format!("put the host's limits back: {e}"));
        }
        self.guard.judge()
    }
}

/// The facts of the host as they are stored.
pub(crate) fn host_facts(folders: &Folders) -> BTreeMap<String, Value> {
    match serde_json::to_value(HostFacts::survey(&folders.project)) {
        Ok(Value::Object(facts)) => facts.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// Where the run measures, and where the harness keeps out of the way.
struct Places {
    measuring: CpuSet,
    harness: CpuSet,
    sharing: Sharing,
}

impl Places {
    fn of(configuration: &Configuration, topology: &Topology) -> Self {
        let assigned: Vec<_> =
            configuration.placements().iter().filter_map(|&p| placement::assign(topology, p).ok()).collect();
        let harness = placement::assign(topology, Placement::Alone).map(|a| a.harness).unwrap_or_default();
        if configuration.experiment() != Experiment::Isolation || assigned.is_empty() {
            // Nothing is placed, so every CPU measures, and the harness goes where the scheduler puts it.
            return Self {
                measuring: topology.usable.clone(),
                harness: CpuSet::default(),
                sharing: Sharing::MeasuringCore,
            };
        }
        let sets = assigned.iter().flat_map(|a| a.attackers.iter().chain([&a.victim]));
        let measuring = sets.fold(CpuSet::default(), |all, set| all.union(set));
        // A load generator may be anywhere off the victim's core, the harness's own included.
        let drives = configuration.measured().iter().any(|program| program.is_server());
        let apart = !drives && harness.iter().all(|cpu| !measuring.contains(cpu));
        Self { measuring, harness, sharing: if apart { Sharing::OwnCore } else { Sharing::MeasuringCore } }
    }
}

/// What the largest step of the plan needs of the host, on the platform that needs the most.
pub(crate) fn needs(configuration: &Configuration, plan: &Plan, all: &[ResourceCost]) -> Needs {
    let bridged = plan.trials.iter().any(|t| configuration.network_of(t.workload) == Networking::Bridge);
    let instances = plan.trials.iter().map(|t| u64::from(t.background) + u64::from(t.victims)).max().unwrap_or(0);
    let most = |of: fn(&ResourceCost) -> u64| all.iter().map(of).max().unwrap_or(0);
    let own = |resource_cost: &ResourceCost, value: u64| if resource_cost.is_elsewhere { 0 } else { value };
    let most_own = |of: fn(&ResourceCost) -> u64| {
        all.iter().map(|resource_cost| own(resource_cost, of(resource_cost))).max().unwrap_or(0)
    };
    let forks = plan.trials.iter().any(|t| t.attacker == Some(Attacker::Fork));
    // As many attackers as there are CPUs, at the most.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    Needs {
        instances,
        processes_each: most(|resource_cost| resource_cost.tasks),
        own_processes_each: most_own(|resource_cost| resource_cost.tasks),
        processes_more: if forks { cpus * most(|resource_cost| resource_cost.forking) } else { 0 },
        fds_each: FILES_EACH,
        inotify_each: most(|resource_cost| resource_cost.inotify),
        neighbors_each: if bridged { most(|resource_cost| resource_cost.neighbours) } else { 0 },
        memory_each: Bytes(most(|resource_cost| resource_cost.memory.0)),
        own_memory_each: Bytes(most_own(|resource_cost| resource_cost.memory.0)),
    }
}

/// Raises what is too low for `needs`; tells what stays too low, with the cure.
fn raise_limits(needs: &Needs, ledger: &Ledger, observer: &mut dyn Observer) -> Option<RaisedLimits> {
    let root = Path::new("/");
    let shortfalls = limits::check(&Limits::read(root), needs);
    let (raisable, fixed): (Vec<Shortfall>, Vec<Shortfall>) =
        shortfalls.into_iter().partition(|shortfall| shortfall.raisable.is_some());
    for short in &fixed {
        tell(observer, short);
    }
    let changes = limits::plan(root, &raisable);
    let written = changes.iter().try_for_each(|change| ledger.record(&Resource::Setting(change.clone())));
    match written.and_then(|()| RaisedLimits::raise(&raisable, changes)) {
        Ok(raised) => Some(raised),
        Err(e) => {
            observer.notice(&EngineEvent::Preparing(&format!("warning: limits stay as they are: {e}")));
            raisable.iter().for_each(|short| tell(observer, short));
            None
        }
    }
}

fn tell(observer: &mut dyn Observer, short: &Shortfall) {
    let Shortfall { what, have, need, cure, .. } = short;
    let text = format!("warning: {what} is {have}, and this run may need {need}; {cure}");
    observer.notice(&EngineEvent::Preparing(&text));
}

fn start_sampler(dir: &Path, ledger: &Ledger, places: &Places, background: &Arc<AtomicU32>) -> io::Result<Sampler> {
    let series = dir.join("series");
    fs::create_dir_all(&series)?;
    Sampler::start(SamplerConfig {
        proc: PathBuf::from("/proc"),
        file: series.join("host.csv"),
        period: PERIOD,
        cpus: places.harness.clone(),
        sharing: places.sharing,
        background: Arc::clone(background),
        extra: vec![group_columns(&ledger.run().name())],
    })
}

/// What the kernel books on the run's own group, all instances together; empty cells where there is none.
fn group_columns(run: &str) -> Columns {
    let hierarchies = Hierarchies::read(Path::new("/")).ok().map(Arc::new);
    let group = hierarchies.map(|h| h.group(Path::new(run)));
    Columns::new(&["run_cgroup_memory_bytes"], move || {
        vec![group.as_ref().and_then(|group| group.charge()).map(|bytes| bytes.0)]
    })
}

/// The noise guard of one run.
#[derive(Debug)]
struct Guard {
    quanta: u32,
    cpus: Vec<u32>,
    /// The host's own readings over time, the judge's baseline.
    history: PathBuf,
    readings: Vec<Vec<NoiseReading>>,
}

impl Guard {
    fn new(quanta: u32, cpus: &CpuSet, history: &Path) -> Self {
        let cpus = cpus.iter().take(MAX_GUARDED).collect();
        Self { quanta, cpus, history: history.to_owned(), readings: Vec::new() }
    }

    fn measure(&mut self) -> io::Result<()> {
        if self.quanta == 0 {
            return Ok(());
        }
        let past = noise::load(&self.history)?;
        let reading = |&cpu: &u32| {
            let known = Baseline::of(cpu, &past).map(|b| b.iterations);
            let earlier = self.readings.iter().flatten().find(|r| r.cpu == cpu).map(|r| r.iterations);
            let iterations = known.or(earlier).map_or_else(|| noise::calibrate(cpu, noise::QUANTUM), Ok)?;
            noise::measure(cpu, &FwqConfig { quanta: self.quanta, iterations })
        };
        let readings = self.cpus.iter().map(reading).collect::<Result<Vec<_>, noise::NoiseError>>()?;
        self.readings.push(readings);
        Ok(())
    }

    /// Judges what was read by the host's past, and adds it to that past. `None` when nothing was read.
    fn judge(self) -> Option<NoiseGuard> {
        let past = noise::load(&self.history).unwrap_or_default();
        let baselines: Vec<_> = self.cpus.iter().filter_map(|&cpu| Baseline::of(cpu, &past)).collect();
        let mut readings = self.readings.into_iter();
        let before = readings.next()?;
        let after = readings.next().unwrap_or_default();
        let verdict = noise::judge(&before, &after, &baselines);
        // A past that cannot be written is a past that stays as it is.
        let _ = noise::append(&self.history, &before).and_then(|()| noise::append(&self.history, &after));
        let (invalid, unjudged) = match verdict {
            Verdict::Valid => (Vec::new(), None),
            Verdict::Invalid { reasons } => (reasons, None),
            Verdict::Unjudged { reason } => (Vec::new(), Some(reason)),
        };
        Some(NoiseGuard { before, after, invalid, unjudged })
    }
}
