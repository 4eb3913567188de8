//! A small run and its records, for tests.

use std::collections::BTreeMap;

use super::{RunFile, RunOutcome};
use crate::model::configuration::{LadderOrder, Profile};
use crate::model::event::Event;
use crate::model::flat_configuration::FlatConfiguration;
use crate::model::load::Load;
use crate::model::metric;
use crate::model::placement::Placement;
use crate::model::platform::{Accelerator, Networking, PlatformId};
use crate::model::program::Program;
use crate::model::record::{Case, Cpus, Experiment, Outcome, Role, SCHEMA, TrialRecord};
use crate::model::run::RunId;
use crate::model::units::Nanos;

/// The id of the run.
pub(crate) fn run_id() -> RunId {
    "20261121-084514-3f9a".parse().expect("the id is well formed")
}

/// A successful trial of boot on the fake platform.
pub(crate) fn record(order: u64) -> TrialRecord {
    TrialRecord {
        schema: SCHEMA,
        run: run_id(),
        order,
        trial: 0,
        role: Role::Measured,
        case: Case {
            experiment: Experiment::Boot,
            platform: PlatformId::new("fake"),
            accelerator: Accelerator::None,
            workload: Program::Hello,
            attacker: None,
            placement: Placement::Unpinned,
            background: 0,
            victims: 1,
            image: "00".repeat(32),
        },
        started: "2026-11-21T08:45:14Z".into(),
        cpus: Cpus::default(),
        metrics: vec![metric::BOOT.of(7_190_081.0 + order as f64)],
        events: BTreeMap::from([(Event::Spawn, Nanos(0)), (Event::Main, Nanos(7_190_081 + order))]),
        attack_ops: None,
        flags: Vec::new(),
        outcome: Outcome::Ok,
        reason: None,
    }
}

/// A complete run of boot on the fake platform.
pub(crate) fn run_file() -> RunFile {
    RunFile {
        schema: SCHEMA,
        run: run_id(),
        version: "0.1.0".into(),
        command: vec!["boot".into()],
        configuration: FlatConfiguration {
            experiment: Experiment::Boot,
            profile: Profile::Quick,
            name: None,
            platforms: vec![PlatformId::new("fake")],
            workloads: Vec::new(),
            network: Networking::None,
            load: Load { seconds: 1, connections: 30, threads: 14, requests: 1_000, clients: 30, pipeline: 16 },
            attackers: Vec::new(),
            server_attackers: Vec::new(),
            placements: Vec::new(),
            ladder: vec![0, 10],
            minimum: false,
            ladder_order: LadderOrder::Shuffled,
            victims: Vec::new(),
            runs: 1,
            boots: 1,
            rows: 0,
            noise_quanta: 0,
            timeout_s: 60,
            seed: 1,
            filter: None,
        }
        .into(),
        started: "2026-11-21T08:45:14Z".into(),
        ended: Some("2026-11-21T08:46:14Z".into()),
        host: BTreeMap::new(),
        platforms: Vec::new(),
        images: Vec::new(),
        made: BTreeMap::new(),
        skips: Vec::new(),
        planned: 3,
        noise: None,
        outcome: RunOutcome::Complete,
        reason: None,
        confirms: None,
    }
}
