//! From options to a configuration: the profile, then the thesis's options, then the options that the user set. Pure.

use super::Options;
use super::profile::{isolation_placements, profile};
use crate::cli::exit::BadInput;
use crate::model::configuration::{Configuration, Design, LadderOrder, Profile};
use crate::model::names::UnknownName;
use crate::model::placement::Placement;
use crate::model::platform::{Networking, PlatformId};
use crate::model::program::Program;
use crate::model::record::Experiment;

/// The most background instances that a ladder may have.
const MAX_INSTANCES: u32 = 10_000;

/// Resolves `options` for the bench target of `experiment`; `seed` applies if the user sets none.
///
/// # Errors
/// When an option does not fit the target or another option.
pub fn resolve(experiment: Experiment, options: &Options, seed: u64) -> Result<Configuration, BadInput> {
    check_target(experiment, options)?;
    let mut configuration = profile(experiment, options.profile);
    configuration.seed = options.seed.unwrap_or(seed);
    configuration.filter = options.filter.clone();
    configuration.name = options.name.map(|code| code.to_string());
    if let Some(code) = options.name {
        configuration.platforms = vec![code.platform()];
        configuration.workloads = vec![code.workload()];
        configuration.network = code.network();
        if let Design::Isolation { attackers, server_attackers, placements, .. } = &mut configuration.design {
            (*attackers, *server_attackers) = (code.attackers(), code.attackers());
            *placements = isolation_placements().to_vec();
        }
    }
    if !options.platform.is_empty() {
        configuration.platforms = distinct(&options.platform);
    }
    resolve_workloads(options, &mut configuration)?;
    resolve_neighbors(options, &mut configuration.design);
    if options.minimum {
        // A search confirms its own result.
        (configuration.design, configuration.runs) = (Design::MinimumMemory, 1);
    }
    configuration.runs = options.runs.unwrap_or(configuration.runs);
    if let Some(work) = configuration.design.work_mut() {
        work.rows = options.rows.unwrap_or(work.rows);
    }
    resolve_load(options, &mut configuration)?;
    resolve_ladder(options, &mut configuration)?;
    Ok(configuration)
}

/// Sets the attackers and the placements of isolation.
fn resolve_neighbors(options: &Options, design: &mut Design) {
    let Design::Isolation { attackers, server_attackers, placements, .. } = design else { return };
    if !options.attacker.is_empty() {
        *attackers = distinct(&options.attacker);
        server_attackers.clone_from(attackers);
    }
    if !options.placement.is_empty() {
        *placements = distinct(&options.placement);
    }
}

/// The guest programs that an experiment can measure; its default first.
fn measurable(experiment: Experiment) -> &'static [Program] {
    match experiment {
        Experiment::Boot => &[Program::Hello, Program::Nginx, Program::Redis],
        Experiment::Footprint => &[Program::Sleep, Program::Nginx, Program::Redis],
        Experiment::Scalability | Experiment::Isolation => &[Program::Sqlite, Program::Nginx, Program::Redis],
    }
}

/// Sets the guest programs and how they are connected.
fn resolve_workloads(options: &Options, configuration: &mut Configuration) -> Result<(), BadInput> {
    let given = options.workload.iter().map(|name| workload(configuration.experiment(), name));
    let given = distinct(&given.collect::<Result<Vec<_>, _>>()?);
    if let Some(code) = options.name.filter(|code| !given.is_empty() && given != [code.workload()]) {
        let problem = format!("{code} measures {}\nhelp: omit --workload or --name", code.workload());
        return Err(BadInput::new(format!("--workload {}", options.workload.join(",")), problem));
    }
    if !given.is_empty() {
        configuration.workloads = given;
    }
    configuration.network = options.network.unwrap_or(configuration.network);
    match configuration.workloads.iter().find(|workload| workload.is_server()) {
        Some(server) if options.network == Some(Networking::None) => {
            let problem = format!("{server} needs a network; expected bridge");
            Err(BadInput::new("--network none", problem))
        }
        _ => Ok(()),
    }
}

fn workload(experiment: Experiment, name: &str) -> Result<Program, BadInput> {
    let measurable = measurable(experiment);
    let expected = || measurable.iter().map(|program| program.name()).collect::<Vec<_>>().join(", ");
    let option = format!("--workload {name}");
    match name.parse::<Program>() {
        Ok(program) if measurable.contains(&program) => Ok(program),
        Ok(program) => Err(BadInput::new(
            option,
            format!("{experiment} does not measure {program}; expected one of {}", expected()),
        )),
        Err(_) => {
            Err(BadInput::new(option, UnknownName { given: name.to_owned(), what: "workload", accepted: expected() }))
        }
    }
}

