//! What this host supports: platforms, placements, tools.

use std::path::Path;

use crate::host::Topology;
use crate::host::placement;
use crate::measure::RunError;
use crate::measure::plan::HostSupport;
use crate::model::configuration::Configuration;
use crate::model::platform::{PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::record::Experiment;
use crate::platform::load_generator::LoadGenerator;
use crate::platform::{Context, Error, Platform, registry};
use crate::store::PlatformEntry;

/// Opens the platforms that can run here, and reads what they, the host and its tools support.
pub(super) fn host_support(
    configuration: &Configuration,
    context: &Context,
    topology: &Topology,
    generator: &dyn LoadGenerator,
) -> (Vec<Box<dyn Platform>>, Vec<PlatformEntry>, HostSupport) {
    let (mut opened, mut entries, mut supported) = (Vec::new(), Vec::new(), Vec::new());
    for id in &configuration.platforms {
        match open_platform(id, context) {
            Ok((platform, facts)) => {
                let capabilities = platform.capabilities();
                entries.push(PlatformEntry { id: id.clone(), capabilities, facts });
                supported.push((id.clone(), Ok(capabilities)));
                opened.push(platform);
            }
            Err(why) => supported.push((id.clone(), Err(why))),
        }
    }
    let placements = configuration.placements().iter().map(|&placement| {
        let assigned = placement::assign(topology, placement);
        (placement, assigned.map(drop).map_err(|e| e.to_string()))
    });
    let host_support = HostSupport {
        platforms: supported,
        placements: placements.collect(),
        workloads: drivable(configuration, generator),
    };
    (opened, entries, host_support)
}

/// The servers that the configuration drives, and whether the host's tools can drive them. Booting and weighing a server
/// needs no tool.
fn drivable(configuration: &Configuration, generator: &dyn LoadGenerator) -> Vec<(Program, Result<(), Unavailable>)> {
    if !matches!(configuration.experiment(), Experiment::Scalability | Experiment::Isolation) {
        return Vec::new();
    }
    let servers = configuration.measured().into_iter().filter(|program| program.is_server());
    servers.map(|program| (program, generator.check(program).map(drop))).collect()
}

fn open_platform(id: &PlatformId, context: &Context) -> Result<(Box<dyn Platform>, PlatformFacts), Unavailable> {
    let platform = registry::open(id, context).map_err(|error| match error {
        Error::Unavailable(why) => why,
        other => Unavailable {
            reason: other.to_string(),
            cure: "run `cargo xtask doctor` to see what is missing".to_owned(),
        },
    })?;
    let facts = platform.check()?;
    Ok((platform, facts))
}

/// Reads the topology of the CPUs that this process may use.
pub(crate) fn read_topology() -> Result<Topology, RunError> {
    let usable = placement::usable_cpus().map_err(RunError::ReadUsableCpus)?;
    Ok(Topology::read(Path::new("/sys"), &usable)?)
}
