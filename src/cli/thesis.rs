//! The experiment codes of the thesis that is the main source (named in `docs/methodology.md`).

use std::fmt;
use std::str::FromStr;

use crate::attacker::Attacker;
use crate::names::UnknownName;
use crate::store::Experiment;

/// One of the thesis's experiments: `d_` on Docker, `uk_` on Unikraft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThesisCode(&'static Row);

#[derive(Debug, PartialEq, Eq)]
struct Row {
    code: &'static str,
    experiment: Experiment,
    workload: &'static str,
}

const CODES: &[Row] = &[
    Row { code: "d_boot", experiment: Experiment::Boot, workload: "hello" },
    Row { code: "d_mem", experiment: Experiment::Footprint, workload: "sleep" },
    Row { code: "d_ng_s", experiment: Experiment::Scalability, workload: "nginx" },
    Row { code: "d_re_s", experiment: Experiment::Scalability, workload: "redis" },
    Row { code: "d_sql_s", experiment: Experiment::Scalability, workload: "sqlite" },
    Row { code: "d_nginx_perf_iso", experiment: Experiment::Isolation, workload: "nginx" },
    Row { code: "d_redis_perf_iso", experiment: Experiment::Isolation, workload: "redis" },
    Row { code: "d_sqlite_perf_iso", experiment: Experiment::Isolation, workload: "sqlite" },
    Row { code: "uk_boot", experiment: Experiment::Boot, workload: "hello" },
    Row { code: "uk_mem", experiment: Experiment::Footprint, workload: "sleep" },
    Row { code: "uk_ng_s", experiment: Experiment::Scalability, workload: "nginx" },
    Row { code: "uk_re_s", experiment: Experiment::Scalability, workload: "redis" },
    Row { code: "uk_sql_s", experiment: Experiment::Scalability, workload: "sqlite" },
    Row { code: "uk_nginx_perf_iso", experiment: Experiment::Isolation, workload: "nginx" },
    Row { code: "uk_redis_perf_iso", experiment: Experiment::Isolation, workload: "redis" },
    Row { code: "uk_sqlite_perf_iso", experiment: Experiment::Isolation, workload: "sqlite" },
];

impl ThesisCode {
    /// The experiment it is.
    pub fn experiment(self) -> Experiment {
        self.0.experiment
    }

    /// Why this version cannot measure its victim; `None` when it can.
    pub fn missing_workload(self) -> Option<String> {
        let here = matches!(self.0.workload, "hello" | "sleep" | "sqlite");
        (!here).then(|| format!("{self} measures {}, which comes with the docker platform", self.0.workload))
    }

    /// Why this version cannot measure where the thesis did.
    pub fn missing_platform(self) -> String {
        let (platform, system) = match self.0.code.starts_with("d_") {
            true => ("docker", "Docker"),
            false => ("qemu", "Unikraft on QEMU"),
        };
        format!(
            "{self} measures {system}, and the platform {platform} does not exist in this version yet; \
             --platform youki (or native) runs the same experiment there"
        )
    }

    /// The attackers that the thesis set beside this victim: all of them on SQLite, CPU and memory on servers.
    pub fn attackers(self) -> Vec<Attacker> {
        match (self.0.experiment, self.0.workload) {
            (Experiment::Isolation, "sqlite") => Attacker::ALL.to_vec(),
            (Experiment::Isolation, _) => vec![Attacker::Prime, Attacker::Stream],
            _ => Vec::new(),
        }
    }
}

impl FromStr for ThesisCode {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CODES.iter().find(|row| row.code == text).map(ThesisCode).ok_or_else(|| UnknownName {
            given: text.to_owned(),
            what: "code of the thesis",
            accepted: CODES.iter().map(|row| row.code).collect::<Vec<_>>().join(", "),
        })
    }
}

impl fmt::Display for ThesisCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.code)
    }
}