/// Sets the load and the timeout. More load needs more time, unless the user sets that, too: a trial must not time out
/// while its server is still being driven.
fn resolve_load(options: &Options, configuration: &mut Configuration) -> Result<(), BadInput> {
    let mut load = configuration.load();
    load.requests = options.requests.unwrap_or(load.requests);
    load.seconds = options.load_seconds.unwrap_or(load.seconds);
    if let Some(work) = configuration.design.work_mut() {
        work.load = load;
    }
    let least = u64::from(load.seconds) + LOAD_OVERHEAD_S;
    configuration.timeout_s = options.timeout.unwrap_or(configuration.timeout_s.max(least));
    match options.timeout {
        Some(timeout) if configuration.workloads.contains(&Program::Nginx) && timeout <= u64::from(load.seconds) => {
            let problem = format!("shorter than the load, which takes {} s; expected {least} or more", load.seconds);
            Err(BadInput::new(format!("--timeout {timeout}"), problem))
        }
        _ => Ok(()),
    }
}

/// The time that a driven server may need in addition to its load: to start, to answer late, to be stopped.
const LOAD_OVERHEAD_S: u64 = 30;

/// The configuration of a target under `cargo test --benches`: every step, with few trials, on the fake platform.
pub(super) fn trial_configuration(experiment: Experiment) -> Configuration {
    let mut configuration = profile(experiment, Profile::Quick);
    if let Some(ladder) = configuration.design.ladder_mut() {
        ladder.levels = vec![0, 2];
    }
    match &mut configuration.design {
        Design::Boot { boots, .. } => *boots = 1,
        Design::Scalability { victims, .. } => *victims = vec![2],
        Design::Footprint { .. } | Design::MinimumMemory | Design::Isolation { .. } => {}
    }
    if let Some(work) = configuration.design.work_mut() {
        work.rows = 100;
    }
    let platforms = vec![PlatformId::new("fake")];
    Configuration { platforms, runs: 1, noise_quanta: 0, seed: 1, ..configuration }
}

fn check_target(experiment: Experiment, options: &Options) -> Result<(), BadInput> {
    if let Some(code) = options.name.filter(|code| code.experiment() != experiment) {
        let target = code.experiment();
        let problem = format!(
            "not an experiment of {experiment}\nhelp: run it with `cargo bench --bench {target} -- --name {code}`"
        );
        return Err(BadInput::new(format!("--name {code}"), problem));
    }
    let isolation_only = [("--attacker", !options.attacker.is_empty()), ("--placement", !options.placement.is_empty())];
    if let Some((option, _)) = isolation_only.iter().find(|(_, given)| *given && experiment != Experiment::Isolation) {
        return Err(BadInput::new(option, unsupported(experiment, Experiment::Isolation)));
    }
    if options.minimum && experiment != Experiment::Footprint {
        return Err(BadInput::new("--minimum", unsupported(experiment, Experiment::Footprint)));
    }
    let alone = options.placement.iter().find(|p| matches!(p, Placement::Alone | Placement::Unpinned));
    if let Some(placement) = alone {
        let expected = isolation_placements().iter().map(|p| p.name()).collect::<Vec<_>>().join(", ");
        let problem = format!("has no attacker; expected one of {expected}");
        return Err(BadInput::new(format!("--placement {placement}"), problem));
    }
    Ok(())
}

/// The problem of an option that only `supported` has.
fn unsupported(experiment: Experiment, supported: Experiment) -> String {
    format!("not supported by {experiment}; expected --bench {supported}")
}

fn resolve_ladder(options: &Options, configuration: &mut Configuration) -> Result<(), BadInput> {
    if options.benchmark_time.is_none() && options.instances_per_benchmark.is_none() && options.name.is_none() {
        return Ok(());
    }
    let Some(ladder) = configuration.design.ladder_mut() else { return Ok(()) };
    let steps = options.benchmark_time.unwrap_or(THESIS_STEPS);
    let each = options.instances_per_benchmark.unwrap_or(THESIS_INSTANCES);
    let top = steps.saturating_mul(each);
    if top > MAX_INSTANCES {
        let option = format!("--benchmark_time {steps} --instances_per_benchmark {each}");
        let problem = format!("too many instances: {top}; expected at most {MAX_INSTANCES}");
        return Err(BadInput::new(option, problem));
    }
    ladder.levels = (0..=steps).map(|step| step * each).collect();
    ladder.order = LadderOrder::Growth;
    match &mut configuration.design {
        Design::Boot { boots, .. } => *boots = 1,
        Design::Scalability { victims, .. } => victims.clear(),
        Design::Footprint { .. } | Design::MinimumMemory | Design::Isolation { .. } => {}
    }
    Ok(())
}

