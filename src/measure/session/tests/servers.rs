//! Servers as victims: driven at their endpoints, with the right background, and with a deadline.

use rstest::rstest;

use super::*;
use crate::model::event;
use crate::model::platform::Networking;
use crate::model::units::Nanos;
use crate::platform::Purpose;

fn servers(experiment: Experiment, workloads: &[Program]) -> Configuration {
    let base = configuration(experiment);
    let server_attackers = base.attackers_of(Program::Sqlite).to_vec();
    base.changed(|c| {
        c.workloads = workloads.to_vec();
        c.server_attackers = server_attackers;
    })
}

fn median(values: &[f64]) -> f64 {
    crate::stats::median(&crate::stats::Sample::new(values.to_vec()).expect("values"))
}

/// The instances that were launched for `purpose`.
fn launched(ran: &Ran, purpose: Purpose) -> Vec<LaunchSpec> {
    let all = ran.fake.launched.lock().expect("nobody panicked");
    all.iter().filter(|spec| spec.purpose == purpose).cloned().collect()
}

#[rstest]
#[case(Program::Nginx, 1e4)]
#[case(Program::Redis, 1e6)]
fn a_server_alone_has_its_whole_throughput(#[case] server: Program, #[case] expected: f64) {
    let ran = Fixture::new().plain(Configuration { runs: 3, ..servers(Experiment::Scalability, &[server]) });
    assert!(ran.outcomes().iter().all(|&outcome| outcome == Outcome::Ok), "{:?}", ran.stored.trials);
    let rates = &ran.values("throughput", |_| ())[&()];
    assert_eq!(rates.len(), 3);
    assert!(rates.iter().all(|rate| (rate / expected - 1.0).abs() < 0.011), "{rates:?}");
    assert!(
        ran.stored.trials.iter().all(|t| t.events.contains_key(&event::Event::Result) && t.case.workload == server)
    );
}

#[test]
fn a_driven_server_stands_among_its_like_apart_from_its_client() {
    let base = servers(Experiment::Scalability, &[Program::Nginx]);
    let ran = Fixture::new().plain(base.changed(|c| c.ladder = vec![3]));
    let (idle, measured) = (launched(&ran, Purpose::Background), launched(&ran, Purpose::Measured));
    assert_eq!((idle.len(), measured.len()), (3, 1));
    let everyone = || idle.iter().chain(&measured);
    assert!(everyone().all(|spec| spec.image.program == Program::Nginx && spec.network == Networking::Bridge));
    let cpus = &ran.stored.trials[0].cpus;
    assert!(!cpus.client.is_empty() && !cpus.victim.is_empty());
    let shared = cpus.client.iter().any(|cpu| cpus.victim.contains(cpu));
    assert_eq!(shared, !ran.stored.trials[0].flags.is_empty(), "they share a CPU only if there is one, with a flag");
    let on = |spec: &LaunchSpec| spec.cpus.as_ref().map(|set| set.iter().collect::<Vec<_>>());
    assert!(everyone().all(|spec| on(spec).as_ref() == Some(&cpus.victim)));
}

#[test]
fn the_background_of_sqlite_sleeps_without_a_network() {
    let base = servers(Experiment::Scalability, &[Program::Sqlite, Program::Redis]);
    let ran = Fixture::new().plain(base.changed(|c| c.ladder = vec![2]));
    let idle = launched(&ran, Purpose::Background);
    let count = |program, network| idle.iter().filter(|s| s.image.program == program && s.network == network).count();
    assert_eq!((count(Program::Sleep, Networking::None), count(Program::Redis, Networking::Bridge)), (2, 2));
    assert_eq!(idle.len(), 4);
}

