//! Turns the output and the CPU time of a load generator into the metrics of a trial. Pure.

use std::time::Duration;

use super::{redis_benchmark, wrk};
use crate::model::metric::{self, MetricInfo};
use crate::model::record::Metric;
use crate::platform::load_generator::Driven;

/// Above this share of its possible CPU time, the load generator may limit the figures.
const BUSY: f64 = 0.95;

/// Above this share of the ports in use, connections may fail.
const MANY_PORTS: f64 = 0.8;

/// The resources that the load generator used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// The tool's name.
    pub(super) tool: &'static str,
    /// The CPU time of all its threads.
    pub(super) cpu: Duration,
    /// The time that it ran.
    pub(super) wall: Duration,
    /// The CPUs that it can use at once: its threads, or its CPUs if they are fewer.
    pub(super) parallelism: usize,
    /// Sockets in TIME_WAIT in its network namespace after its end, also those of others.
    pub(super) time_wait: Option<u64>,
    /// Ports for outgoing connections in that namespace.
    pub(super) ports: Option<u64>,
}

/// The metrics of a run of wrk.
///
/// # Errors
/// Responses with an error status, which are fast, and failed connections, which add no load: the figures would be wrong.
pub(super) fn of_wrk(report: &wrk::Report, client: &Client) -> Result<Driven, String> {
    let errors = report.errors;
    if errors.status > 0 {
        return Err(format!("{} of {} responses have a status of 400 or above", errors.status, report.requests));
    }
    if errors.connect > 0 {
        return Err(format!("{} connections failed", errors.connect));
    }
    let mut metrics = vec![
        metric::THROUGHPUT.of(report.rate),
        metric::LATENCY_P50.of(report.p50.0 as f64),
        metric::LATENCY_P99.of(report.p99.0 as f64),
        metric::CLIENT_ERRORS.of(errors.sum() as f64),
    ];
    metrics.extend(own(client));
    let mut flags = flags(client);
    let kinds = [(errors.timeout, "responses came after wrk's timeout"), (errors.read, "reads failed")];
    let kinds = kinds.into_iter().chain([(errors.write, "writes failed")]).filter(|(count, _)| *count > 0);
    flags.extend(kinds.map(|(count, what)| format!("{count} {what}")));
    Ok(Driven { metrics, flags })
}

/// The metrics of one kind of request of redis-benchmark.
struct RedisMetrics {
    rate: &'static MetricInfo,
    p50: &'static MetricInfo,
    p99: &'static MetricInfo,
}

impl RedisMetrics {
    fn of(test: &str) -> Option<Self> {
        match test {
            "SET" => Some(Self {
                rate: &metric::THROUGHPUT_SET,
                p50: &metric::LATENCY_P50_SET,
                p99: &metric::LATENCY_P99_SET,
            }),
            "GET" => Some(Self {
                rate: &metric::THROUGHPUT_GET,
                p50: &metric::LATENCY_P50_GET,
                p99: &metric::LATENCY_P99_GET,
            }),
            _ => None,
        }
    }
}

/// The metrics of a run of redis-benchmark, which stops at its first error. It makes equally many requests of each kind, so
/// the rate over all of them is the harmonic mean.
pub(super) fn of_redis(rows: &[redis_benchmark::Row], client: &Client) -> Driven {
    let whole = rows.len() as f64 / rows.iter().map(|row| row.rate.recip()).sum::<f64>();
    let mut metrics = vec![metric::THROUGHPUT.of(whole)];
    for (row, of_test) in rows.iter().filter_map(|row| Some((row, RedisMetrics::of(&row.test)?))) {
        metrics.push(of_test.rate.of(row.rate));
        metrics.extend(row.p50.map(|time| of_test.p50.of(time.0 as f64)));
        metrics.extend(row.p99.map(|time| of_test.p99.of(time.0 as f64)));
    }
    metrics.extend(own(client));
    Driven { metrics, flags: flags(client) }
}

fn own(client: &Client) -> impl Iterator<Item = Metric> {
    let cpu = busy(client).map(|share| metric::CLIENT_CPU.of(share));
    let waiting = client.time_wait.map(|n| metric::CLIENT_TIME_WAIT.of(n as f64));
    cpu.into_iter().chain(waiting)
}

fn flags(client: &Client) -> Vec<String> {
    let tool = client.tool;
    let busy = busy(client).filter(|&share| share > BUSY);
    let busy = busy.map(|share| {
        format!("{tool} used {:.0} % of its possible CPU time, so it may limit the figures", share * 100.0)
    });
    let sockets = client.time_wait.zip(client.ports).filter(|&(n, ports)| n as f64 > MANY_PORTS * ports as f64);
    let sockets = sockets
        .map(|(n, ports)| format!("{n} sockets in TIME_WAIT in {tool}'s network namespace, which has {ports} ports"));
    busy.into_iter().chain(sockets).collect()
}

/// The share of its possible CPU time that the load generator used.
fn busy(client: &Client) -> Option<f64> {
    let most = client.wall.as_secs_f64() * client.parallelism as f64;
    (most > 0.0).then(|| client.cpu.as_secs_f64() / most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Nanos;

    const IDLE: Client = Client {
        tool: "wrk",
        cpu: Duration::from_secs(1),
        wall: Duration::from_secs(4),
        parallelism: 2,
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
            "3 of 100 responses have a status of 400 or above"
        );
        assert_eq!(failed(wrk::Errors { connect: 1, ..Default::default() }), "1 connections failed");
        let errors = wrk::Errors { timeout: 4, read: 2, write: 1, ..Default::default() };
        let driven = of_wrk(&report(errors), &IDLE).unwrap();
        assert_eq!(driven.flags, ["4 responses came after wrk's timeout", "2 reads failed", "1 writes failed"]);
        assert!(values(&driven).contains(&("client_errors", 7.0)));
    }

    #[test]
    fn a_busy_client_and_many_waiting_sockets_are_flagged() {
        let client = Client { cpu: Duration::from_millis(7800), time_wait: Some(28000), ..IDLE };
        let driven = of_wrk(&report(wrk::Errors::default()), &client).unwrap();
        let expected = [
            "wrk used 98 % of its possible CPU time, so it may limit the figures",
            "28000 sockets in TIME_WAIT in wrk's network namespace, which has 28232 ports",
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
