//! `cargo bench --package featherweight --bench micro`: the cost of the harness itself, measured by criterion.
//!
//! It measures no platform. A slower harness shows up here before it shows up in measurements.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use clap::Parser;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use featherweight::cli::{self, Options};
use featherweight::compare::live::MetricSelection;
use featherweight::compare::rule::Rule;
use featherweight::compare::stored::{Past, Question, compare};
use featherweight::guest::{self, Image};
use featherweight::host::folders::Folders;
use featherweight::host::interrupt::Interrupt;
use featherweight::host::ledger::Ledger;
use featherweight::host::sampler::{HostReading, Sampler, SamplerConfig, Sharing};
use featherweight::measure::plan::{self, HostSupport};
use featherweight::model::configuration::Configuration;
use featherweight::model::cpuset::CpuSet;
use featherweight::model::platform::{Accelerator, Capabilities, Networking};
use featherweight::model::program::Program;
use featherweight::model::record::{Experiment, TrialRecord};
use featherweight::model::run::RunId;
use featherweight::platform::{Context, LaunchSpec, Milestone, Platform, Purpose, fake, launcher_entry, registry};
use featherweight::report::model::Report;
use featherweight::stats::{self, Sample};
use featherweight::store::{StoredRun, TRIALS_FILE, Writer, list_runs, read_run, read_values};

/// The number of trials in a long study of several platforms.
const MANY: u64 = 100_000;

fn main() {
    launcher_entry();
    let mut criterion = Criterion::default().configure_from_args();
    launches(&mut criterion);
    sampling(&mut criterion);
    storing(&mut criterion);
    comparing(&mut criterion);
    planning_and_reporting(&mut criterion);
    criterion.final_summary();
}

/// From `launch` to the removal of the instance, one after another. On `fake`, this is the harness's share.
fn launches(criterion: &mut Criterion) {
    let folders = Folders::from_env();
    let mut group = criterion.benchmark_group("launch to gone");
    group.sample_size(20).measurement_time(Duration::from_secs(8));
    for id in ["fake", "native", "youki"] {
        match Fixture::open(id, &folders) {
            Ok(fixture) => drop(group.bench_function(id, |bencher| bencher.iter(|| fixture.run_hello()))),
            Err(why) => eprintln!("skipped: {id}: {why}"),
        }
    }
    group.finish();
}

/// A platform with what a launch needs.
struct Fixture {
    platform: Option<Box<dyn Platform>>,
    ledger: Arc<Ledger>,
    hello: Image,
}

impl Fixture {
    fn open(id: &str, folders: &Folders) -> Result<Self, String> {
        let ledger = Arc::new(
            Ledger::open(&folders.state, &RunId::generate(), featherweight::platform::reap_engines)
                .map_err(|e| e.to_string())?,
        );
        let interrupt = Interrupt::new().map_err(|e| e.to_string())?;
        let context = Context::new(Arc::clone(&ledger), interrupt);
        let mut fixture = Self { platform: None, ledger, hello: fake::image(Program::Hello) };
        let id = id.parse().map_err(|e| format!("{e}"))?;
        let platform = registry::open(&id, &context).map_err(|e| e.to_string())?;
        platform.check().map_err(|e| e.to_string())?;
        if !platform.capabilities().simulated {
            let images = guest::ensure(folders, &[Program::Hello], &mut |_| {}).map_err(|e| e.to_string())?;
            fixture.hello = images.into_iter().next().ok_or("guest not built")?;
        }
        platform.prepare(&fixture.hello).map_err(|e| e.to_string())?;
        fixture.platform = Some(platform);
        Ok(fixture)
    }

    fn run_hello(&self) {
        let platform = self.platform.as_deref().expect("open sets it");
        let spec = LaunchSpec {
            name: self.ledger.instance_name(),
            image: self.hello.clone(),
            arguments: Vec::new(),
            cpus: None,
            limits: None,
            memory: None,
            network: Networking::None,
            purpose: Purpose::Measured,
            deadline: Duration::from_secs(60),
        };
        let deadline = platform.clock().now() + Duration::from_secs(60).into();
        let mut instance = platform.launch(&spec).expect("launch succeeds");
        instance.wait_for(Milestone::Exit, deadline).expect("the guest exits");
        black_box(instance.stop().expect("stop succeeds"));
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.platform = None;
        if let Err(e) = self.ledger.close() {
            eprintln!("error: failed to clean up: {e}");
        }
    }
}

/// The cost of sampling the host: a reading alone, and a sampler from its start to its end with one line.
fn sampling(criterion: &mut Criterion) {
    let dir = scratch();
    let mut group = criterion.benchmark_group("sampler");
    group.bench_function("host reading", |bencher| bencher.iter(|| HostReading::read(Path::new("/proc"))));
    group.bench_function("start, one line, stop", |bencher| {
        bencher.iter(|| {
            let config = SamplerConfig {
                proc: PathBuf::from("/proc"),
                file: dir.path().join("host.csv"),
                period: Duration::from_secs(3600),
                cpus: CpuSet::default(),
                sharing: Sharing::OwnCore,
                background: Arc::<AtomicU32>::default(),
                extra: Vec::new(),
            };
            Sampler::start(config).and_then(Sampler::stop).expect("sampling succeeds")
        });
    });
    group.finish();
}

