//! From what a load generator printed and used to the metrics of a trial. Pure.

use std::time::Duration;

use super::{redis_benchmark, wrk};
use crate::model::record::Metric;
use crate::model::units::{Direction, Nanos, Unit};
use crate::platform::load_generator::Driven;

/// Above this share of the CPU time that it could have, a load generator may be what limits the figures.
const BUSY: f64 = 0.95;

/// Above this share of the ports, connections may fail for want of one.
const MANY_PORTS: f64 = 0.8;

/// What the load generator itself used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// The tool's name.
    pub(super) tool: &'static str,
    /// The CPU time of all its threads.
    pub(super) cpu: Duration,
    /// How long it ran.
    pub(super) wall: Duration,
    /// How many CPUs it can use at once: its threads, or the CPUs it may run on if they are fewer.
    pub(super) lanes: usize,
    /// Sockets in TIME_WAIT in its network namespace after its end, whoever made them.
    pub(super) time_wait: Option<u64>,
    /// Ports for outgoing connections there.
    pub(super) ports: Option<u64>,
}

/// The metrics of a run of wrk.
///
/// # Errors
/// Answers that are errors are fast, and connections that are not made are no load: then the figures mean nothing.
pub(super) fn of_wrk(report: &wrk::Report, client: &Client) -> Result<Driven, String> {
    let errors = report.errors;
    if errors.status > 0 {
        return Err(format!("{} of {} answers have a status of 400 or above", errors.status, report.requests));
    }
    if errors.connect > 0 {
        return Err(format!("{} connections could not be made", errors.connect));
    }
    let mut metrics = vec![
        metric("throughput", Unit::PerSecond, Direction::Higher, report.rate),
        latency("latency_p50", report.p50),
        latency("latency_p99", report.p99),
        metric("client_errors", Unit::Count, Direction::Neutral, errors.sum() as f64),
    ];
    metrics.extend(own(client));
    let mut flags = flags(client);
    let kinds = [(errors.timeout, "answers came later than wrk waits"), (errors.read, "reads failed")];
    let kinds = kinds.into_iter().chain([(errors.write, "writes failed")]).filter(|(count, _)| *count > 0);
    flags.extend(kinds.map(|(count, what)| format!("{count} {what}")));
    Ok(Driven { metrics, flags })
}

/// The metrics of a run of redis-benchmark, which ends with an error at the first one. Each kind of request was made
/// equally often, so the rate over all of them is the harmonic mean.
pub(super) fn of_redis(rows: &[redis_benchmark::Row], client: &Client) -> Driven {
    let whole = rows.len() as f64 / rows.iter().map(|row| row.rate.recip()).sum::<f64>();
    let mut metrics = vec![metric("throughput", Unit::PerSecond, Direction::Higher, whole)];
    for row in rows {
        let test = row.test.to_lowercase();
        metrics.push(metric(&format!("throughput_{test}"), Unit::PerSecond, Direction::Higher, row.rate));
        metrics.extend(row.p50.map(|time| latency(&format!("latency_p50_{test}"), time)));
        metrics.extend(row.p99.map(|time| latency(&format!("latency_p99_{test}"), time)));
    }
    metrics.extend(own(client));
    Driven { metrics, flags: flags(client) }
}

fn own(client: &Client) -> impl Iterator<Item = Metric> {
    let cpu = busy(client).map(|share| metric("client_cpu", Unit::Ratio, Direction::Neutral, share));
    let waiting = client.time_wait.map(|n| metric("client_time_wait", Unit::Count, Direction::Neutral, n as f64));
    cpu.into_iter().chain(waiting)
}

fn flags(client: &Client) -> Vec<String> {
    let tool = client.tool;
    let busy = busy(client).filter(|&share| share > BUSY);
    let busy = busy.map(|share| {
        format!("{tool} used {:.0} % of the CPU time that it could have: the figures may be its limit", share * 100.0)
    });
    let sockets = client.time_wait.zip(client.ports).filter(|&(n, ports)| n as f64 > MANY_PORTS * ports as f64);
    let sockets = sockets.map(|(n, ports)| {
        format!("{n} sockets in TIME_WAIT, {tool}'s and others', where it runs, with {ports} ports to use")
    });
    busy.into_iter().chain(sockets).collect()
}

