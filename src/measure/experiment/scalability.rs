//! Scalability: a victim next to N idle instances, and N victims at once.

use super::{Measured, server, sqlite};
use crate::host::placement;
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, TrialRig};
use crate::model::cpuset::CpuSet;
use crate::model::record::Cpus;
use crate::platform::{Error, LaunchSpec, Purpose};

pub(super) fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(rig, trial, None)?;
    let apart = rig.apart(trial);
    let arguments = if apart.is_some() { Vec::new() } else { sqlite::arguments(rig.configuration.rows()) };
    let spec = || {
        let spec = rig.spec(trial, trial.workload, Purpose::Measured)?;
        let cpus = apart.as_ref().map(|apart| apart.victims.clone());
        Ok(LaunchSpec { cpus, arguments: arguments.clone(), ..spec })
    };
    let specs = (0..trial.victims).map(|_| spec()).collect::<Result<Vec<_>, Error>>()?;
    if let Some(apart) = &apart {
        let cpus = |set: &CpuSet| set.iter().collect();
        measured.cpus = Cpus { victim: cpus(&apart.victims), client: cpus(&apart.client), ..Cpus::default() };
        measured.flags.extend(placement::client_shares(&apart.client, &apart.victims, &[]));
    }
    match (specs.as_slice(), &apart) {
        ([alone], Some(apart)) => server::alone(rig, alone, &apart.client, measured),
        ([alone], None) => sqlite::alone(rig, alone, measured),
        (several, Some(apart)) => server::together(rig, several, &apart.client, measured),
        (several, None) => sqlite::together(rig, several, measured),
    }
}
