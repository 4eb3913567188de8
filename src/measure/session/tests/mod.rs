//! Whole runs on the fake platform: what they measure, how they fail, how they continue.

mod failures;
mod numbers;
mod resumption;
mod servers;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::guest::Image;
use crate::host::clock::Clock;
use crate::host::{ledger, placement};
use crate::model::placement::Placement;
use crate::model::platform::{Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::record::{Outcome, Role, TrialRecord};
use crate::platform::fake::{FakePlatform, Script};
use crate::platform::load_generator::LoadGenerator;
use crate::platform::{Instance, LaunchSpec, Platform};
use crate::store::list_runs;
use crate::store::testing::run_file;

/// The folders and the interrupt of one test's runs.
struct Fixture {
    dir: tempfile::TempDir,
    interrupt: Interrupt,
}

/// A run that ended.
struct Ran {
    summary: RunSummary,
    stored: StoredRun,
    fake: Arc<Fake>,
}

/// A fake platform that the test can inspect while the session owns a handle to it.
#[derive(Debug)]
struct Fake {
    platform: FakePlatform,
    sleepers: AtomicUsize,
    /// The launched instances, in order.
    launched: Mutex<Vec<LaunchSpec>>,
}

/// The session's handle to the fake platform.
#[derive(Debug)]
struct Handle(Arc<Fake>);

/// Called after each trial with the platform and the record.
type Watch<'a> = &'a mut (dyn FnMut(&Fake, &TrialRecord) + Send);

struct AfterEachTrial<'a> {
    fake: Arc<Fake>,
    watch: Watch<'a>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { dir, interrupt: Interrupt::new().expect("an eventfd") }
    }

    fn folders(&self) -> Folders {
        let within = |name| self.dir.path().join(name);
        Folders {
            project: within("project"),
            output: within("output"),
            state: within("state"),
            images: Default::default(),
        }
    }

    fn new_run(&self, configuration: Configuration) -> RunRequest {
        RunRequest::New { configuration: Box::new(configuration), out: self.folders().runs(), confirms: None }
    }

    fn resume(&self, experiment: Experiment, name: impl Into<String>) -> RunRequest {
        RunRequest::Resume { experiment, name: name.into(), runs: self.folders().runs() }
    }

    /// Opens the request on a new thread: a run pins its thread, and the next must not inherit that.
    fn open(&self, request: RunRequest) -> Result<Session, RunError> {
        let open = || Session::open(request, self.folders(), self.interrupt.clone(), vec!["test".to_owned()]);
        std::thread::scope(|scope| scope.spawn(open).join().expect("no panic"))
    }

    /// Opens and runs the request on a fake platform with that script.
    fn run(&self, request: RunRequest, script: Script, watch: Watch<'_>) -> Ran {
        let Session { rig, run } = self.open(request).expect("the run can begin");
        let (sender, receiver) = std::sync::mpsc::channel();
        let rig = rig.with_platforms(|context, _| {
            let platform = FakePlatform::scripted(context, script.clone());
            let fake = Arc::new(Fake { platform, sleepers: AtomicUsize::new(0), launched: Mutex::default() });
            sender.send(Arc::clone(&fake)).expect("the test receives it");
            Box::new(Handle(fake))
        });
        let fake = receiver.recv().expect("the run has one platform");
        let mut observer = AfterEachTrial { fake: Arc::clone(&fake), watch };
        let session = Session { rig, run };
        let run = || session.run(&mut observer).expect("the run begins");
        let summary = std::thread::scope(|scope| scope.spawn(run).join().expect("no panic"));
        assert!(ledger::list(&self.folders().state).expect("listed").is_empty(), "the ledger is gone");
        assert_eq!((summary.leftovers.clone(), fake.platform.living()), (Leftovers::default(), 0), "nothing is left");
        Ran { stored: read_run(&summary.dir).expect("the run is readable"), summary, fake }
    }

    /// A run without failures.
    fn plain(&self, configuration: Configuration) -> Ran {
        self.run(self.new_run(configuration), Script::default(), &mut |_, _| {})
    }

    /// Runs until `count` trials are recorded, then raises the interrupt.
    fn interrupted_after(&self, request: RunRequest, count: usize) -> Ran {
        let (interrupt, mut seen) = (self.interrupt.clone(), 0);
        let mut raise = |_: &Fake, _: &TrialRecord| {
            seen += 1;
            if seen == count {
                interrupt.raise();
            }
        };
        self.run(request, Script::default(), &mut raise)
    }

    /// The same folders, and no interrupt.
    fn again(self) -> Self {
        Self { interrupt: Interrupt::new().expect("an eventfd"), ..self }
    }
}

impl Ran {
    fn orders(&self) -> Vec<u64> {
        self.stored.trials.iter().map(|trial| trial.order).collect()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.stored.trials.iter().map(|trial| trial.outcome).collect()
    }

    /// The reason of the trial of that order.
    fn reason(&self, order: usize) -> &str {
        self.stored.trials[order].reason.as_deref().expect("it has a reason")
    }

    /// The values of a metric, grouped by `key`.
    fn values<K: Ord>(&self, metric: &str, key: impl Fn(&TrialRecord) -> K) -> BTreeMap<K, Vec<f64>> {
        let mut values = BTreeMap::<K, Vec<f64>>::new();
        for trial in &self.stored.trials {
            values.entry(key(trial)).or_default().extend(trial.metric(metric));
        }
        values
    }
}

impl Observer for AfterEachTrial<'_> {
    fn notice(&mut self, event: &Event<'_>) {
        if let Event::TrialEnded(_, record) = event {
            (self.watch)(&self.fake, record);
        }
    }
}

impl Platform for Handle {
    fn id(&self) -> &PlatformId {
        self.0.platform.id()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.platform.capabilities()
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        self.0.platform.check()
    }

    fn clock(&self) -> &dyn Clock {
        self.0.platform.clock()
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        self.0.platform.prepare(image)
    }

    fn load_generator(&self) -> Option<&dyn LoadGenerator> {
        self.0.platform.load_generator()
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        self.0.sleepers.fetch_add(usize::from(spec.image.program == Program::Sleep), Ordering::SeqCst);
        self.0.launched.lock().expect("nobody panicked").push(spec.clone());
        self.0.platform.launch(spec)
    }
}

/// A small run on the fake platform: one ladder without background, two victims' isolation where it applies.
fn configuration(experiment: Experiment) -> Configuration {
    let isolation = experiment == Experiment::Isolation;
    run_file().configuration.changed(|c| {
        c.experiment = experiment;
        c.attackers = if isolation { vec!["prime".parse().expect("an attacker")] } else { Vec::new() };
        c.placements = if isolation { vec![Placement::SameThread] } else { Vec::new() };
        c.ladder = if isolation { Vec::new() } else { vec![0] };
        c.rows = 1_000;
    })
}
