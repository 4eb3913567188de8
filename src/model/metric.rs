//! The metric catalogue: every metric that a trial can have, once.
//!
//! Reports, exports, `ab`, `compare` and the table in `docs/methodology.md` read it. No other code spells a metric's name, except tests.

use super::program::Program;
use super::record::{Experiment, Metric};
use super::units::{Direction, Unit};

/// The properties of a metric, the same in every trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// The name in records: `insert_time`.
    pub name: &'static str,
    /// The unit of its values.
    pub unit: Unit,
    /// Which direction is an improvement.
    pub direction: Direction,
    /// The experiments, workloads and options that measure it, in words.
    pub measured_in: &'static str,
    /// The heading of its column and the label of its axis.
    pub label: &'static str,
    /// The definition, in one sentence without a full stop.
    pub definition: &'static str,
}

impl MetricInfo {
    /// Returns a trial's record of this metric.
    pub fn of(&self, value: f64) -> Metric {
        Metric { name: self.name.to_owned(), unit: self.unit, direction: self.direction, value, samples: Vec::new() }
    }
}

/// Finds a metric by its name; `None` if it comes from a newer version.
pub fn find(name: &str) -> Option<&'static MetricInfo> {
    CATALOGUE.iter().copied().find(|metric| metric.name == name)
}

/// The main metrics of an experiment with that guest program. They are few, since each one adds a chance of a false alarm.
pub fn headline(experiment: Experiment, workload: Program) -> &'static [&'static MetricInfo] {
    match (experiment, workload) {
        (Experiment::Boot, server) if server.is_server() => &[&BOOT, &READY],
        (Experiment::Boot, _) => &[&BOOT, &BOOT_WHOLE],
        (Experiment::Footprint, _) => &[&PSS_PER_INSTANCE, &CHARGE_PER_INSTANCE, &IMAGE_SIZE, &MINIMUM_MEMORY],
        (_, Program::Nginx) => &[&THROUGHPUT, &LATENCY_P99],
        (_, Program::Redis) => &[&THROUGHPUT, &LATENCY_P99_SET, &LATENCY_P99_GET],
        _ => &[&INSERT_TIME],
    }
}

/// The catalogue as a Markdown table, for `docs/methodology.md`.
pub fn markdown() -> String {
    let arrow = |direction| match direction {
        Direction::Lower => "↓",
        Direction::Higher => "↑",
        Direction::Neutral => "·",
    };
    let row = |m: &&MetricInfo| {
        format!(
            "| `{}` | {} | `{}` | {} | {} |\n",
            m.name,
            m.measured_in,
            m.unit.symbol(),
            arrow(m.direction),
            m.definition
        )
    };
    let head = "| metric | measured in | unit | better | definition |\n| --- | --- | --- | --- | --- |\n";
    head.to_owned() + &CATALOGUE.iter().map(row).collect::<String>()
}

/// Declares each metric as a constant with its definition as documentation, and the catalogue of all.
macro_rules! catalogue {
    ($($constant:ident = $name:literal, $unit:ident, $direction:ident, $measured_in:literal, $label:literal, $definition:literal;)+) => {
        /// Every metric, in the order of the documentation.
        pub const CATALOGUE: &[&MetricInfo] = &[$(&$constant),+];

        $(#[doc = $definition]
        pub const $constant: MetricInfo = MetricInfo {
            name: $name,
            unit: Unit::$unit,
            direction: Direction::$direction,
            measured_in: $measured_in,
            label: $label,
            definition: $definition,
        };)+
    };
}

