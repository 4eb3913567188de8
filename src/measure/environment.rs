//! The environment of trials: the host's facts, its limits, the noise guard and the sampler.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use serde_json::Value;

use crate::host::cgroup::Hierarchies;
use crate::host::folders::Folders;
use crate::host::ledger::{Ledger, Resource};
use crate::host::limits::{self, Limits, Needs, RaisedLimits, Shortfall};
use crate::host::noise::{self, Baseline, FwqConfig, NoiseReading, Verdict};
use crate::host::placement;
use crate::host::sampler::{Columns, Sampler, SamplerConfig, Sharing};
use crate::host::{HostFacts, Topology};
use crate::measure::plan::Plan;
use crate::measure::{Event, Observer, RunError};
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

/// The noise guard takes two seconds per CPU for 20,000 quanta, so on a large host a few CPUs represent all.
const MAX_GUARDED: usize = 8;

/// Files that the harness keeps open for one instance: its output, its process and its exit notice.
const FILES_EACH: u64 = 3;

/// The environment of a run, or of one stage of a session.
#[derive(Debug)]
pub(crate) struct RunEnvironment {
    /// `None` where the limits could not be raised.
    limits: Option<RaisedLimits>,
    guard: NoiseMonitor,
    sampler: Sampler,
}

/// What an environment is prepared from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EnvironmentSpec<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) topology: &'a Topology,
    pub(crate) needs: &'a Needs,
    pub(crate) ledger: &'a Ledger,
    /// The folder of the run or session, which receives the samples.
    pub(crate) dir: &'a Path,
    pub(crate) folders: &'a Folders,
    /// Counts the background instances, for a column of the samples.
    pub(crate) background: &'a Arc<AtomicU32>,
}

impl RunEnvironment {
    /// Raises limits that are too low, pins the harness away from the victim and starts the sampler.
    ///
    /// # Errors
    /// When the harness cannot be pinned, or the samples cannot be written.
    pub(crate) fn prepare(spec: EnvironmentSpec<'_>, observer: &mut dyn Observer) -> Result<Self, RunError> {
        let EnvironmentSpec { configuration, topology, needs, ledger, dir, folders, background } = spec;
        let limits = raise_limits(needs, ledger, observer);
        let places = Places::new(configuration, topology);
        placement::pin_current_thread(&places.harness)?;
        let history = folders.output.join("noise.jsonl");
        let guard = NoiseMonitor::new(configuration.noise_quanta, &places.measuring, &history);
        let sampler = start_sampler(dir, ledger, &places, background).map_err(|source| {
            let action = "write the host's samples into";
            RunError::Folder { action, path: dir.to_owned(), source }
        })?;
        Ok(Self { limits, guard, sampler })
    }

    /// The sampler, which stays quiet while a trial is timed.
    pub(crate) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Measures the noise, before the first trial and after the last.
    pub(crate) fn measure_noise(&mut self, observer: &mut dyn Observer) {
        let quiet = self.sampler.quiet();
        if let Err(e) = self.guard.measure() {
            observer.notice(&Event::Preparing(&format!("warning: failed to measure the host's noise: {e}")));
        }
        drop(quiet);
    }

