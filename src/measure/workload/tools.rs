//! The load generators of this host: `wrk` for Nginx, `redis-benchmark` for Redis.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::figures::{self, Client};
use super::job::{Ended, Ending, Job};
use super::{place, redis_benchmark, wrk};
use crate::host::ledger::Resource;
use crate::host::placement::usable_cpus;
use crate::host::tools;
use crate::model::cpuset::CpuSet;
use crate::model::load::Load;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::units::Nanos;
use crate::platform::load_generator::{Drive, Driven, LoadGenerator};
use crate::platform::{Context, Endpoint, Error};

/// The longest time that a tool may take to print its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time for the first connection to a server that is ready.
const REACH_PATIENCE: Duration = Duration::from_secs(5);

/// The kinds of requests that redis-benchmark measures, as it prints them.
const REDIS_TESTS: &[&str] = &["SET", "GET"];

/// The load generators of this host.
#[derive(Debug)]
pub struct Tools {
    context: Context,
    usable: CpuSet,
}

/// One tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Wrk,
    RedisBenchmark,
}

/// A run of a tool, with the sockets of its network namespace.
struct ToolRun {
    ended: Ended,
    time_wait: Option<u64>,
    ports: Option<u64>,
}

impl Tools {
    /// The tools of one run. Create it before the harness pins itself: a load generator without CPUs of its own may use
    /// the CPUs that this process may use now.
    pub fn new(context: Context) -> Self {
        let all = || (0..thread::available_parallelism().map_or(1, |n| n.get() as u32)).collect();
        Self { context, usable: usable_cpus().unwrap_or_else(|_| all()) }
    }

    fn run(&self, tool: Tool, program: &Path, drive: &Drive<'_>, cpus: &CpuSet) -> io::Result<ToolRun> {
        let ledger = &self.context.ledger;
        ledger.record(&Resource::Process { name: format!("{}-{}", ledger.run().name(), tool.name()) })?;
        let arguments = tool.arguments(drive.load, drive.endpoint);
        let interrupt = &self.context.interrupt;
        let job = Job { program, arguments: &arguments, run: ledger.run(), deadline: drive.deadline, interrupt };
        let work = || {
            place::reach(drive.endpoint.address, REACH_PATIENCE.min(drive.deadline))?;
            let ended = job.run()?;
            Ok(ToolRun { ended, time_wait: place::time_wait(), ports: place::ports() })
        };
        place::within(drive.endpoint.netns.as_deref(), cpus, work)?
    }
}

impl LoadGenerator for Tools {
    fn check(&self, program: Program) -> Result<String, Unavailable> {
        let tool = Tool::of(program).ok_or_else(|| Unavailable {
            reason: format!("{program} is not a server, so no load generator drives it"),
            cure: "choose nginx or redis".to_owned(),
        })?;
        let path = tools::find(tool.name()).ok_or_else(|| tool.missing())?;
        let version = tools::version(&path, &[tool.version_option()], PATIENCE);
        Ok(version.map_or_else(|| tool.name().to_owned(), |line| short_version(&line)))
    }

    fn drive(&self, drive: &Drive<'_>) -> Result<Driven, Error> {
        let address = drive.endpoint.address;
        let tool = Tool::of(drive.program);
        let tool = tool.ok_or_else(|| Error::failed(format!("drive {}", drive.program), "it is not a server"))?;
        let action = format!("drive {} at {address} with {}", drive.program, tool.name());
        let program = tools::find(tool.name()).ok_or_else(|| tool.missing())?;
        let cpus = drive.cpus.filter(|cpus| !cpus.is_empty()).unwrap_or(&self.usable);
        let tool_run = self.run(tool, &program, drive, cpus).map_err(|e| Error::failed(&action, e))?;
        let client = Client {
            tool: tool.name(),
            cpu: tool_run.ended.cpu,
            wall: tool_run.ended.wall,
            parallelism: tool.threads(drive.load).min(cpus.len()),
            time_wait: tool_run.time_wait,
            ports: tool_run.ports,
        };
        let output = output(tool, &action, drive.deadline, tool_run.ended)?;
        tool.driven(&output, &client)
            .map_err(|why| Error::failed(action, format!("{why}; it printed: {}", brief(&output))))
    }
}