catalogue! {
    BOOT = "boot", Nanos, Lower, "boot", "boot",
        "`spawn` to `main`; the headline";
    BOOT_WHOLE = "boot_whole", Nanos, Lower, "boot, not of servers", "total",
        "`spawn` to `exit`, the span that the thesis timed";
    READY = "ready", Nanos, Lower, "boot of servers", "ready",
        "`spawn` to `ready`";
    CREATE = "create", Nanos, Lower, "boot", "create",
        "`spawn` to `created`";
    START = "start", Nanos, Lower, "boot", "start",
        "`created` to `main`; for some virtual machines, `vmm` to `main`";
    MONITOR = "monitor", Nanos, Lower, "boot of virtual machines", "monitor",
        "`spawn` to `vmm`";
    KERNEL = "kernel", Nanos, Lower, "boot of virtual machines", "kernel",
        "`vmm` to `guest`";
    MONITOR_KERNEL = "monitor_kernel", Nanos, Lower, "boot of virtual machines", "monitor + kernel",
        "`spawn` to `guest`";
    PROGRAM = "program", Nanos, Lower, "boot of virtual machines", "program",
        "`guest` to `main`";
    RUN = "run", Nanos, Lower, "boot, not of servers", "run",
        "`main` to `exit`";
    REMOVAL = "removal", Nanos, Lower, "boot", "removal",
        "`exit` to `gone`";
    INSERT_TIME = "insert_time", Nanos, Lower, "scalability, isolation", "insert time",
        "`ready` to `result` on the host's clock; the median over several victims";
    INSERT_TIME_GUEST = "insert_time_guest", Nanos, Lower, "scalability (one victim), isolation", "guest clock",
        "`insert_time` on the guest's own clock, as a cross-check";
    THROUGHPUT = "throughput", PerSecond, Higher, "scalability, isolation", "throughput",
        "servers: requests per second that the load generator reports, summed over the victims; several SQLite victims: the sum of rows divided by `insert_time`";
    THROUGHPUT_SET = "throughput_set", PerSecond, Higher, "`redis` in scalability and isolation", "SET",
        "SET requests per second, as `redis-benchmark` reports";
    THROUGHPUT_GET = "throughput_get", PerSecond, Higher, "`redis` in scalability and isolation", "GET",
        "GET requests per second, as `redis-benchmark` reports";
    THROUGHPUT_PER_VICTIM = "throughput_per_victim", PerSecond, Higher, "servers, several victims", "throughput per victim",
        "the median over the victims, which is comparable to one server alone";
    FAIRNESS = "fairness", Ratio, Higher, "scalability, several victims", "fairness",
        "Jain's index over the victims' rates";
    LATENCY_P50 = "latency_p50", Nanos, Lower, "`nginx` in scalability and isolation", "p50",
        "the time within which half of the responses arrived";
    LATENCY_P99 = "latency_p99", Nanos, Lower, "`nginx` in scalability and isolation", "p99",
        "the time within which 99 % of the responses arrived";
    LATENCY_P50_SET = "latency_p50_set", Nanos, Lower, "`redis` in scalability and isolation", "SET p50",
        "`latency_p50` of SET requests; requires `redis-benchmark` 6.2 or later";
    LATENCY_P99_SET = "latency_p99_set", Nanos, Lower, "`redis` in scalability and isolation", "SET p99",
        "`latency_p99` of SET requests; requires `redis-benchmark` 6.2 or later";
    LATENCY_P50_GET = "latency_p50_get", Nanos, Lower, "`redis` in scalability and isolation", "GET p50",
        "`latency_p50` of GET requests; requires `redis-benchmark` 6.2 or later";
    LATENCY_P99_GET = "latency_p99_get", Nanos, Lower, "`redis` in scalability and isolation", "GET p99",
        "`latency_p99` of GET requests; requires `redis-benchmark` 6.2 or later";
    CLIENT_CPU = "client_cpu", Ratio, Neutral, "servers in scalability and isolation", "client CPU",
        "the load generator's CPU time divided by what it could have used";
    CLIENT_ERRORS = "client_errors", Count, Neutral, "`nginx` in scalability and isolation", "client errors",
        "failed reads and writes, and responses later than `wrk`'s timeout of 2 s";
    CLIENT_TIME_WAIT = "client_time_wait", Count, Neutral, "servers in scalability and isolation", "TIME_WAIT sockets",
        "sockets in TIME_WAIT in the load generator's network namespace after it ended";
    IMAGE_SIZE = "image_size", Bytes, Lower, "footprint", "image size",
        "bytes of the image's root file system";
    START_PER_INSTANCE = "start_per_instance", Nanos, Lower, "footprint", "start time",
        "wall time until all instances of this level are ready, divided by their number";
    MEM_USED = "mem_used", Bytes, Lower, "footprint", "host memory, total",
        "fall of the host's `MemAvailable` since the nearest earlier reading without instances";
    MEM_AVAILABLE_PER_INSTANCE = "mem_available_per_instance", Bytes, Lower, "footprint", "host memory",
        "`mem_used` divided by the number of instances";
    SLAB_PER_INSTANCE = "slab_per_instance", Bytes, Lower, "footprint", "kernel slab",
        "growth of the kernel's `Slab` per instance";
    SWAP_PER_INSTANCE = "swap_per_instance", Bytes, Lower, "footprint", "host swap",
        "growth of used swap per instance";
    PSS_PER_INSTANCE = "pss_per_instance", Bytes, Lower, "footprint", "PSS",
        "mean over instances of the PSS of their processes";
    USS_PER_INSTANCE = "uss_per_instance", Bytes, Lower, "footprint", "USS",
        "mean over instances of the private memory of their processes";
    PSS_GUEST = "pss_guest", Bytes, Lower, "footprint of virtual machines", "guest memory, touched",
        "mean PSS of the guest's memory: what the guest has touched";
    PSS_TRANSLATION = "pss_translation", Bytes, Lower, "footprint of virtual machines", "translated code",
        "mean PSS of writable and executable mappings without a file: code translated by TCG";
    PSS_PROGRAM = "pss_program", Bytes, Lower, "footprint of virtual machines", "program and libraries",
        "mean PSS of read-only file mappings: the monitor's program and libraries";
    PSS_MONITOR = "pss_monitor", Bytes, Lower, "footprint of virtual machines", "monitor data",
        "mean PSS of all other mappings: the monitor's heap, stacks and data";
    PSS_OVERHEAD = "pss_overhead", Bytes, Lower, "footprint of virtual machines", "monitor overhead",
        "mean PSS without `pss_guest`";
    GUEST_MEMORY = "guest_memory", Bytes, Neutral, "footprint of virtual machines", "guest memory",
        "the memory that the guest was given";
    MINIMUM_MEMORY = "minimum_memory", Bytes, Lower, "footprint with `--minimum`", "minimum memory",
        "the smallest memory with which the guest boots";
    INSUFFICIENT_MEMORY = "insufficient_memory", Bytes, Neutral, "footprint with `--minimum`", "insufficient memory",
        "the largest memory with which the guest does not boot";
    CHARGE_PER_INSTANCE = "charge_per_instance", Bytes, Lower, "footprint", "cgroup memory",
        "mean over instances of their control group's memory charge";
    HOST_CPU_AVAILABLE = "host_cpu_available", Ratio, Neutral, "boot, footprint, scalability", "host CPU idle",
        "idle share of all CPUs while the host settled at this level";
    HOST_MEM_AVAILABLE = "host_mem_available", Bytes, Neutral, "boot, footprint, scalability", "host memory available",
        "the host's `MemAvailable` while it settled at this level";
    HOST_SWAP_USED = "host_swap_used", Bytes, Neutral, "boot, footprint, scalability", "host swap used",
        "used swap of the host while it settled at this level";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_in_the_catalogue_once() {
        let names: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert_eq!(find("boot"), Some(&BOOT));
        assert_eq!(find("no such metric"), None);
    }

    /// The part of `page` between the markers of the metrics table.
    fn marked(page: &str) -> &str {
        let (_, rest) = page.split_once("<!-- generated: metrics -->\n").expect("the page has the first marker");
        rest.split_once("<!-- /generated -->").expect("the page has the second marker").0
    }

    /// `FEATHERWEIGHT_WRITE_DOCS=1 cargo test -p featherweight --lib model::metric` writes the table into the page.
    #[test]
    fn the_table_of_the_methodology_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/methodology.md");
        let page = std::fs::read_to_string(path).expect("the page can be read");
        let table = format!("\n{}\n", markdown());
        if std::env::var_os("FEATHERWEIGHT_WRITE_DOCS").is_some() {
            std::fs::write(path, page.replacen(marked(&page), &table, 1)).expect("the page can be written");
            return;
        }
        let help = "help: run `FEATHERWEIGHT_WRITE_DOCS=1 cargo test -p featherweight --lib model::metric`";
        assert!(marked(&page) == table, "docs/methodology.md: the metrics table is out of date\n{help}");
    }

    #[test]
    fn every_headline_can_improve() {
        for experiment in Experiment::ALL {
            for workload in Program::ALL {
                assert!(headline(*experiment, *workload).iter().all(|m| m.direction != Direction::Neutral));
            }
        }
    }
}