/// The store: writing and syncing a trial, and reading a large run.
fn storing(criterion: &mut Criterion) {
    let stored = stored_runs();
    let record = stored[0].trials[0].clone();
    let mut group = criterion.benchmark_group("store");

    let dir = scratch();
    let mut writer = Writer::open(dir.path()).expect("a run's folder");
    group.sample_size(50);
    group.bench_function("append a trial and sync", |bencher| {
        bencher.iter(|| writer.append(&record).expect("there is room"));
    });

    let dir = scratch();
    write_large_run(dir.path(), &stored[0], MANY);
    group.sample_size(10).measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(MANY));
    group.bench_function(BenchmarkId::new("read a run", MANY), |bencher| {
        bencher.iter(|| read_run(dir.path()).expect("the run is readable"));
    });
    group.finish();
}

/// Reading two stored runs with [`MANY`] trials in total and comparing all metrics. The runs are kept, to measure memory
/// with `/usr/bin/time -v target/release/xtask compare target/tmp/compare/a target/tmp/compare/b --metric all`.
fn comparing(criterion: &mut Criterion) {
    let stored = stored_runs();
    let sides = ["a", "b"].map(|side| Path::new(env!("CARGO_TARGET_TMPDIR")).join("compare").join(side));
    for dir in &sides {
        fs::create_dir_all(dir).expect("the target folder can be written");
        write_large_run(dir, &stored[0], MANY / 2);
    }
    let past = Past::default();
    let question = Question { rule: Rule::DEFAULT, metrics: MetricSelection::All, past: &past };
    let mut group = criterion.benchmark_group("compare");
    group.sample_size(10).measurement_time(Duration::from_secs(10)).throughput(Throughput::Elements(MANY));
    group.bench_function(BenchmarkId::new("two stored runs", MANY), |bencher| {
        bencher.iter(|| {
            let [a, b] = [0, 1].map(|side: usize| read_values(&sides[side]).expect("the run is readable"));
            let compared = compare(("a", &a), ("b", &b), &question).comparison;
            assert!(!compared.lines.is_empty(), "{:?}", compared.not_comparable);
            compared
        });
    });
    group.finish();
}

fn planning_and_reporting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pure");
    for experiment in [Experiment::Boot, Experiment::Isolation] {
        let configuration = paper(experiment);
        let host_support = full_support(&configuration);
        group.bench_function(BenchmarkId::new("plan, paper profile", experiment), |bencher| {
            bencher.iter(|| plan::build(&configuration, &host_support));
        });
    }
    group.bench_function(BenchmarkId::new("summarise values", MANY), |bencher| {
        let values: Vec<f64> = (0..MANY).map(|i| (i.wrapping_mul(2_654_435_761) % 1_000_003) as f64).collect();
        let summarize = |values| stats::summarize(&Sample::new(values).expect("finite values"));
        bencher.iter_batched(|| values.clone(), summarize, BatchSize::LargeInput);
    });
    group.sample_size(20);
    let stored = stored_runs();
    group.bench_function("report model, the frozen runs", |bencher| bencher.iter(|| Report::of(&stored, &[])));
    group.finish();
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder can be written")
}

/// The small runs of the repository, one for each experiment.
fn stored_runs() -> Vec<StoredRun> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs");
    let runs: Vec<_> = list_runs(&dir).iter().map(|dir| read_run(dir).expect("the run is readable")).collect();
    assert!(!runs.is_empty(), "no runs in {}", dir.display());
    runs
}

/// Writes a run of `trials` trials like those of `model`, with different values. It does not sync each trial, which would
/// take minutes.
fn write_large_run(dir: &Path, model: &StoredRun, trials: u64) {
    Writer::open(dir).and_then(|writer| writer.describe(&model.file)).expect("a run's folder");
    let mut file = BufWriter::new(File::create(dir.join(TRIALS_FILE)).expect("a file"));
    for (order, trial) in (0..trials).zip(model.trials.iter().cycle()) {
        let mut record = TrialRecord { order, trial: order as u32, ..trial.clone() };
        let stretch = 1.0 + (order.wrapping_mul(2_654_435_761) % 1_000_003) as f64 / 1e7;
        record.metrics.iter_mut().for_each(|metric| metric.value *= stretch);
        let line = serde_json::to_string(&record).expect("a record is text");
        writeln!(file, "{line}").expect("there is room");
    }
    file.flush().expect("there is room");
    let size = fs::metadata(dir.join(TRIALS_FILE)).map_or(0, |file| file.len());
    eprintln!("a run of {trials} trials, {} MiB", size >> 20);
}

fn paper(experiment: Experiment) -> Configuration {
    let options = Options::parse_from(["micro", "--profile", "paper"]);
    cli::resolve(experiment, &options, 1).expect("the paper profile is valid")
}

/// A host that supports the whole configuration.
fn full_support(configuration: &Configuration) -> HostSupport {
    let capabilities = Capabilities {
        accelerator: Accelerator::None,
        fork: true,
        limits: true,
        launch_concurrency: 2,
        host_processes: true,
        network: true,
        own_memory: false,
        simulated: true,
    };
    HostSupport {
        platforms: configuration.platforms.iter().map(|id| (id.clone(), Ok(capabilities))).collect(),
        placements: configuration.placements().iter().map(|&placement| (placement, Ok(()))).collect(),
        workloads: Vec::new(),
    }
}
