//! The victims: the metrics that are shown of each, and the words for its slowdown.

use super::text::{count, median_cell, quantity, ratio, ratio_spread, share, share_spread};
use super::{CaseResult, Cell};
use crate::model::metric::{
    CLIENT_CPU, CLIENT_ERRORS, CLIENT_TIME_WAIT, INSERT_TIME, INSERT_TIME_GUEST, LATENCY_P50, LATENCY_P50_GET,
    LATENCY_P50_SET, LATENCY_P99, LATENCY_P99_GET, LATENCY_P99_SET, MetricInfo, THROUGHPUT, THROUGHPUT_GET,
    THROUGHPUT_SET,
};
use crate::model::units::{Direction, Scale, Unit};
use crate::stats::{Response, Summary};

/// A victim's metrics and words.
#[derive(Debug)]
pub(super) struct Victim {
    /// Its name in cases.
    workload: &'static str,
    /// Its name in sentences.
    pub(super) name: &'static str,
    /// The metric of its slowdown.
    pub(super) metric: &'static MetricInfo,
    /// What its throughput counts, as an axis's label.
    pub(super) rate: &'static str,
    /// What it does, as the start of a sentence.
    pub(super) does: &'static str,
    /// Where its numbers come from.
    pub(super) source: &'static str,
    /// The metrics shown next to the main one.
    pub(super) details: &'static [&'static MetricInfo],
    /// The metrics of the load generator, shown in a table of their own.
    pub(super) load: &'static [&'static MetricInfo],
}

const VICTIMS: [Victim; 3] = [
    Victim {
        workload: "sqlite",
        name: "SQLite",
        metric: &INSERT_TIME,
        rate: "rows per second",
        does: "SQLite inserts rows one by one on an in-memory file system",
        source: "The time runs from the guest's ready line to its result, on the host's clock; the guest's own clock is \
            a cross-check.",
        details: &[&INSERT_TIME_GUEST],
        load: &[],
    },
    Victim {
        workload: "nginx",
        name: "Nginx",
        metric: &THROUGHPUT,
        rate: "requests per second",
        does: "wrk requests the same small page from Nginx on many connections at once",
        source: "wrk reports throughput and latency; its own CPU use shows whether it was the limit.",
        details: &[&LATENCY_P50, &LATENCY_P99, &CLIENT_CPU],
        load: &[&CLIENT_ERRORS, &CLIENT_TIME_WAIT],
    },
    Victim {
        workload: "redis",
        name: "Redis",
        metric: &THROUGHPUT,
        rate: "operations per second",
        does: "redis-benchmark sets and gets keys in Redis, with several requests at once from each of its clients",
        source: "redis-benchmark reports throughput and latency; its own CPU use shows whether it was the limit.",
        details: &[&THROUGHPUT_SET, &THROUGHPUT_GET, &CLIENT_CPU],
        load: &[&LATENCY_P50_SET, &LATENCY_P99_SET, &LATENCY_P50_GET, &LATENCY_P99_GET, &CLIENT_TIME_WAIT],
    },
];

/// A workload's name in headings and sentences.
pub(super) fn name(workload: &str) -> &str {
    VICTIMS.iter().find(|v| v.workload == workload).map_or(workload, |v| v.name)
}

/// Whether a load generator drives the workload.
pub(super) fn is_server(workload: &str) -> bool {
    VICTIMS.iter().any(|v| v.workload == workload && v.has_throughput())
}

/// The victim of that name in cases; SQLite for an unknown one.
pub(super) fn victim(workload: &str) -> &'static Victim {
    VICTIMS.iter().find(|v| v.workload == workload).unwrap_or(&VICTIMS[0])
}

impl Victim {
    /// Whether its main metric is a throughput; it is a time otherwise.
    pub(super) fn has_throughput(&self) -> bool {
        self.metric.direction == Direction::Higher
    }

    /// `takes 1.31 s (…)`, `serves 45.8 k/s (…)`.
    pub(super) fn alone(&self, case: &CaseResult) -> String {
        let verb = if self.has_throughput() { "serves" } else { "takes" };
        match case.summary(self.metric) {
            Some(summary) => format!("{verb} {}", quantity(summary, self.metric.unit)),
            None => format!("has no successful trial in {}", count(case.counts.trials(), "trial")),
        }
    }

    /// `it takes 1.96 × as long (…)`, `52 % of its throughput is left (…)`.
    pub(super) fn change(&self, response: &Response) -> String {
        match response {
            Response::DidNotRespond { .. } => format!("it stops responding ({})", ratio_spread(response)),
            Response::Slowdown(_) if self.has_throughput() => {
                format!("{} of its throughput is left ({})", share(response), share_spread(response))
            }
            Response::Slowdown(_) => format!("it takes {} as long ({})", ratio(response), ratio_spread(response)),
        }
    }

    /// The change of one of several victims: `each takes 2.05 × as long (…)`, `each has 52 % of the throughput (…)`.
    pub(super) fn change_of_each(&self, response: &Response) -> String {
        match response {
            Response::DidNotRespond { .. } => format!("they stop responding ({})", ratio_spread(response)),
            Response::Slowdown(_) if self.has_throughput() => {
                format!("each has {} of the throughput ({})", share(response), share_spread(response))
            }
            Response::Slowdown(_) => format!("each takes {} as long ({})", ratio(response), ratio_spread(response)),
        }
    }

    /// The effect of an attacker: `makes SQLite take 1.96 × as long`, `leaves Nginx 52 % of its throughput`.
    pub(super) fn harm(&self, response: &Response) -> String {
        match response {
            Response::DidNotRespond { .. } => format!("stops {}", self.name),
            Response::Slowdown(_) if self.has_throughput() => {
                format!("leaves {} {} of its throughput", self.name, share(response))
            }
            Response::Slowdown(_) => format!("makes {} take {} as long", self.name, ratio(response)),
        }
    }

    /// The effect in a word: `1.96 ×`, `52 %`.
    pub(super) fn short(&self, response: &Response) -> String {
        if self.has_throughput() { share(response) } else { ratio(response) }
    }

    /// The spread of [`Victim::short`] and [`Victim::harm`].
    pub(super) fn short_spread(&self, response: &Response) -> String {
        if self.has_throughput() { share_spread(response) } else { ratio_spread(response) }
    }

    /// How to read its slowdown, for a table's note.
    pub(super) fn reading(&self) -> &'static str {
        match self.has_throughput() {
            true => "throughput without the load divided by throughput with it; 2 × is half the throughput",
            false => "time with the load divided by time without it",
        }
    }
}

/// The cell of a metric next to the main one. A share is shown in per cent.
pub(super) fn detail_cell(metric: &MetricInfo, case: &CaseResult, all: &[CaseResult]) -> Cell {
    match metric.unit {
        Unit::Ratio => percent_cell(case.summary(metric)),
        _ => median_cell(case.summary(metric), scale(all, metric)),
    }
}

/// The scale of a metric's column.
pub(super) fn scale(all: &[CaseResult], metric: &MetricInfo) -> Scale {
    super::text::column_scale(metric.unit, all.iter().filter_map(|c| c.summary(metric)))
}

fn percent_cell(summary: Option<&Summary>) -> Cell {
    let Some(s) = summary else { return Cell::missing() };
    let (low, high) = s.interval.map_or((s.min, s.max), |i| (i.low, i.high));
    let detail = match s.count {
        1 => count(1, "trial"),
        _ => format!("{:.0} – {:.0} %", 100.0 * low, 100.0 * high),
    };
    Cell::new(format!("{:.0} %", 100.0 * s.median)).detail(detail)
}