// The defaults of the thesis's runner.
const THESIS_STEPS: u32 = 5;
const THESIS_INSTANCES: u32 = 10;

/// The items in the given order, without duplicates.
fn distinct<T: Clone + PartialEq>(items: &[T]) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(item) {
            seen.push(item.clone());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;
    use crate::model::attacker::Attacker;

    fn resolved(experiment: Experiment, line: &str) -> Result<Configuration, BadInput> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        resolve(experiment, &Options::try_parse_from(words).unwrap(), 7)
    }

    #[rstest]
    #[case("--minimum", 1)]
    #[case("--minimum --runs 4 --profile standard", 4)]
    fn the_smallest_memory_is_searched_without_background(#[case] line: &str, #[case] runs: u32) {
        let configuration = resolved(Experiment::Footprint, line).unwrap();
        assert_eq!((configuration.is_minimum(), configuration.levels(), configuration.runs), (true, &[0][..], runs));
        assert!(!resolved(Experiment::Footprint, "").unwrap().is_minimum());
    }

    #[test]
    fn the_thesis_options_make_its_ladder() {
        let line = "--name d_sql_s --platform youki --runs 5 --benchmark_time 3 --instances_per_benchmark 10";
        let configuration = resolved(Experiment::Scalability, line).unwrap();
        assert_eq!(configuration.levels(), [0, 10, 20, 30]);
        assert_eq!(configuration.ladder_order(), LadderOrder::Growth);
        assert_eq!(configuration.runs * 4, 20, "R × (B + 1) results");
        assert!(configuration.victims().is_empty());
    }

    #[test]
    fn the_paper_profile_has_the_thesis_numbers() {
        let boot = resolved(Experiment::Boot, "--profile paper").unwrap();
        assert_eq!((boot.levels().len(), boot.levels().last(), boot.runs), (101, Some(&1000), 5));
        let isolation = resolved(Experiment::Isolation, "--profile paper").unwrap();
        assert_eq!((isolation.runs, isolation.rows()), (20, 60_000));
    }

    #[rstest]
    #[case::quick("", &[Placement::SameThread, Placement::SameCore])]
    #[case::a_code_of_the_thesis("--name d_redis_perf_iso", isolation_placements())]
    #[case::named("--name d_redis_perf_iso --placement fill", &[Placement::Fill])]
    fn a_code_of_the_thesis_means_every_placement(#[case] line: &str, #[case] expected: &[Placement]) {
        assert_eq!(resolved(Experiment::Isolation, line).unwrap().placements(), expected);
    }

    #[rstest]
    #[case::none_is_needed(Experiment::Boot, "", Networking::None, Networking::None)]
    #[case::requested(Experiment::Boot, "--network bridge", Networking::Bridge, Networking::Bridge)]
    #[case::a_server_among_them(Experiment::Scalability, "", Networking::None, Networking::Bridge)]
    #[case::declined(Experiment::Boot, "--network none", Networking::None, Networking::None)]
    #[case::as_docker_does(Experiment::Boot, "--name d_boot", Networking::Bridge, Networking::Bridge)]
    #[case::unikernels(Experiment::Footprint, "--name uk_mem", Networking::None, Networking::None)]
    fn servers_are_connected_and_the_rest_as_requested(
        #[case] experiment: Experiment,
        #[case] line: &str,
        #[case] others: Networking,
        #[case] last: Networking,
    ) {
        let configuration = resolved(experiment, line).unwrap();
        let measured = configuration.measured();
        assert_eq!(configuration.network, others);
        assert_eq!(configuration.network_of(*measured.last().unwrap()), last);
    }

    #[rstest]
    #[case("", (1, 200_000, 60))]
    #[case("--profile standard", (3, 1_000_000, 120))]
    #[case("--profile paper", (20, 10_000_000, 300))]
    #[case("--load-seconds 300 --requests 1000", (300, 1_000, 330))]
    #[case("--load-seconds 30 --timeout 40", (30, 200_000, 40))]
    fn loads_grow_with_the_profile_and_clients_do_not(#[case] line: &str, #[case] expected: (u32, u64, u64)) {
        let configuration = resolved(Experiment::Scalability, line).unwrap();
        let load = configuration.load();
        assert_eq!((load.seconds, load.requests, configuration.timeout_s), expected);
        assert_eq!((load.connections, load.threads, load.clients, load.pipeline), (30, 14, 30, 16));
    }

    #[test]
    fn attackers_are_the_victims_own_unless_they_are_named() {
        let default = resolved(Experiment::Isolation, "").unwrap();
        assert_eq!(default.attackers_of(Program::Sqlite), Attacker::ALL);
        assert_eq!(default.attackers_of(Program::Redis), [Attacker::Prime, Attacker::Stream]);
        let named = resolved(Experiment::Isolation, "--attacker open").unwrap();
        assert_eq!(named.attackers_of(Program::Redis), [Attacker::Open]);
    }

    #[test]
    fn a_named_thing_counts_once() {
        let configuration = resolved(Experiment::Isolation, "--attacker open,stat,open --platform fake").unwrap();
        assert_eq!(configuration.attackers_of(Program::Sqlite), [Attacker::Open, Attacker::Stat]);
    }

    #[rstest]
    #[case(Experiment::Boot, "--attacker open", "--attacker: not supported by boot; expected --bench isolation")]
    #[case(
        Experiment::Boot,
        "--name d_mem",
        "--name d_mem: not an experiment of boot\nhelp: run it with `cargo bench --bench footprint -- --name d_mem`"
    )]
    #[case(
        Experiment::Isolation,
        "--placement alone",
        "--placement alone: has no attacker; expected one of same-thread, same-core, same-socket, other-socket, fill"
    )]
    #[case(
        Experiment::Boot,
        "--benchmark_time 9999 --instances_per_benchmark 9999",
        "--benchmark_time 9999 --instances_per_benchmark 9999: too many instances: 99980001; expected at most 10000"
    )]
    #[case(
        Experiment::Boot,
        "--workload sqlite",
        "--workload sqlite: boot does not measure sqlite; expected one of hello, nginx, redis"
    )]
    #[case(
        Experiment::Isolation,
        "--workload sqlite,hello",
        "--workload hello: isolation does not measure hello; expected one of sqlite, nginx, redis"
    )]
    #[case(
        Experiment::Boot,
        "--workload ngnix",
        "--workload ngnix: unknown workload `ngnix`; did you mean `nginx`? (known: hello, nginx, redis)"
    )]
    #[case(
        Experiment::Scalability,
        "--workload sqlite --name d_ng_s",
        "--workload sqlite: d_ng_s measures nginx\nhelp: omit --workload or --name"
    )]
    #[case(Experiment::Boot, "--minimum", "--minimum: not supported by boot; expected --bench footprint")]
    #[case(Experiment::Scalability, "--network none", "--network none: nginx needs a network; expected bridge")]
    #[case(
        Experiment::Scalability,
        "--load-seconds 20 --timeout 20",
        "--timeout 20: shorter than the load, which takes 20 s; expected 50 or more"
    )]
    fn invalid_options_are_refused(#[case] experiment: Experiment, #[case] line: &str, #[case] message: &str) {
        assert_eq!(resolved(experiment, line).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("--platform xen", "unknown platform `xen` (known: native, youki, ")]
    #[case("--platform dokcer:crun", "unknown platform `dokcer:crun`; did you mean `docker:crun`? (known: ")]
    #[case("--profile standrad", "unknown profile `standrad`; did you mean `standard`? (known: quick, ")]
    #[case("--attacker strean", "unknown attacker `strean`; did you mean `stream`? (known: ")]
    #[case("--placement same-tread", "unknown placement `same-tread`; did you mean `same-thread`? (known: ")]
    #[case("--attacker bomb", "unknown attacker `bomb` (known: prime, stream, open, read, write, stat, fork)")]
    #[case("--placement moon", "unknown placement `moon` (known: unpinned, alone")]
    #[case("--name d_x", "unknown thesis code `d_x` (known: d_boot, d_mem")]
    #[case("--runs -1", "-1")]
    #[case("--runs 0", "0 is not in 1..=10000")]
    #[case("--benchmark_time 1e9", "invalid digit")]
    fn a_bad_value_is_reported_with_the_known_values(#[case] line: &str, #[case] message: &str) {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        let error = Options::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(message), "{error}");
    }
}
