//! What this machine offers: platforms that can run, placements, tools.

use std::path::Path;

use crate::host::Topology;
use crate::host::placement;
use crate::measure::plan::HostSupport;
use crate::measure::session::EngineError;
use crate::model::configuration::Configuration;
use crate::model::platform::{PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::record::Experiment;
use crate::platform::load_generator::LoadGenerator;
use crate::platform::{Context, Error, Platform, registry};
use crate::store::PlatformEntry;

/// Opens the platforms that can run here and asks what they, the host and its tools offer.
pub(crate) fn host_support(
    configuration: &Configuration,
    context: &Context,
    topology: &Topology,
    generator: &dyn LoadGenerator,
) -> (Vec<Box<dyn Platform>>, Vec<PlatformEntry>, HostSupport) {
    let (mut opened, mut entries, mut offered) = (Vec::new(), Vec::new(), Vec::new());
    for id in &configuration.platforms {
        match open_platform(id, context) {
            Ok((platform, facts)) => {
                let capabilities = platform.capabilities();
                entries.push(PlatformEntry { id: id.clone(), capabilities, facts });
                offered.push((id.clone(), Ok(capabilities)));
                opened.push(platform);
            }
            Err(why) => offered.push((id.clone(), Err(why))),
        }
    }
    let placements = configuration.placements().iter().map(|&wanted| {
        let here = placement::assign(topology, wanted).map(drop).map_err(|e| e.to_string());
        (wanted, here)
    });
    let host_support = HostSupport {
        platforms: offered,
        placements: placements.collect(),
        workloads: drivable(configuration, generator),
    };
    (opened, entries, host_support)
}

/// The servers that are to be driven, and whether the host's tools can. Booting and weighing them needs no tool.
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
        other => Unavailable { reason: other.to_string(), cure: "see cargo xtask doctor".to_owned() },
    })?;
    let facts = platform.check()?;
    Ok((platform, facts))
}

/// The CPUs of this host.
pub(crate) fn read_topology() -> Result<Topology, EngineError> {
    let host = |e: String| EngineError::Host(format!("read the host's CPUs: {e}"));
    let usable = placement::usable_cpus().map_err(|e| host(e.to_string()))?;
    Topology::read(Path::new("/sys"), &usable).map_err(|e| host(e.to_string()))
}
