//! The stored form of a configuration: one object with the parameters of all experiments.
//!
//! Version 0.1 stored configurations like this. Parameters of other experiments are written as empty or zero, and not read.

use serde::{Deserialize, Serialize};

use super::attacker::Attacker;
use super::configuration::{Configuration, Design, Ladder, LadderOrder, Profile, Work, thesis_load};
use super::load::Load;
use super::placement::Placement;
use super::platform::{Networking, PlatformId};
use super::program::Program;
use super::record::Experiment;

/// A configuration as `run.json` holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is that of `Configuration` or `Design` with the same name")]
pub struct FlatConfiguration {
    pub experiment: Experiment,
    pub profile: Profile,
    pub name: Option<String>,
    pub platforms: Vec<PlatformId>,
    #[serde(default)]
    pub workloads: Vec<Program>,
    #[serde(default = "unconnected")]
    pub network: Networking,
    #[serde(default = "thesis_load")]
    pub load: Load,
    pub attackers: Vec<Attacker>,
    #[serde(default)]
    pub server_attackers: Vec<Attacker>,
    pub placements: Vec<Placement>,
    pub ladder: Vec<u32>,
    #[serde(default)]
    pub minimum: bool,
    pub ladder_order: LadderOrder,
    pub victims: Vec<u32>,
    pub runs: u32,
    pub boots: u32,
    pub rows: u32,
    pub noise_quanta: u32,
    pub timeout_s: u64,
    pub seed: u64,
    pub filter: Option<String>,
}

fn unconnected() -> Networking {
    Networking::None
}

impl From<FlatConfiguration> for Configuration {
    fn from(flat: FlatConfiguration) -> Self {
        let ladder = Ladder { levels: flat.ladder, order: flat.ladder_order };
        let work = Work { rows: flat.rows, load: flat.load };
        let (placements, attackers, server_attackers) = (flat.placements, flat.attackers, flat.server_attackers);
        let design = match flat.experiment {
            Experiment::Boot => Design::Boot { ladder, boots: flat.boots },
            Experiment::Footprint if flat.minimum => Design::MinimumMemory,
            Experiment::Footprint => Design::Footprint { ladder },
            Experiment::Scalability => Design::Scalability { ladder, victims: flat.victims, work },
            Experiment::Isolation => Design::Isolation { placements, attackers, server_attackers, work },
        };
        Self {
            design,
            profile: flat.profile,
            name: flat.name,
            platforms: flat.platforms,
            workloads: flat.workloads,
            network: flat.network,
            runs: flat.runs,
            noise_quanta: flat.noise_quanta,
            timeout_s: flat.timeout_s,
            seed: flat.seed,
            filter: flat.filter,
        }
    }
}

impl From<Configuration> for FlatConfiguration {
    fn from(configuration: Configuration) -> Self {
        let flat = Self {
            experiment: configuration.experiment(),
            load: configuration.load(),
            attackers: Vec::new(),
            server_attackers: Vec::new(),
            placements: configuration.placements().to_vec(),
            ladder: configuration.levels().to_vec(),
            minimum: configuration.is_minimum(),
            ladder_order: configuration.ladder_order(),
            victims: configuration.victims().to_vec(),
            boots: configuration.each_pass(),
            rows: configuration.rows(),
            profile: configuration.profile,
            name: configuration.name,
            platforms: configuration.platforms,
            workloads: configuration.workloads,
            network: configuration.network,
            runs: configuration.runs,
            noise_quanta: configuration.noise_quanta,
            timeout_s: configuration.timeout_s,
            seed: configuration.seed,
            filter: configuration.filter,
        };
        match configuration.design {
            Design::Isolation { attackers, server_attackers, .. } => Self { attackers, server_attackers, ..flat },
            _ => flat,
        }
    }
}

impl Configuration {
    /// The configuration with its stored form changed by `change`: the shortest way to vary one parameter in a test.
    #[doc(hidden)]
    #[must_use]
    pub fn changed(&self, change: impl FnOnce(&mut FlatConfiguration)) -> Self {
        let mut flat = FlatConfiguration::from(self.clone());
        change(&mut flat);
        flat.into()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What version 0.1 stored for every experiment, with parameters of all of them.
    const STORED: &str = r#"{"experiment":"boot","profile":"quick","name":null,"platforms":["fake"],
        "load":{"seconds":1,"connections":30,"threads":14,"requests":1000,"clients":30,"pipeline":16},
        "attackers":["prime"],"server_attackers":["stream"],"placements":["fill"],"ladder":[0,10],"minimum":false,
        "ladder_order":"growth","victims":[2],"runs":3,"boots":2,"rows":100,"noise_quanta":0,"timeout_s":60,"seed":1,
        "filter":null}"#;

    #[rstest]
    fn a_stored_configuration_keeps_what_its_experiment_uses(
        #[values("boot", "footprint", "scalability", "isolation")] experiment: &str,
    ) {
        let text = STORED.replace("\"experiment\":\"boot\"", &format!("\"experiment\":\"{experiment}\""));
        let configuration: Configuration = serde_json::from_str(&text).expect("a stored configuration");
        let again: Configuration =
            serde_json::from_str(&serde_json::to_string(&configuration).expect("text")).expect("what was written");
        assert_eq!(again, configuration);
        assert_eq!(configuration.experiment().name(), experiment);
        let is_isolation = experiment == "isolation";
        assert_eq!(configuration.levels(), if is_isolation { &[][..] } else { &[0, 10] });
        assert_eq!(configuration.attackers_of(Program::Sqlite).len(), usize::from(is_isolation));
        assert_eq!(configuration.each_pass(), if experiment == "boot" { 2 } else { 1 });
        assert_eq!(configuration.rows(), if matches!(experiment, "boot" | "footprint") { 0 } else { 100 });
    }

    #[test]
    fn a_search_for_the_smallest_memory_is_a_design_of_its_own() {
        let text = STORED.replace("\"boot\"", "\"footprint\"").replace("\"minimum\":false", "\"minimum\":true");
        let configuration: Configuration = serde_json::from_str(&text).expect("a stored configuration");
        assert_eq!((configuration.design.clone(), configuration.levels()), (Design::MinimumMemory, &[0][..]));
    }
}
