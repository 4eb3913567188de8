//! Whole sessions on the fake platform: what they find, how they fail, how they continue.

mod evaluator;
mod resumption;
mod stored;
mod verdicts;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::arm_runner::TestHook;
use super::*;
use crate::compare::rule::{Comparison, Line, Stage, Verdict};
use crate::guest::Image;
use crate::host::clock::Clock;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger;
use crate::model::configuration::Configuration;
use crate::model::exit::Exit;
use crate::model::platform::{Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::platform::arm::Arm;
use crate::platform::fake::{FakePlatform, Script};
use crate::platform::load_generator::LoadGenerator;
use crate::platform::{BootArtifact, Context, Error, Instance, LaunchSpec, Platform, registry};
use crate::store::RunOutcome;
use crate::store::testing::run_file;

/// The folders and the interrupt of one test's sessions.
struct Fixture {
    dir: tempfile::TempDir,
    interrupt: Interrupt,
}

/// A session that ended: its summary and what it stored.
struct Ran {
    summary: Summary,
    stored: StoredSession,
}

impl Fixture {
    fn new() -> Self {
        // Every trial is synced: in memory that costs nothing.
        let shared = PathBuf::from("/dev/shm");
        let dir = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
        Self { dir: dir.expect("a folder"), interrupt: Interrupt::new().expect("an eventfd") }
    }

    /// The same folders, and no interrupt.
    fn again(self) -> Self {
        Self { interrupt: Interrupt::new().expect("an eventfd"), ..self }
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

    fn new_session(&self, question: Question) -> SessionRequest {
        SessionRequest::New { question: Box::new(question), out: self.folders().comparisons() }
    }

    fn resume(&self, name: &str) -> SessionRequest {
        SessionRequest::Resume { name: name.to_owned(), sessions: self.folders().comparisons() }
    }

    /// Opens and runs on a new thread, since a session pins its thread.
    fn try_run(&self, request: SessionRequest, hook: TestHook, limit: Option<Duration>) -> Result<Summary, AbError> {
        let run = || {
            let session = Session::open_with_hook(
                request,
                self.folders(),
                self.interrupt.clone(),
                vec!["test".to_owned()],
                hook,
            )?;
            session.run(limit, &mut ())
        };
        let ended = std::thread::scope(|scope| scope.spawn(run).join().expect("no panic"));
        assert!(ledger::list(&self.folders().state).expect("listed").is_empty(), "every ledger is gone");
        ended
    }

    fn run_with_hook(&self, request: SessionRequest, hook: TestHook) -> Ran {
        let summary = self.try_run(request, hook, None).expect("it begins");
        assert!(summary.problems.is_empty() && summary.leftovers.is_empty(), "{:?}", summary.problems);
        let stored = read_session(&summary.dir).expect("it is readable");
        assert_eq!(stored.file, summary.file);
        Ran { summary, stored }
    }

    fn run(&self, question: Question) -> Ran {
        self.run_with_hook(self.new_session(question), TestHook::default())
    }
}

impl Ran {
    fn comparison(&self) -> &Comparison {
        self.summary.file.comparison.as_ref().expect("it is judged")
    }

    fn line(&self, metric: &str) -> &Line {
        self.comparison().lines.iter().find(|line| line.metric == metric).expect("it has the metric")
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.comparison().lines.iter().map(|line| line.decision.verdict).collect()
    }

    fn reason(&self, metric: &str) -> &str {
        self.line(metric).decision.reason.as_deref().expect("it has a reason")
    }

    /// The arms of every complete block, in the order of measuring.
    fn orders(&self) -> Vec<((String, Stage, u32), Vec<ArmId>)> {
        let arms = |trials: Vec<&AbTrial>| trials.into_iter().map(|trial| trial.arm).collect();
        self.stored.blocks().into_iter().map(|(key, trials)| (key, arms(trials))).collect()
    }
}

/// A question about the boot time of `a` and `b`, with blocks of one run.
fn question(a: &str, b: &str) -> Question {
    let arm = |text: &str| text.parse::<Arm>().expect("an arm");
    Question {
        a: arm(a),
        b: arm(b),
        configuration: run_file().configuration.changed(|c| c.ladder = vec![0]),
        metrics: MetricSelection::Headline,
        overrides: RuleOverrides { runs: Some(1), blocks: Some(12), tolerance: None },
        null_control: true,
        record: None,
    }
}

/// Replaces platforms of arms.
fn replaced(
    with: impl Fn(ArmId, Stage, &Context, Box<dyn Platform>) -> Box<dyn Platform> + Send + Sync + 'static,
) -> TestHook {
    TestHook(Arc::new(with))
}

/// Runs the arm `replaced_arm` on a platform whose launches of these numbers fail.
fn failing(replaced_arm: ArmId, launches: impl Fn(u64) -> bool + Send + Sync + 'static) -> TestHook {
    replaced(move |which, _, context, platform| {
        let fail_launch = (0..1_000).filter(|&launch| launches(launch)).collect();
        match which == replaced_arm {
            true => Box::new(FakePlatform::scripted(context, Script { fail_launch, ..Script::default() })),
            false => platform,
        }
    })
}

type Alteration = dyn Fn(u64, &mut LaunchSpec) + Send + Sync;

/// A platform that counts its launches and lets a test change each one by its number.
struct AlteredPlatform {
    platform: Box<dyn Platform>,
    launches: Arc<AtomicU64>,
    with: Arc<Alteration>,
    /// The digest of what it boots.
    made: Option<String>,
}

impl std::fmt::Debug for AlteredPlatform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.platform.fmt(f)
    }
}