/// The share of the CPU time that it could have.
fn busy(client: &Client) -> Option<f64> {
    let most = client.wall.as_secs_f64() * client.lanes as f64;
    (most > 0.0).then(|| client.cpu.as_secs_f64() / most)
}

fn latency(name: &str, time: Nanos) -> Metric {
    metric(name, Unit::Nanos, Direction::Lower, time.0 as f64)
}

fn metric(name: &str, unit: Unit, direction: Direction, value: f64) -> Metric {
    Metric { name: name.to_owned(), unit, direction, value, samples: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Client = Client {
        tool: "wrk",
        cpu: Duration::from_secs(1),
        wall: Duration::from_secs(4),
        lanes: 2,
        time_wait: Some(30),
        ports: Some(28232),
    };

    fn report(errors: wrk::Errors) -> wrk::Report {
        wrk::Report { requests: 100, rate: 25.0, p50: Nanos(7), p99: Nanos(9), errors }
    }

    fn values(driven: &Driven) -> Vec<(&str, f64)> {
        driven.metrics.iter().map(|metric| (metric.name.as_str(), metric.value)).collect()
    }

    #[test]
    fn a_web_server_has_a_rate_and_latencies() {
        let driven = of_wrk(&report(wrk::Errors::default()), &IDLE).unwrap();
        let expected = [("throughput", 25.0), ("latency_p50", 7.0), ("latency_p99", 9.0), ("client_errors", 0.0)];
        assert_eq!(values(&driven), [&expected[..], &[("client_cpu", 0.125), ("client_time_wait", 30.0)]].concat());
        assert_eq!(driven.flags, Vec::<String>::new());
    }

    #[test]
    fn errors_that_make_the_figures_wrong_are_a_failure_and_others_a_flag() {
        let failed = |errors| of_wrk(&report(errors), &IDLE).unwrap_err();
        assert_eq!(
            failed(wrk::Errors { status: 3, ..Default::default() }),
            "3 of 100 answers have a status of 400 or above"
        );
        assert_eq!(failed(wrk::Errors { connect: 1, ..Default::default() }), "1 connections could not be made");
        let errors = wrk::Errors { timeout: 4, read: 2, write: 1, ..Default::default() };
        let driven = of_wrk(&report(errors), &IDLE).unwrap();
        assert_eq!(driven.flags, ["4 answers came later than wrk waits", "2 reads failed", "1 writes failed"]);
        assert!(values(&driven).contains(&("client_errors", 7.0)));
    }

    #[test]
    fn a_busy_client_and_many_waiting_sockets_are_flagged() {
        let client = Client { cpu: Duration::from_millis(7800), time_wait: Some(28000), ..IDLE };
        let driven = of_wrk(&report(wrk::Errors::default()), &client).unwrap();
        let expected = [
            "wrk used 98 % of the CPU time that it could have: the figures may be its limit",
            "28000 sockets in TIME_WAIT, wrk's and others', where it runs, with 28232 ports to use",
        ];
        assert_eq!(driven.flags, expected);
    }

    #[test]
    fn a_store_has_one_rate_over_all_requests() {
        let row = |test: &str, rate, p50| redis_benchmark::Row { test: test.to_owned(), rate, p50, p99: None };
        let rows = [row("SET", 100.0, Some(Nanos(5))), row("GET", 300.0, None)];
        let driven = of_redis(&rows, &Client { time_wait: None, ..IDLE });
        // As many of each: 300 and 300 take 3 s and 1 s, 600 in 4 s.
        let expected = [("throughput", 150.0), ("throughput_set", 100.0), ("latency_p50_set", 5.0)];
        assert_eq!(values(&driven), [&expected[..], &[("throughput_get", 300.0), ("client_cpu", 0.125)]].concat());
    }
}
