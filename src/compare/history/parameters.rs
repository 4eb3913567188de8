//! The parameters of a session apart from its case. All sessions of a track have the same.

use std::collections::BTreeMap;

use super::unanswerable::Unanswerable;
use crate::model::configuration::{Configuration, LadderOrder};
use crate::model::platform::Networking;
use crate::model::program::Program;
use crate::model::record::Experiment;

/// The parameters of `configuration` that affect a trial of `workload` with that background, by the names of the options.
/// They are the ones that [`crate::compare::stored::trial_differences`] compares.
pub(super) fn parameters(configuration: &Configuration, workload: &str, background: u32) -> BTreeMap<String, String> {
    let load = configuration.load();
    let works = matches!(configuration.experiment(), Experiment::Scalability | Experiment::Isolation);
    let is = |program: Program| works && workload == program.name();
    // A server is always on a bridge.
    let serves = workload.parse().is_ok_and(Program::is_server);
    let bridged = !serves && configuration.network == Networking::Bridge;
    let grown = background > 0 && configuration.ladder_order() == LadderOrder::Growth;
    let all = [
        (MINIMUM, configuration.is_minimum(), "yes".to_owned()),
        (LADDER, grown, configuration.ladder_order().to_string()),
        ("network", bridged, configuration.network.to_string()),
        ("rows", is(Program::Sqlite), configuration.rows().to_string()),
        ("load-seconds", is(Program::Nginx), load.seconds.to_string()),
        ("connections", is(Program::Nginx), load.connections.to_string()),
        ("threads", is(Program::Nginx), load.threads.to_string()),
        ("requests", is(Program::Redis), load.requests.to_string()),
        ("clients", is(Program::Redis), load.clients.to_string()),
        ("pipeline", is(Program::Redis), load.pipeline.to_string()),
    ];
    let matters = all.into_iter().filter(|(_, matters, _)| *matters);
    matters.map(|(name, _, value)| (name.to_owned(), value)).collect()
}

const MINIMUM: &str = "minimum";
const LADDER: &str = "ladder";
/// The parameters that are options of `cargo xtask ab`.
const OPTIONS: [&str; 4] = ["network", "rows", "load-seconds", "requests"];

/// The options of `cargo xtask ab` for these parameters. All profiles have the same connections and clients, and a single
/// level has no order.
///
/// # Errors
/// The parameter that `ab` does not support.
pub(super) fn options(parameters: &BTreeMap<String, String>) -> Result<Vec<String>, Unanswerable> {
    if parameters.contains_key(MINIMUM) {
        return Err(Unanswerable::MinimumMemory);
    }
    let given = OPTIONS.iter().filter_map(|name| Some([format!("--{name}"), parameters.get(*name)?.clone()]));
    Ok(given.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::stored::trial_differences;
    use crate::model::flat_configuration::FlatConfiguration;
    use crate::store::testing::run_file;

    fn configuration(experiment: Experiment, workload: Program) -> Configuration {
        run_file().configuration.changed(|c| {
            c.experiment = experiment;
            c.workloads = vec![workload];
        })
    }

    #[test]
    fn what_compare_refuses_has_other_parameters() {
        let changes: [fn(&mut FlatConfiguration); 10] = [
            |c| c.minimum = true,
            |c| c.network = Networking::Bridge,
            |c| c.rows += 1,
            |c| c.load.seconds += 1,
            |c| c.load.connections += 1,
            |c| c.load.threads += 1,
            |c| c.load.requests += 1,
            |c| c.load.clients += 1,
            |c| c.load.pipeline += 1,
            |c| (c.runs, c.boots, c.seed, c.timeout_s) = (9, 9, 9, 9),
        ];
        let cases = [
            (Experiment::Boot, Program::Hello),
            (Experiment::Boot, Program::Nginx),
            (Experiment::Footprint, Program::Sleep),
            (Experiment::Scalability, Program::Sqlite),
            (Experiment::Scalability, Program::Nginx),
            (Experiment::Isolation, Program::Redis),
        ];
        for (experiment, workload) in cases {
            let usual = configuration(experiment, workload);
            for (number, change) in changes.iter().enumerate() {
                let other = usual.changed(change);
                let parameters = |c: &Configuration| parameters(c, workload.name(), 0);
                let differ = parameters(&usual) != parameters(&other);
                assert_eq!(differ, !trial_differences(&usual, &other).is_empty(), "{experiment} {workload}: {number}");
            }
        }
    }

    #[test]
    fn the_order_of_a_ladder_matters_with_a_background_only() {
        let grown = run_file().configuration.changed(|c| c.ladder_order = LadderOrder::Growth);
        assert!(parameters(&grown, "hello", 0).is_empty());
        assert!(parameters(&grown, "hello", 10).contains_key(LADDER));
    }

    #[test]
    fn ab_gets_the_options_that_it_supports() {
        let sqlite = parameters(&configuration(Experiment::Scalability, Program::Sqlite), "sqlite", 0);
        assert_eq!(options(&sqlite).unwrap(), ["--rows", "0"]);
        let nginx = parameters(&configuration(Experiment::Isolation, Program::Nginx), "nginx", 0);
        assert_eq!(options(&nginx).unwrap(), ["--load-seconds", "20"]);
        let minimum = run_file().configuration.changed(|c| (c.experiment, c.minimum) = (Experiment::Footprint, true));
        assert!(options(&parameters(&minimum, "sleep", 0)).is_err());
    }
}
