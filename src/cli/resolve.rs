//! From options to a configuration: profiles, the thesis's options and what the user named. Pure but for the seed's default.

use super::Options;
use crate::attacker::Attacker;
use crate::placement::Placement;
use crate::plan::{Configuration, LadderOrder, Profile};
use crate::platform::{PlatformId, registry};
use crate::store::Experiment;

/// The most background instances that a ladder may ask for.
const MAX_INSTANCES: u32 = 10_000;

/// Options that make no sense together, or at all. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct BadInput {
    /// The option and the value.
    pub option: String,
    /// What is wrong, and what is accepted.
    pub problem: String,
}

impl BadInput {
    pub(super) fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { option: option.into(), problem: problem.into() }
    }
}

/// Resolves `options` for a bench target; `seed` is used when the user names none.
///
/// # Errors
/// When an option does not fit the target or another option.
pub fn resolve(experiment: Experiment, options: &Options, seed: u64) -> Result<Configuration, BadInput> {
    check_target(experiment, options)?;
    let mut configuration = profile(experiment, options.profile);
    configuration.seed = options.seed.unwrap_or(seed);
    configuration.filter = options.filter.clone();
    configuration.name = options.name.map(|code| code.to_string());
    if !options.platform.is_empty() {
        configuration.platforms = distinct(&options.platform);
    }
    if experiment == Experiment::Isolation {
        if let Some(code) = options.name {
            configuration.attackers = code.attackers();
        }
        if !options.attacker.is_empty() {
            configuration.attackers = distinct(&options.attacker);
        }
        if !options.placement.is_empty() {
            configuration.placements = distinct(&options.placement);
        }
    }
    configuration.runs = options.runs.unwrap_or(configuration.runs);
    configuration.rows = options.rows.unwrap_or(configuration.rows);
    configuration.timeout_s = options.timeout.unwrap_or(configuration.timeout_s);
    resolve_ladder(options, &mut configuration)?;
    Ok(configuration)
}

/// What a target does once under `cargo test --benches`: the whole way, tiny, on the fake platform.
pub(super) fn trial_configuration(experiment: Experiment) -> Configuration {
    Configuration {
        platforms: vec![PlatformId::new("fake")],
        ladder: vec![0, 2],
        victims: few(experiment == Experiment::Scalability, &[2]),
        runs: 1,
        boots: 1,
        rows: 100,
        noise_quanta: 0,
        seed: 1,
        ..profile(experiment, Profile::Quick)
    }
}

fn check_target(experiment: Experiment, options: &Options) -> Result<(), BadInput> {
    if let Some(code) = options.name.filter(|code| code.experiment() != experiment) {
        let target = code.experiment();
        let problem = format!("is measured by another target: cargo bench --bench {target} -- --name {code}");
        return Err(BadInput::new(format!("--name {code}"), problem));
    }
    let has_victim = matches!(experiment, Experiment::Scalability | Experiment::Isolation);
    let victims_only = [("--workload", !options.workload.is_empty()), ("--rows", options.rows.is_some())];
    if let Some((option, _)) = victims_only.iter().find(|(_, given)| *given && !has_victim) {
        let problem = format!("belongs to --bench scalability and --bench isolation; this is {experiment}");
        return Err(BadInput::new(*option, problem));
    }
    let isolation_only = [("--attacker", !options.attacker.is_empty()), ("--placement", !options.placement.is_empty())];
    if let Some((option, _)) = isolation_only.iter().find(|(_, given)| *given && experiment != Experiment::Isolation) {
        let problem = format!("belongs to --bench isolation; this is {experiment}");
        return Err(BadInput::new(*option, problem));
    }
    let alone = options.placement.iter().find(|p| matches!(p, Placement::Alone | Placement::Unpinned));
    if let Some(placement) = alone {
        let accepted = isolation_placements().iter().map(|p| p.name()).collect::<Vec<_>>().join(", ");
        let problem = format!("has no attacker; accepted: {accepted}");
        return Err(BadInput::new(format!("--placement {placement}"), problem));
    }
    Ok(())
}

fn resolve_ladder(options: &Options, configuration: &mut Configuration) -> Result<(), BadInput> {
    if options.benchmark_time.is_none() && options.instances_per_benchmark.is_none() && options.name.is_none() {
        return Ok(());
    }
    if configuration.experiment == Experiment::Isolation {
        return Ok(());
    }
    // The thesis's runner began with these defaults.
    let steps = options.benchmark_time.unwrap_or(THESIS_STEPS);
    let each = options.instances_per_benchmark.unwrap_or(THESIS_INSTANCES);
    let top = steps.saturating_mul(each);
    if top > MAX_INSTANCES {
        let option = format!("--benchmark_time {steps} --instances_per_benchmark {each}");
        let problem = format!("asks for {top} instances; accepted: up to {MAX_INSTANCES} together");
        return Err(BadInput::new(option, problem));
    }
    configuration.ladder = (0..=steps).map(|step| step * each).collect();
    configuration.ladder_order = LadderOrder::Growth;
    configuration.boots = 1;
    configuration.victims = Vec::new();
    Ok(())
}

const THESIS_STEPS: u32 = 5;
const THESIS_INSTANCES: u32 = 10;

