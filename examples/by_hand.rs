//! Checks that the harness and a load generator started by hand measure the same, on one instance, in turn.
//!
//! ```text
//! cargo run --release --package featherweight --example by_hand -- docker nginx 5    # five rounds of wrk, three seconds each
//! cargo run --release --package featherweight --example by_hand -- youki redis 5     # five rounds of redis-benchmark, SET and GET
//! ```
//!
//! By hand means as in a shell: start the tool where it can reach the server, and read the number that it prints.
//! Neither side is pinned.

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use featherweight::guest;
use featherweight::host::folders::Folders;
use featherweight::host::interrupt::Interrupt;
use featherweight::host::ledger::Ledger;
use featherweight::host::network;
use featherweight::measure::workload::Tools;
use featherweight::model::load::Load;
use featherweight::model::metric;
use featherweight::model::platform::{Networking, PlatformId};
use featherweight::model::program::Program;
use featherweight::model::run::RunId;
use featherweight::platform::load_generator::{Drive, LoadGenerator};
use featherweight::platform::{
    Context, Endpoint, Instance, LaunchSpec, Milestone, Platform, Purpose, launcher_entry, registry,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer than any operation takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The thesis's connections, threads, clients and pipeline, for a shorter time.
const LOAD: Load = Load { seconds: 3, connections: 30, threads: 14, requests: 1_000_000, clients: 30, pipeline: 16 };

fn main() -> Outcome<()> {
    launcher_entry();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [platform, program, rounds] = arguments.as_slice() else {
        return Err("usage: by_hand PLATFORM nginx|redis ROUNDS".into());
    };
    let ledger =
        Arc::new(Ledger::open(&Folders::from_env().state, &RunId::generate(), featherweight::platform::reap_engines)?);
    let context = Context::new(Arc::clone(&ledger), Interrupt::new()?);
    let compared = compare(&context, &platform.parse()?, program.parse()?, rounds.parse()?);
    println!("left over: {:?}", ledger.close()?);
    compared
}

fn compare(context: &Context, id: &PlatformId, program: Program, rounds: usize) -> Outcome<()> {
    let platform = registry::open(id, context)?;
    platform.check()?;
    let mut server = serve(context, platform.as_ref(), program)?;
    let deadline = platform.clock().now() + PATIENCE.into();
    server.wait_for(Milestone::Ready, deadline)?;
    let endpoint = server.endpoint().ok_or("the instance has no endpoint")?;
    let tools = Tools::new(context.clone());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // The sides alternate who starts, so that neither always measures a warmer server.
        if round % 2 == 0 {
            ours.push(driven(&tools, program, &endpoint)?);
        }
        theirs.push(by_hand(program, &endpoint)?);
        if round % 2 == 1 {
            ours.push(driven(&tools, program, &endpoint)?);
        }
        println!("round {round}: through the harness {:.0}/s, by hand {:.0}/s", ours[round], theirs[round]);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!("{program} on {id}, medians of {rounds}: {ours:.0}/s and {theirs:.0}/s, ratio {:.3}", ours / theirs);
    server.stop()?;
    Ok(())
}

fn serve(context: &Context, platform: &dyn Platform, program: Program) -> Outcome<Box<dyn Instance>> {
    let images = guest::ensure(&Folders::from_env(), &[program], &mut |line| println!("{line}"))?;
    let image = images.into_iter().next().ok_or("server not built")?;
    platform.prepare(&image)?;
    let spec = LaunchSpec {
        name: context.ledger.instance_name(),
        image,
        arguments: Vec::new(),
        cpus: None,
        limits: None,
        memory: None,
        network: Networking::Bridge,
        purpose: Purpose::Measured,
        deadline: PATIENCE * 30,
    };
    Ok(platform.launch(&spec)?)
}

/// The headline metric as the harness measures it; for Redis, that of SET.
fn driven(tools: &Tools, program: Program, endpoint: &Endpoint) -> Outcome<f64> {
    let driven = tools.drive(&Drive { program, endpoint, load: &LOAD, cpus: None, deadline: PATIENCE })?;
    let name = if program == Program::Redis { metric::THROUGHPUT_SET.name } else { metric::THROUGHPUT.name };
    let metric = driven.metrics.iter().find(|metric| metric.name == name);
    Ok(metric.ok_or("missing headline metric")?.value)
}

/// The number that the tool prints.
fn by_hand(program: Program, endpoint: &Endpoint) -> Outcome<f64> {
    let (host, port) = (endpoint.address.ip().to_string(), endpoint.address.port().to_string());
    let mut command = match program {
        Program::Redis => {
            let mut command = Command::new("redis-benchmark");
            command.args(["-h", &host, "-p", &port, "-c", &LOAD.clients.to_string(), "-P", &LOAD.pipeline.to_string()]);
            command.args(["-n", &LOAD.requests.to_string(), "-t", "set,get", "--csv"]);
            command
        }
        _ => {
            let mut command = Command::new("wrk");
            command.args(["-t", &LOAD.threads.to_string(), "-c", &LOAD.connections.to_string()]);
            command.args(["-d", &format!("{}s", LOAD.seconds), &format!("http://{host}:{port}/")]);
            command
        }
    };
    if let Some(netns) = &endpoint.netns {
        network::enter(&mut command, netns)?;
    }
    let text = String::from_utf8(command.output()?.stdout)?;
    let number = match program {
        Program::Redis => text.lines().find_map(|line| line.strip_prefix("\"SET\",\"")?.split('"').next()),
        _ => text.lines().find_map(|line| line.strip_prefix("Requests/sec:")),
    };
    Ok(number.ok_or_else(|| format!("no number in {text}"))?.trim().parse()?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