    /// Stops the sampler, restores the limits and judges the noise.
    pub(crate) fn close(self, problems: &mut Vec<String>) -> Option<NoiseGuard> {
        if let Err(e) = self.sampler.stop() {
            problems.push(format!("failed to sample the host: {e}"));
        }
        if let Some(Err(e)) = self.limits.map(RaisedLimits::undo) {
            problems.push(format!("failed to restore the host's limits: {e}"));
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

/// The CPUs that measure, and those of the harness.
struct Places {
    measuring: CpuSet,
    harness: CpuSet,
    sharing: Sharing,
}

impl Places {
    fn new(configuration: &Configuration, topology: &Topology) -> Self {
        let assigned: Vec<_> =
            configuration.placements().iter().filter_map(|&p| placement::assign(topology, p).ok()).collect();
        let harness = placement::assign(topology, Placement::Alone).map(|a| a.harness).unwrap_or_default();
        if configuration.experiment() != Experiment::Isolation || assigned.is_empty() {
            // Nothing is pinned, so every CPU measures, and the scheduler places the harness.
            return Self {
                measuring: topology.usable.clone(),
                harness: CpuSet::default(),
                sharing: Sharing::MeasuringCore,
            };
        }
        let sets = assigned.iter().flat_map(|a| a.attackers.iter().chain([&a.victim]));
        let measuring = sets.fold(CpuSet::default(), |all, set| all.union(set));
        // A load generator may run anywhere but on the victim's core, even on the harness's.
        let drives = configuration.measured().iter().any(|program| program.is_server());
        let apart = !drives && harness.iter().all(|cpu| !measuring.contains(cpu));
        Self { measuring, harness, sharing: if apart { Sharing::OwnCore } else { Sharing::MeasuringCore } }
    }
}

/// What the largest trial needs from the host, on the platform that needs the most.
pub(crate) fn needs(configuration: &Configuration, plan: &Plan, costs: &[ResourceCost]) -> Needs {
    let bridged = plan.trials.iter().any(|t| configuration.network_of(t.workload) == Networking::Bridge);
    let instances = plan.trials.iter().map(|t| u64::from(t.background) + u64::from(t.victims)).max().unwrap_or(0);
    let most = |part: fn(&ResourceCost) -> u64| costs.iter().map(part).max().unwrap_or(0);
    let most_own = |part: fn(&ResourceCost) -> u64| {
        let own = costs.iter().filter(|cost| !cost.is_elsewhere);
        own.map(part).max().unwrap_or(0)
    };
    let forks = plan.trials.iter().any(|t| t.attacker == Some(Attacker::Fork));
    // There are at most as many attackers as CPUs.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    Needs {
        instances,
        processes_each: most(|cost| cost.tasks),
        own_processes_each: most_own(|cost| cost.tasks),
        processes_more: if forks { cpus * most(|cost| cost.forking) } else { 0 },
        fds_each: FILES_EACH,
        inotify_each: most(|cost| cost.inotify),
        neighbors_each: if bridged { most(|cost| cost.neighbors) } else { 0 },
        memory_each: Bytes(most(|cost| cost.memory.0)),
        own_memory_each: Bytes(most_own(|cost| cost.memory.0)),
    }
}

/// Raises what is too low for `needs`; warns of what stays too low, with the cure.
fn raise_limits(needs: &Needs, ledger: &Ledger, observer: &mut dyn Observer) -> Option<RaisedLimits> {
    let root = Path::new("/");
    let shortfalls = limits::check(&Limits::read(root), needs);
    let (raisable, fixed): (Vec<Shortfall>, Vec<Shortfall>) =
        shortfalls.into_iter().partition(|shortfall| shortfall.raisable.is_some());
    fixed.iter().for_each(|shortfall| warn(observer, shortfall));
    let changes = limits::plan(root, &raisable);
    let written = changes.iter().try_for_each(|change| ledger.record(&Resource::Setting(change.clone())));
    match written.and_then(|()| RaisedLimits::raise(&raisable, changes)) {
        Ok(raised) => Some(raised),
        Err(e) => {
            observer.notice(&Event::Preparing(&format!("warning: failed to raise the host's limits: {e}")));
            raisable.iter().for_each(|shortfall| warn(observer, shortfall));
            None
        }
    }
}

fn warn(observer: &mut dyn Observer, shortfall: &Shortfall) {
    let Shortfall { what, have, need, cure, .. } = shortfall;
    observer.notice(&Event::Preparing(&format!("warning: {what} is {have}, and this run may need {need}; {cure}")));
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

/// The kernel's memory charge of the run's own control group, all instances together; empty cells without one.
fn group_columns(run: &str) -> Columns {
    let hierarchies = Hierarchies::read(Path::new("/")).ok().map(Arc::new);
    let group = hierarchies.map(|h| h.group(Path::new(run)));
    Columns::new(&["run_cgroup_memory_bytes"], move || {
        vec![group.as_ref().and_then(|group| group.charge()).map(|bytes| bytes.0)]
    })
}

/// Reads the noise of the measuring CPUs and judges it.
#[derive(Debug)]
struct NoiseMonitor {
    quanta: u32,
    cpus: Vec<u32>,
    /// The file of this host's earlier readings, which the judge compares with.
    history: PathBuf,
    readings: Vec<Vec<NoiseReading>>,
}

impl NoiseMonitor {
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

    /// Judges the readings by the host's earlier ones, and adds them to the history. `None` without readings.
    fn judge(self) -> Option<NoiseGuard> {
        let past = noise::load(&self.history).unwrap_or_default();
        let baselines: Vec<_> = self.cpus.iter().filter_map(|&cpu| Baseline::of(cpu, &past)).collect();
        let mut readings = self.readings.into_iter();
        let before = readings.next()?;
        let after = readings.next().unwrap_or_default();
        let verdict = noise::judge(&before, &after, &baselines);
        // A history that cannot be written costs later runs a reading, not this run its result.
        let _ = noise::append(&self.history, &before).and_then(|()| noise::append(&self.history, &after));
        let (invalid, unjudged) = match verdict {
            Verdict::Valid => (Vec::new(), None),
            Verdict::Invalid { reasons } => (reasons, None),
            Verdict::Unjudged { reason } => (Vec::new(), Some(reason)),
        };
        Some(NoiseGuard { before, after, invalid, unjudged })
    }
}
