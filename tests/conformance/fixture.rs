//! A contract's environment: a fresh run with one platform, and the guest images.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use featherweight::guest::{self, GuestLine, Image};
use featherweight::host::folders::Folders;
use featherweight::host::interrupt::Interrupt;
use featherweight::host::ledger::{Ledger, Leftovers};
use featherweight::host::network::RunNetwork;
use featherweight::model::platform::{Networking, PlatformId};
use featherweight::model::program::Program;
use featherweight::model::run::RunId;
use featherweight::model::units::{Bytes, Nanos};
use featherweight::platform::registry::{self, Pace, Variant};
use featherweight::platform::{Context, Error, Instance, LaunchSpec, Limits, Milestone, Platform, Purpose, Stopped};
use serde_json::Value;

/// A platform under test.
pub(crate) type Subject = &'static Variant;

/// One promise of every platform.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contract {
    /// The promise as a sentence.
    pub(crate) name: &'static str,
    /// What a platform must be able to do to be checked.
    pub(crate) needs: Needs,
    /// Panics if it is broken.
    pub(crate) check: fn(&Fixture),
}

/// What a contract is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    /// Nothing in particular: simulated platforms keep it as well.
    Nothing,
    /// Guests are not simulated.
    Real,
    /// Guests are processes of this host's kernel.
    Host,
    /// Guests can fork.
    Fork,
    /// Guests can fork, and their children are processes of this host's kernel.
    ForkOnHost,
    /// Instances can be limited by the kernel.
    Limits,
    /// Instances can be reached over a network.
    Network,
    /// Every guest program runs.
    Programs,
    /// Guests are machines with their own memory.
    Machine,
    /// The guest program of the tests is a kernel, and misbehaves as one.
    Kernel,
}

/// Declares the contracts of a file: name, need and function from one word.
macro_rules! contracts {
    ($($need:ident $name:ident,)+) => {
        /// The contracts of this file.
        pub(crate) const ALL: &[$crate::fixture::Contract] = &[$($crate::fixture::Contract {
            name: stringify!($name),
            needs: $crate::fixture::Needs::$need,
            check: $name,
        }),+];
    };
}
pub(crate) use contracts;

/// Only a hang takes longer on a brisk platform.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// Ports of a bridge of the run: few, so that more than one bridge is nothing special.
pub(crate) const BRIDGE_PORTS: u32 = 3;

/// A run with one platform.
#[derive(Debug)]
pub(crate) struct Fixture {
    /// The platform under test.
    pub(crate) subject: Subject,
    platform: Option<Box<dyn Platform>>,
    /// The run's ledger.
    pub(crate) ledger: Arc<Ledger>,
    /// What a user's Ctrl-C would set.
    pub(crate) interrupt: Interrupt,
}

impl Fixture {
    /// Opens a new run.
    ///
    /// # Errors
    /// States why the platform cannot run here.
    pub(crate) fn open(subject: Subject) -> Result<Self, String> {
        let ledger = Arc::new(open_ledger());
        let interrupt = Interrupt::new().expect("an interrupt can be made");
        let network = Arc::new(RunNetwork::with_ports(BRIDGE_PORTS));
        let context = Context { network, ..Context::new(Arc::clone(&ledger), interrupt.clone()) };
        let id = PlatformId::new(subject.name);
        let platform = registry::open(&id, &context).map_err(|e| e.to_string())?;
        let can_run = platform.check().map_err(|why| why.to_string());
        let fixture = Self { subject, platform: Some(platform), ledger, interrupt };
        can_run.map(|_| fixture)
    }

    /// Whether the platform runs this program.
    pub(crate) fn runs(&self, program: Program) -> bool {
        !matches!(self.platform().prepare(&image(program)), Err(Error::Unavailable(_)))
    }

    /// The number of virtual CPUs that its name demands.
    pub(crate) fn vcpus(&self) -> usize {
        self.subject.name.rsplit_once("-smp").map_or(1, |(_, count)| count.parse().expect("a number follows -smp"))
    }

    /// Only a hang takes longer.
    pub(crate) fn patience(&self) -> Duration {
        match self.subject.pace {
            Pace::Brisk => HANG,
            Pace::Slow | Pace::Glacial => 10 * HANG,
        }
    }

