//! Scalability: a victim beside N idle instances, and N victims at once.

use super::{Measured, server, sqlite};
use crate::host::placement;
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::Background;
use crate::measure::trial::Stage;
use crate::model::record::Cpus;
use crate::platform::{Error, LaunchSpec, Purpose};

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(stage, trial, None)?;
    let apart = stage.apart(trial);
    let arguments = if apart.is_some() { Vec::new() } else { sqlite::arguments(stage.configuration.rows()) };
    let spec = || {
        let spec = stage.spec(trial, trial.workload, Purpose::Measured)?;
        let cpus = apart.as_ref().map(|apart| apart.victims.clone());
        Ok(LaunchSpec { cpus, arguments: arguments.clone(), ..spec })
    };
    let specs = (0..trial.victims).map(|_| spec()).collect::<Result<Vec<_>, Error>>()?;
    if let Some(apart) = &apart {
        let cpus = |set: &crate::model::cpuset::CpuSet| set.iter().collect();
        measured.cpus = Cpus { victim: cpus(&apart.victims), client: cpus(&apart.client), ..Cpus::default() };
        measured.flags.extend(placement::client_shares(&apart.client, &apart.victims, &[]));
    }
    match (specs.as_slice(), &apart) {
        ([alone], Some(apart)) => server::alone(stage, alone, &apart.client, measured),
        ([alone], None) => sqlite::alone(stage, alone, measured),
        (several, Some(apart)) => server::together(stage, several, &apart.client, measured),
        (several, None) => sqlite::together(stage, several, measured),
    }
}