/// Runs all arms on platforms that count their launches together and pass each number to `with`.
fn altered(with: impl Fn(u64, &mut LaunchSpec) + Send + Sync + 'static) -> TestHook {
    let launches = Arc::<AtomicU64>::default();
    let with: Arc<Alteration> = Arc::new(with);
    replaced(move |_, _, _, platform| {
        Box::new(AlteredPlatform { platform, launches: Arc::clone(&launches), with: Arc::clone(&with), made: None })
    })
}

/// Platforms that boot something else in each stage.
fn made_anew() -> TestHook {
    replaced(|_, stage, _, platform| {
        let made = Some(format!("made in the {stage:?}"));
        Box::new(AlteredPlatform { platform, launches: Arc::default(), with: Arc::new(|_, _| {}), made })
    })
}

impl Platform for AlteredPlatform {
    fn id(&self) -> &PlatformId {
        self.platform.id()
    }
    fn capabilities(&self) -> Capabilities {
        self.platform.capabilities()
    }
    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        self.platform.check()
    }
    fn clock(&self) -> &dyn Clock {
        self.platform.clock()
    }
    fn prepare(&self, image: &Image) -> Result<(), Error> {
        self.platform.prepare(image)
    }
    fn boot_artifact(&self, image: &Image) -> BootArtifact {
        let made = self.platform.boot_artifact(image);
        BootArtifact { digest: self.made.clone().unwrap_or(made.digest), ..made }
    }
    fn load_generator(&self) -> Option<&dyn LoadGenerator> {
        self.platform.load_generator()
    }
    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        let mut spec = spec.clone();
        (self.with)(self.launches.fetch_add(1, Ordering::SeqCst), &mut spec);
        self.platform.launch(&spec)
    }
}

/// Runs the arm `replaced_arm` with `inject`.
fn injected(replaced_arm: ArmId, inject: &'static str) -> TestHook {
    replaced(move |which, _, context, platform| {
        if which != replaced_arm {
            return platform;
        }
        let mut arm = Arm::plain(platform.id().clone());
        arm.set("inject", inject).expect("it can be injected");
        registry::open(&arm.platform, &context.with_settings(&arm.settings)).expect("it opens")
    })
}