    /// A number of simultaneous instances: `brisk`, or fewer on slower platforms.
    pub(crate) fn many(&self, brisk: usize) -> usize {
        match self.subject.pace {
            Pace::Brisk => brisk,
            Pace::Slow => brisk.min(4),
            Pace::Glacial => brisk.min(2),
        }
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        self.platform.as_deref().expect("it lives until the fixture is closed")
    }

    /// A launch without anything special.
    pub(crate) fn spec(&self, program: Program, arguments: &[&str]) -> LaunchSpec {
        LaunchSpec {
            name: self.ledger.instance_name(),
            image: image(program),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            cpus: None,
            limits: None,
            memory: None,
            network: Networking::None,
            purpose: Purpose::Measured,
            deadline: self.patience(),
        }
    }

    pub(crate) fn launch(&self, spec: &LaunchSpec) -> Box<dyn Instance> {
        self.platform().prepare(&spec.image).expect("the image can be prepared");
        self.platform().launch(spec).expect("it launches")
    }

    /// Launches the probe.
    pub(crate) fn probe(&self, arguments: &[&str]) -> Box<dyn Instance> {
        self.launch(&self.spec(Program::Probe, arguments))
    }

    /// Launches the probe within limits.
    pub(crate) fn limited_probe(&self, arguments: &[&str], memory: Bytes, pids: u32) -> Box<dyn Instance> {
        let limits = Some(Limits { memory, pids });
        self.launch(&LaunchSpec { limits, ..self.spec(Program::Probe, arguments) })
    }

    /// The instant `span` from now.
    pub(crate) fn within(&self, span: Duration) -> Nanos {
        self.platform().clock().now() + span.into()
    }

    /// Waits as long as it takes.
    pub(crate) fn wait(&self, instance: &mut Box<dyn Instance>, milestone: Milestone) -> Result<Nanos, Error> {
        instance.wait_for(milestone, self.within(self.patience()))
    }

    /// Waits for the result and reads it.
    pub(crate) fn result(&self, instance: &mut Box<dyn Instance>) -> Value {
        self.wait(instance, Milestone::Result).expect("a result");
        let mut results = instance.lines().iter().filter_map(|stamped| match &stamped.line {
            GuestLine::Result(value) => Some(value.clone()),
            _ => None,
        });
        results.next_back().expect("a result among the lines")
    }

    /// Runs the probe to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Stopped {
        let mut instance = self.probe(arguments);
        self.wait(&mut instance, Milestone::Exit).expect("it ends");
        instance.stop().expect("it is removed")
    }

    /// Ends the run: the platform leaves nothing for the ledger to remove.
    pub(crate) fn close(mut self) {
        assert_eq!(self.end(), Leftovers::default(), "everything was removed before");
    }

    fn end(&mut self) -> Leftovers {
        self.platform = None;
        self.ledger.close().expect("the ledger is swept")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.platform.is_some() {
            self.end();
        }
    }
}

/// Fails unless `error` is a failed trial whose text has all of `words`.
#[track_caller]
pub(crate) fn assert_failed(outcome: Result<impl Debug, Error>, words: &[&str]) {
    let error = outcome.expect_err("a failure");
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
}

/// Contracts are checked at once, and two run ids of one second can be the same.
fn open_ledger() -> Ledger {
    let state = Folders::from_env().state;
    let mut tries = (0..5).map(|_| Ledger::open(&state, &RunId::generate(), featherweight::platform::reap_engines));
    tries.find_map(Result::ok).unwrap_or_else(|| panic!("no ledger can be opened in {}", state.display()))
}

fn image(program: Program) -> Image {
    static IMAGES: OnceLock<Vec<Image>> = OnceLock::new();
    let wanted = [Program::Hello, Program::Sleep, Program::Probe, Program::Write];
    let images = IMAGES.get_or_init(|| {
        guest::ensure(&Folders::from_env(), &wanted, &mut |_| {}).expect("the guest programs are built")
    });
    images.iter().find(|image| image.program == program).cloned().expect("it is among those that are built")
}
