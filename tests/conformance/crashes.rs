//! A harness that crashes, and helpers that do: whatever they created is found and removed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use featherweight::host::folders::Folders;
use featherweight::host::ledger::{self, Leftovers};
use featherweight::model::platform::Networking;
use featherweight::model::program::Program;
use featherweight::model::run::RunId;
use featherweight::model::units::Bytes;
use featherweight::platform::{LaunchSpec, Limits, Milestone, registry};

use crate::cleanliness::assert_clean;
use crate::fixture::{Fixture, Subject, contracts};
use crate::host;

/// Set for the process that crashes: the name of its platform.
const VICTIM: &str = "FEATHERWEIGHT_CONFORMANCE_VICTIM";

contracts! {
    Real a_crashed_harness_leaves_nothing_that_is_not_found,
    Real a_run_survives_the_death_of_its_helpers,
}

/// Becomes the harness that crashes, if this process was started as one.
pub(crate) fn victim_entry() {
    let Ok(name) = std::env::var(VICTIM) else { return };
    let subject = registry::variants().find(|subject| subject.name == name).expect("a platform of that name");
    let fixture = Fixture::open(subject).expect("it can run, since it was surveyed");
    let can = fixture.platform().capabilities();
    let limits = can.limits.then_some(Limits { memory: Bytes(64 << 20), pids: 32 });
    let limited = LaunchSpec { limits, ..fixture.spec(Program::Probe, &["do=spawn", "count=3", "then=pause"]) };
    let network = if can.network { Networking::Bridge } else { Networking::None };
    let serving = LaunchSpec { network, ..fixture.spec(Program::Probe, &["do=serve"]) };
    let hanging = || (fixture.spec(Program::Probe, &["do=hang"]), Milestone::Ready);
    let launches = match fixture.runs(Program::Write) {
        true => vec![
            (limited, Milestone::Result),
            (fixture.spec(Program::Write, &[]), Milestone::Attacking),
            hanging(),
            (serving, Milestone::Ready),
        ],
        false => vec![hanging(), hanging()],
    };
    let launch = |(spec, milestone): (LaunchSpec, Milestone)| {
        let mut instance = fixture.launch(&spec);
        fixture.wait(&mut instance, milestone).expect("it lives");
        instance
    };
    let _living: Vec<_> = launches.into_iter().map(launch).collect();
    println!("{}", fixture.ledger.run());
    std::io::stdout().flush().expect("printed");
    loop {
        thread::park();
    }
}

/// Another harness, with several instances that live.
#[derive(Debug)]
pub(crate) struct Victim {
    process: Child,
    /// Its run.
    pub(crate) run: RunId,
}

impl Victim {
    /// A harness that runs instances of `subject` until it crashes.
    pub(crate) fn start(subject: Subject) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("our own path"));
        command.env(VICTIM, subject.name).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let run = output.lines().find_map(|line| line.expect("a line of text").parse().ok());
        Self { process, run: run.expect("it runs until it is killed") }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills it with a signal that it cannot handle.
    pub(crate) fn crash(mut self) -> RunId {
        self.process.kill().and_then(|()| self.process.wait()).expect("it crashes");
        self.run
    }
}

fn a_crashed_harness_leaves_nothing_that_is_not_found(fixture: &Fixture) {
    let run = Victim::start(fixture.subject).crash();
    let left = ledger::reap(&Folders::from_env().state, &run, featherweight::platform::reap_engines).expect("reaped");
    // The two that print nothing more survived; the third ends as soon as nobody reads its lines.
    assert!(left.processes >= 2 || left.containers >= 2, "{left:?}");
    assert_eq!(host::marked(&run), [0; 0]);
    assert_eq!(host::traces(&run.name()), [] as [&std::path::Path; 0]);
    assert_eq!(
        ledger::reap(&Folders::from_env().state, &run, featherweight::platform::reap_engines).expect("reaped"),
        Leftovers::default()
    );
}

fn a_run_survives_the_death_of_its_helpers(fixture: &Fixture) {
    let spec = fixture.spec(Program::Sleep, &[]);
    let mut instance = fixture.launch(&spec);
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let guests: Vec<_> = instance.threads().iter().map(|thread| thread.pid).collect();
    for helper in host::marked(fixture.ledger.run()).into_iter().filter(|pid| !guests.contains(pid)) {
        host::kill(helper);
    }
    // Its exit status may be unknown now, but it has ended and nothing is left.
    let _ = instance.stop();
    assert_clean(fixture, &spec);
    for code in [3, 4] {
        assert_eq!(fixture.run(&["do=exit", &format!("code={code}")]).exit, featherweight::platform::Exit::Code(code));
    }
}
