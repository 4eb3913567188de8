//! Starts many idle servers on one platform and reports how many answer, the memory of each, and leftovers.
//!
//! ```text
//! cargo run --release --package featherweight --example crowd -- qemu:linux nginx 50
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use featherweight::guest;
use featherweight::host::folders::Folders;
use featherweight::host::interrupt::Interrupt;
use featherweight::host::ledger::Ledger;
use featherweight::host::network::inside;
use featherweight::host::sampler::{process, smaps};
use featherweight::measure::trial::InstanceGroup;
use featherweight::model::platform::{Networking, PlatformId};
use featherweight::model::program::Program;
use featherweight::model::run::RunId;
use featherweight::model::units::Bytes;
use featherweight::platform::{
    Context, Endpoint, Instance, LaunchSpec, Milestone, Platform, Purpose, launcher_entry, registry,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The longest time of one boot on a host that boots many at once.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> Outcome<()> {
    launcher_entry();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [platform, program, count] = arguments.as_slice() else {
        return Err("usage: crowd PLATFORM nginx|redis COUNT".into());
    };
    let ledger =
        Arc::new(Ledger::open(&Folders::from_env().state, &RunId::generate(), featherweight::platform::reap_engines)?);
    let context = Context::new(Arc::clone(&ledger), Interrupt::on_signals()?);
    let gathered = gather(&context, &platform.parse()?, program.parse()?, count.parse()?);
    println!("left over: {:?}", ledger.close()?);
    gathered
}

fn gather(context: &Context, id: &PlatformId, program: Program, count: usize) -> Outcome<()> {
    let platform = registry::open(id, context)?;
    platform.check()?;
    let images = guest::ensure(&Folders::from_env(), &[program], &mut |line| println!("{line}"))?;
    let image = images.into_iter().next().ok_or("server not built")?;
    platform.prepare(&image)?;
    let spec = |_| LaunchSpec {
        name: context.ledger.instance_name(),
        image: image.clone(),
        arguments: Vec::new(),
        cpus: None,
        limits: None,
        memory: None,
        network: Networking::Bridge,
        purpose: Purpose::Background,
        deadline: PATIENCE * 10,
    };
    let specs: Vec<LaunchSpec> = (0..count).map(spec).collect();
    let (mut group, before, began) = (InstanceGroup::default(), available()?, Instant::now());
    // As many at once as the platform supports, until each is ready.
    for chunk in specs.chunks(platform.capabilities().launch_concurrency) {
        let deadline = platform.clock().now() + PATIENCE.into();
        group.launch_and_wait(platform.as_ref(), chunk, Milestone::Ready, deadline)?;
    }
    println!("{count} of {id} with {program} are ready after {:.1} s", began.elapsed().as_secs_f64());
    let lost = before.0.saturating_sub(available()?.0) / count as u64;
    println!("memory: {} each by MemAvailable", Bytes(lost));
    print_members(platform.as_ref(), &mut group, count)?;
    let began = Instant::now();
    group.shrink(platform.as_ref(), 0)?;
    println!("all stopped in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Prints how many answer, and the median memory of each.
fn print_members(platform: &dyn Platform, group: &mut InstanceGroup, count: usize) -> Outcome<()> {
    let members = group.members();
    let answered = members.iter().filter(|m| m.endpoint().is_some_and(|at| answers(&at))).count();
    println!("{answered} of {count} answer at their address");
    let mut all: Vec<[u64; 5]> = members.iter().filter_map(|m| parts(m.as_ref())).collect();
    all.sort_unstable();
    if let Some([pss, guest, translation, program, rest]) = all.get(all.len() / 2).map(|all| all.map(Bytes)) {
        println!(
            "PSS, median machine: {pss} = guest {guest} + translated code {translation} + QEMU's files {program} + rest {rest}"
        );
    }
    println!("accelerator: {}", platform.capabilities().accelerator);
    Ok(())
}

/// Whether Nginx answers a request, or Redis a ping.
fn answers(at: &Endpoint) -> bool {
    let exchange = || -> std::io::Result<bool> {
        let mut server = TcpStream::connect_timeout(&at.address, Duration::from_secs(5))?;
        server.set_read_timeout(Some(Duration::from_secs(5)))?;
        server.write_all(if at.address.port() == 80 { b"GET / HTTP/1.0\r\n\r\n" } else { b"PING\r\n" })?;
        let mut first = [0; 4];
        server.read_exact(&mut first)?;
        Ok([*b"HTTP", *b"+PON"].contains(&first))
    };
    match &at.netns {
        None => exchange().unwrap_or(false),
        Some(netns) => inside(netns, exchange).is_ok_and(|answer| answer.unwrap_or(false)),
    }
}

fn parts(member: &dyn Instance) -> Option<[u64; 5]> {
    let pid = member.threads().first()?.pid as u32;
    let (proc, given) = (Path::new("/proc"), member.guest_memory()?);
    let memory = process::memory(proc, pid).ok()?;
    let (_, parts) = smaps::monitor_memory(proc, pid, given).ok()?;
    let parts = parts?;
    Some([memory.pss.0, parts.guest.0, parts.translation.map_or(0, |b| b.0), parts.program.0, parts.rest.0])
}

fn available() -> Outcome<Bytes> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).ok_or("no MemAvailable")?;
    Ok(Bytes(line.split_whitespace().next().ok_or("no number")?.parse::<u64>()? << 10))
}