/// What a profile stands for.
fn profile(experiment: Experiment, profile: Profile) -> Configuration {
    let isolation = experiment == Experiment::Isolation;
    let scalability = experiment == Experiment::Scalability;
    let base = Configuration {
        experiment,
        profile,
        name: None,
        platforms: registry::defaults(),
        attackers: few(isolation, Attacker::ALL),
        placements: few(isolation, isolation_placements()),
        ladder: few(!isolation, &[0, 10, 50, 100]),
        ladder_order: LadderOrder::Shuffled,
        victims: few(scalability, &[2, 4]),
        // Six is the least that a 95 % interval of a median or of a slowdown can stand on.
        runs: 6,
        boots: 4,
        rows: 5_000,
        noise_quanta: 2_000,
        timeout_s: 60,
        seed: 0,
        filter: None,
    };
    match profile {
        Profile::Quick => base,
        Profile::Standard => Configuration {
            ladder: few(!isolation, &[0, 10, 20, 50, 100, 200, 300, 400, 500]),
            victims: few(scalability, &[2, 4, 8, 16]),
            runs: 12,
            boots: 10,
            rows: 60_000,
            noise_quanta: 20_000,
            timeout_s: 120,
            ..base
        },
        Profile::Paper => Configuration {
            ladder: few(!isolation, &(0..=100).map(|step| step * 10).collect::<Vec<_>>()),
            ladder_order: LadderOrder::Growth,
            victims: few(scalability, &[2, 4, 8, 16, 32, 64]),
            runs: if isolation { 20 } else { 5 },
            boots: 1,
            rows: 60_000,
            noise_quanta: 20_000,
            timeout_s: 300,
            ..base
        },
    }
}

/// The placements that have an attacker.
fn isolation_placements() -> &'static [Placement] {
    use Placement::{Fill, OtherSocket, SameCore, SameSocket, SameThread};
    &[SameThread, SameCore, SameSocket, OtherSocket, Fill]
}

fn few<T: Clone>(wanted: bool, items: &[T]) -> Vec<T> {
    if wanted { items.to_vec() } else { Vec::new() }
}

/// The items in the order given, each once.
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

    fn resolved(experiment: Experiment, line: &str) -> Result<Configuration, BadInput> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        resolve(experiment, &Options::try_parse_from(words).unwrap(), 7)
    }

    #[test]
    fn the_thesis_options_make_its_ladder() {
        let line = "--name d_sql_s --platform youki --runs 5 --benchmark_time 3 --instances_per_benchmark 10";
        let configuration = resolved(Experiment::Scalability, line).unwrap();
        assert_eq!(configuration.ladder, [0, 10, 20, 30]);
        assert_eq!(configuration.ladder_order, LadderOrder::Growth);
        assert_eq!(configuration.runs * 4, 20, "R x (B + 1) results");
        assert!(configuration.victims.is_empty());
    }

    #[test]
    fn the_paper_profile_has_the_thesis_numbers() {
        let boot = resolved(Experiment::Boot, "--profile paper").unwrap();
        assert_eq!((boot.ladder.len(), boot.ladder.last(), boot.runs), (101, Some(&1000), 5));
        let isolation = resolved(Experiment::Isolation, "--profile paper").unwrap();
        assert_eq!((isolation.runs, isolation.rows), (20, 60_000));
    }

    #[test]
    fn a_named_thing_counts_once() {
        let configuration = resolved(Experiment::Isolation, "--attacker open,stat,open --platform fake").unwrap();
        assert_eq!(configuration.attackers, [Attacker::Open, Attacker::Stat]);
    }

    #[rstest]
    #[case(Experiment::Boot, "--attacker open", "--attacker: belongs to --bench isolation; this is boot")]
    #[case(
        Experiment::Boot,
        "--name d_mem",
        "--name d_mem: is measured by another target: cargo bench --bench footprint -- --name d_mem"
    )]
    #[case(
        Experiment::Isolation,
        "--placement alone",
        "--placement alone: has no attacker; accepted: same-thread, same-core, same-socket, other-socket, fill"
    )]
    #[case(
        Experiment::Boot,
        "--benchmark_time 9999 --instances_per_benchmark 9999",
        "--benchmark_time 9999 --instances_per_benchmark 9999: asks for 99980001 instances; accepted: up to 10000 together"
    )]
    fn what_makes_no_sense_is_refused(#[case] experiment: Experiment, #[case] line: &str, #[case] message: &str) {
        assert_eq!(resolved(experiment, line).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("--platform xen", "`xen` is no platform; accepted: native, youki, fake")]
    #[case("--attacker bomb", "`bomb` is no attacker; accepted: prime, stream, open, read, write, stat, fork")]
    #[case("--placement moon", "`moon` is no placement; accepted: unpinned, alone")]
    #[case("--name d_x", "`d_x` is no code of the thesis; accepted: d_boot, d_mem")]
    #[case("--runs -1", "-1")]
    #[case("--runs 0", "0 is not in 1..=10000")]
    #[case("--benchmark_time 1e9", "invalid digit")]
    fn a_bad_value_names_option_value_and_accepted_values(#[case] line: &str, #[case] message: &str) {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        let error = Options::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(message), "{error}");
    }
}
