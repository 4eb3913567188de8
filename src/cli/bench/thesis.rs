//! The experiment codes of the thesis on which the methodology is based (see `docs/methodology.md`).

use std::fmt;
use std::str::FromStr;

use super::profile::SERVER_ATTACKERS;
use crate::model::attacker::Attacker;
use crate::model::names::UnknownName;
use crate::model::platform::{Networking, PlatformId};
use crate::model::program::Program;
use crate::model::record::Experiment;

/// One of the thesis's experiments: `d_` on Docker, `uk_` on Unikraft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThesisCode(&'static Row);

#[derive(Debug, PartialEq, Eq)]
struct Row {
    code: &'static str,
    experiment: Experiment,
    workload: Program,
}

const CODES: &[Row] = &[
    Row { code: "d_boot", experiment: Experiment::Boot, workload: Program::Hello },
    Row { code: "d_mem", experiment: Experiment::Footprint, workload: Program::Sleep },
    Row { code: "d_ng_s", experiment: Experiment::Scalability, workload: Program::Nginx },
    Row { code: "d_re_s", experiment: Experiment::Scalability, workload: Program::Redis },
    Row { code: "d_sql_s", experiment: Experiment::Scalability, workload: Program::Sqlite },
    Row { code: "d_nginx_perf_iso", experiment: Experiment::Isolation, workload: Program::Nginx },
    Row { code: "d_redis_perf_iso", experiment: Experiment::Isolation, workload: Program::Redis },
    Row { code: "d_sqlite_perf_iso", experiment: Experiment::Isolation, workload: Program::Sqlite },
    Row { code: "uk_boot", experiment: Experiment::Boot, workload: Program::Hello },
    Row { code: "uk_mem", experiment: Experiment::Footprint, workload: Program::Sleep },
    Row { code: "uk_ng_s", experiment: Experiment::Scalability, workload: Program::Nginx },
    Row { code: "uk_re_s", experiment: Experiment::Scalability, workload: Program::Redis },
    Row { code: "uk_sql_s", experiment: Experiment::Scalability, workload: Program::Sqlite },
    Row { code: "uk_nginx_perf_iso", experiment: Experiment::Isolation, workload: Program::Nginx },
    Row { code: "uk_redis_perf_iso", experiment: Experiment::Isolation, workload: Program::Redis },
    Row { code: "uk_sqlite_perf_iso", experiment: Experiment::Isolation, workload: Program::Sqlite },
];

impl ThesisCode {
    /// The experiment that it names.
    pub fn experiment(self) -> Experiment {
        self.0.experiment
    }

    /// The guest program that it measures.
    pub fn workload(self) -> Program {
        self.0.workload
    }

    /// Where the thesis measured it. There, booting was timed around Docker's own command.
    pub fn platform(self) -> PlatformId {
        PlatformId::new(match (self.is_on_docker(), self.0.experiment) {
            (true, Experiment::Boot) => "docker-cli",
            (true, _) => "docker",
            (false, _) => "qemu:unikraft",
        })
    }

    /// How the thesis connected the instances: Docker's default is its bridge.
    pub fn network(self) -> Networking {
        if self.is_on_docker() { Networking::Bridge } else { Networking::None }
    }

    /// The attackers that the thesis ran with this victim: all of them on SQLite, CPU and memory on servers.
    pub fn attackers(self) -> Vec<Attacker> {
        match self.0.experiment {
            Experiment::Isolation if self.0.workload.is_server() => SERVER_ATTACKERS.to_vec(),
            Experiment::Isolation => Attacker::ALL.to_vec(),
            _ => Vec::new(),
        }
    }

    fn is_on_docker(self) -> bool {
        self.0.code.starts_with("d_")
    }
}

impl FromStr for ThesisCode {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CODES.iter().find(|row| row.code == text).map(ThesisCode).ok_or_else(|| UnknownName {
            given: text.to_owned(),
            what: "thesis code",
            accepted: CODES.iter().map(|row| row.code).collect::<Vec<_>>().join(", "),
        })
    }
}

impl fmt::Display for ThesisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.code)
    }
}