#[rstest]
#[case(Program::Nginx)]
#[case(Program::Redis)]
fn an_attacker_on_its_thread_halves_a_servers_throughput(#[case] server: Program) {
    let ran = Fixture::new().plain(Configuration { runs: 5, ..servers(Experiment::Isolation, &[server]) });
    let rates = ran.values("throughput", |trial| trial.role);
    let slowdown = median(&rates[&Role::Reference]) / median(&rates[&Role::Measured]);
    assert!((slowdown / 2.0 - 1.0).abs() < 0.021, "{slowdown}");
    for trial in &ran.stored.trials {
        assert_eq!(trial.attack_ops.is_some_and(|ops| ops > 0), trial.role == Role::Measured);
        assert_eq!((trial.cpus.victim.len(), trial.cpus.client.is_empty()), (1, false));
    }
    assert!(launched(&ran, Purpose::Neighbor).iter().all(|spec| spec.network == Networking::Bridge));
}

#[test]
fn a_client_that_shares_the_attackers_cpu_is_flagged_in_attacked_trials_only() {
    let fixture = Fixture::new();
    let base = servers(Experiment::Isolation, &[Program::Nginx]);
    let configured = base.changed(|c| c.placements = vec![Placement::Fill]);
    let on_two_cpus = || {
        let two: Vec<u32> = placement::usable_cpus().expect("asked").iter().take(2).collect();
        let enough = two.len() == 2;
        placement::pin_current_thread(&two.into_iter().collect()).expect("pinned");
        enough.then(|| fixture.plain(configured))
    };
    let ran = std::thread::scope(|scope| scope.spawn(on_two_cpus).join().expect("no panic"));
    let Some(ran) = ran else { return eprintln!("not tried: this host has one CPU") };
    for trial in &ran.stored.trials {
        let expected = trial.role == Role::Measured;
        assert_eq!(trial.flags.iter().any(|flag| flag.contains("with an attacker")), expected, "{trial:?}");
    }
}

#[rstest]
#[case(Program::Nginx)]
#[case(Program::Redis)]
fn several_servers_are_driven_at_once_and_share_evenly(#[case] server: Program) {
    let base = servers(Experiment::Scalability, &[server]);
    let ran = Fixture::new().plain(base.changed(|c| c.victims = vec![3]));
    let together = ran.stored.trials.iter().find(|trial| trial.case.victims == 3).expect("the parallel mode");
    let rates = together.metrics.iter().find(|m| m.name == "throughput").expect("its metric");
    assert_eq!((rates.samples.len(), rates.value), (3, rates.samples.iter().sum()));
    assert_eq!(together.metric("throughput_per_victim"), Some(median(&rates.samples)));
    assert!(together.metric("fairness").is_some_and(|f| f > 0.999 && f <= 1.0));
}

#[test]
fn a_server_is_booted_until_it_serves_and_weighed_without_a_load() {
    let ran = Fixture::new().plain(servers(Experiment::Boot, &[Program::Hello, Program::Nginx]));
    let [.., nginx] = ran.stored.trials.iter().filter(|t| t.case.workload == Program::Nginx).collect::<Vec<_>>()[..]
    else {
        panic!("no boot of nginx: {:?}", ran.stored.trials)
    };
    let metric = |name| nginx.metric(name);
    assert!(metric("ready").zip(metric("boot")).is_some_and(|(ready, boot)| ready == boot + 100_000.0));
    assert_eq!((metric("boot_whole"), metric("throughput")), (None, None), "the harness ends it");
    assert_eq!(nginx.metric("removal"), Some(2e6));

    let base = servers(Experiment::Footprint, &[Program::Redis]);
    let ran = Fixture::new().plain(base.changed(|c| c.ladder = vec![2]));
    let idle = launched(&ran, Purpose::Background);
    assert!(idle.len() == 2 && idle.iter().all(|spec| spec.image.program == Program::Redis && spec.limits.is_some()));
}