impl Tool {
    fn of(program: Program) -> Option<Self> {
        match program {
            Program::Nginx => Some(Tool::Wrk),
            Program::Redis => Some(Tool::RedisBenchmark),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Tool::Wrk => "wrk",
            Tool::RedisBenchmark => "redis-benchmark",
        }
    }

    const fn version_option(self) -> &'static str {
        match self {
            Tool::Wrk => "-v",
            Tool::RedisBenchmark => "--version",
        }
    }

    fn missing(self) -> Unavailable {
        let (debian, fedora, arch) = match self {
            Tool::Wrk => ("wrk", "wrk", "wrk"),
            Tool::RedisBenchmark => ("redis-tools", "redis", "redis"),
        };
        Unavailable {
            reason: format!("no {} in PATH", self.name()),
            cure: format!(
                "install it: `apt-get install {debian}` (Debian), `dnf install {fedora}` (Fedora), \
                 `pacman -S {arch}` (Arch), or `cargo xtask setup`"
            ),
        }
    }

    /// The number of its threads. wrk rejects more threads than connections.
    fn threads(self, load: &Load) -> usize {
        match self {
            Tool::Wrk => load.threads.clamp(1, load.connections.max(1)) as usize,
            Tool::RedisBenchmark => 1,
        }
    }

    fn arguments(self, load: &Load, endpoint: &Endpoint) -> Vec<String> {
        let address = endpoint.address;
        let words = match self {
            Tool::Wrk => {
                let threads = self.threads(load).to_string();
                let (connections, seconds) = (load.connections.max(1).to_string(), format!("{}s", load.seconds.max(1)));
                vec!["-t".into(), threads, "-c".into(), connections, "-d".into(), seconds, "--latency".into()]
            }
            Tool::RedisBenchmark => {
                let (host, port) = (address.ip().to_string(), address.port().to_string());
                let (clients, pipeline) = (load.clients.max(1).to_string(), load.pipeline.max(1).to_string());
                let tests = REDIS_TESTS.join(",").to_lowercase();
                let pairs = [("-h", host), ("-p", port), ("-c", clients), ("-P", pipeline)];
                let pairs = pairs.into_iter().chain([("-n", load.requests.max(1).to_string()), ("-t", tests)]);
                pairs.flat_map(|(key, value)| [key.to_owned(), value]).chain(["--csv".to_owned()]).collect()
            }
        };
        match self {
            Tool::Wrk => words.into_iter().chain([format!("http://{address}/")]).collect(),
            Tool::RedisBenchmark => words,
        }
    }

    fn driven(self, output: &str, client: &Client) -> Result<Driven, String> {
        match self {
            Tool::Wrk => figures::of_wrk(&wrk::parse(output)?, client),
            Tool::RedisBenchmark => Ok(figures::of_redis(&redis_benchmark::parse(output, REDIS_TESTS)?, client)),
        }
    }
}

/// `wrk 4.1.0 [epoll] Copyright (C) …` up to the version.
fn short_version(line: &str) -> String {
    line.split_once(" [").map_or(line, |(version, _)| version).to_owned()
}

/// The output of a tool that succeeded.
fn output(tool: Tool, action: &str, deadline: Duration, ended: Ended) -> Result<String, Error> {
    match ended.ending {
        Ending::Exit(status) if status.success() => Ok(ended.output),
        Ending::Exit(status) => {
            Err(Error::failed(action, format!("{status}: {}", brief(&format!("{}\n{}", ended.errors, ended.output)))))
        }
        Ending::Interrupted => Err(Error::Interrupted),
        Ending::Deadline => Err(Error::Deadline {
            name: action.to_owned(),
            after: Nanos::from(deadline).to_string(),
            awaited: format!("the end of {}", tool.name()),
            last: match brief(&format!("{}\n{}", ended.output, ended.errors)) {
                nothing if nothing.is_empty() => "it had printed nothing".to_owned(),
                text => text,
            },
        }),
    }
}

/// The first lines of a tool's output, joined to one line for an error message.
fn brief(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(12).collect::<Vec<_>>().join(" | ")
}