#[rstest]
#[case::never_ready(Script { hang: [1].into(), ..Script::default() }, "`FW ready`")]
#[case::never_answers(Script { mute: [1].into(), ..Script::default() }, "no answer")]
#[case::ends_before(Script { crash: [1].into(), ..Script::default() }, "exited with code 9")]
#[case::ends_under_load(Script { fade: [1].into(), ..Script::default() }, "connection reset")]
#[case::never_starts(Script { fail_launch: [1].into(), ..Script::default() }, "the script says so")]
fn a_server_that_fails_is_a_failed_record_at_its_deadline(#[case] script: Script, #[case] reason: &str) {
    let fixture = Fixture::new();
    let configured = Configuration { runs: 3, ..servers(Experiment::Scalability, &[Program::Nginx]) };
    let ran = fixture.run(fixture.new_run(configured), script, &mut |_, _| {});
    assert_eq!(ran.outcomes(), [Outcome::Ok, Outcome::Failed, Outcome::Ok]);
    assert!(ran.reason(1).contains(reason), "{}", ran.reason(1));
    let failed = &ran.stored.trials[1];
    assert!(failed.metrics.is_empty() && failed.flags.is_empty() && !failed.events.contains_key(&event::Event::Result));
    let minute = Nanos(60 * Nanos::SECOND.0);
    assert!(ran.fake.platform.clock().now() < minute + minute, "one deadline for readiness and load together");
    assert_eq!(ran.summary.outcome, RunOutcome::Complete);
}

#[rstest]
#[case::a_server(Program::Nginx, 2)]
#[case::the_sleeper(Program::Sleep, 1)]
fn a_guest_that_cannot_be_had_leaves_its_trials_skipped_and_the_rest_good(
    #[case] missing: Program,
    #[case] skipped: usize,
) {
    let fixture = Fixture::new();
    let base = servers(Experiment::Scalability, &[Program::Sqlite, Program::Nginx]);
    let configured = base.changed(|c| c.ladder = vec![0, 2]);
    let script = Script { refuse: [missing].into(), ..Script::default() };
    let ran = fixture.run(fixture.new_run(configured), script, &mut |_, _| {});
    let without: Vec<_> = ran.stored.trials.iter().filter(|t| t.outcome == Outcome::Skipped).collect();
    assert_eq!((without.len(), ran.outcomes().iter().filter(|&&o| o == Outcome::Ok).count()), (skipped, 4 - skipped));
    for trial in without {
        let reason = trial.reason.as_deref().expect("a skip has a reason");
        assert!(reason.contains(&format!("prepare {missing} on fake")) && reason.contains("doctor"), "{reason}");
    }
    assert_eq!(ran.summary.outcome, RunOutcome::Complete);
}

#[rstest]
fn whatever_happens_to_servers_at_once_nothing_is_left(
    #[values("hang", "mute", "crash", "fade", "fail")] what: &str,
    #[values(0, 1, 2)] launch: u64,
) {
    let mut script = Script::default();
    match what {
        "hang" => script.hang.insert(launch),
        "mute" => script.mute.insert(launch),
        "crash" => script.crash.insert(launch),
        "fade" => script.fade.insert(launch),
        _ => script.fail_launch.insert(launch),
    };
    let fixture = Fixture::new();
    let base = servers(Experiment::Scalability, &[Program::Redis]);
    let configured = base.changed(|c| {
        c.ladder = Vec::new();
        c.victims = vec![3];
        c.runs = 2;
    });
    let mut living = Vec::new();
    let ran = fixture.run(fixture.new_run(configured), script, &mut |fake, _| living.push(fake.platform.living()));
    assert_eq!(ran.outcomes(), [Outcome::Failed, Outcome::Ok]);
    assert_eq!(living, [0, 0]);
}

#[test]
fn a_run_with_servers_that_is_interrupted_after_every_trial_ends_all_the_same() {
    let mut fixture = Fixture::new();
    let all = [Program::Sqlite, Program::Nginx, Program::Redis];
    let configured = servers(Experiment::Scalability, &all).changed(|c| {
        c.ladder = vec![0, 2];
        c.victims = vec![2];
    });
    let mut ran = fixture.interrupted_after(fixture.new_run(configured), 1);
    while ran.summary.outcome != RunOutcome::Complete {
        assert!(ran.orders().len() <= 9, "it goes on for ever");
        fixture = fixture.again();
        ran = fixture.interrupted_after(fixture.resume(Experiment::Scalability, "last"), 1);
    }
    assert_eq!(ran.orders(), (0..9).collect::<Vec<_>>());
    assert!(ran.outcomes().iter().all(|&outcome| outcome == Outcome::Ok));
}
