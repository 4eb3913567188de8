//! Measures the overhead of the harness: runs a platform and the simplest equivalent loop in turn, on one host.
//!
//! ```text
//! cargo run --release --package featherweight --example bare_loop -- native 1000     # `native` and std::process::Command
//! cargo run --release --package featherweight --example bare_loop -- hello 200       # `youki` and libcontainer, called in this process
//! cargo run --release --package featherweight --example bare_loop -- sleepers 1000   # start and remove many; the harness's memory
//! cargo run --release --package featherweight --example bare_loop -- oci:runc 200    # any platform alone: one by one, then many at once
//! ```
//!
//! Invariant: both sides use the same image, bundle and clock, and take turns, so that noise on the host affects both.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use featherweight::guest::{self, Image};
use featherweight::host::cgroup::Hierarchies;
use featherweight::host::folders::Folders;
use featherweight::host::interrupt::Interrupt;
use featherweight::host::ledger::{Ledger, Resource};
use featherweight::model::event::Event;
use featherweight::model::platform::{Networking, PlatformId};
use featherweight::model::program::Program;
use featherweight::model::run::{RUN_VARIABLE, RunId};
use featherweight::model::units::Nanos;
use featherweight::platform::{
    Context, Instance, LaunchSpec, Milestone, Platform, Purpose, launcher_entry, native::Native, registry, youki::Youki,
};
use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer than any operation takes.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> Outcome<()> {
    launcher_entry();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (what, count) = match arguments.as_slice() {
        [what, count] => (what.as_str(), count.parse()?),
        _ => return Err("usage: bare_loop native|hello|sleepers|PLATFORM COUNT".into()),
    };
    let fixture = Fixture::new()?;
    match what {
        "native" => fixture.native(count),
        "hello" => fixture.hello(count),
        "sleepers" => fixture.sleepers(count),
        other => fixture.platform(&other.parse()?, count),
    }?;
    println!("left over: {:?}", fixture.ledger.close()?);
    Ok(())
}

/// A run with its images.
struct Fixture {
    ledger: Arc<Ledger>,
    images: Vec<Image>,
}

/// Times since the spawn of an instance.
#[derive(Default)]
struct Times {
    main: Vec<Nanos>,
    exit: Vec<Nanos>,
    gone: Vec<Nanos>,
}

impl Fixture {
    fn new() -> Outcome<Self> {
        let folders = Folders::from_env();
        let ledger = Arc::new(Ledger::open(&folders.state, &RunId::generate(), featherweight::platform::reap_engines)?);
        let images = guest::ensure(&folders, &[Program::Hello, Program::Sleep], &mut |line| println!("{line}"))?;
        Ok(Self { ledger, images })
    }

    fn context(&self) -> Outcome<Context> {
        Ok(Context::new(Arc::clone(&self.ledger), Interrupt::new()?))
    }

    fn spec(&self, program: Program) -> LaunchSpec {
        LaunchSpec {
            name: self.ledger.instance_name(),
            image: self.images.iter().find(|i| i.program == program).cloned().expect("both programs are built"),
            arguments: Vec::new(),
            cpus: None,
            limits: None,
            memory: None,
            network: Networking::None,
            purpose: Purpose::Measured,
            deadline: PATIENCE,
        }
    }

    fn native(&self, count: usize) -> Outcome<()> {
        let platform = Native::new(self.context()?);
        let (mut ours, mut bare) = (Times::default(), Vec::new());
        for _ in 0..count {
            let spec = self.spec(Program::Hello);
            bare.push(command(&spec.image.binary(), self.ledger.run())?);
            ours.add(&run(&platform, &spec)?);
        }
        println!("std::process::Command  spawn to exit {}", median(&mut bare));
        println!("native                 {}", ours.medians());
        Ok(())
    }

    fn hello(&self, count: usize) -> Outcome<()> {
        let platform = Youki::new(self.context()?);
        let bare = Bare::new(self, &platform, Program::Hello)?;
        let (mut ours, mut plain) = (Times::default(), Times::default());
        for _ in 0..count {
            bare.run_once(&self.ledger.instance_name(), &mut plain)?;
            ours.add(&run(&platform, &self.spec(Program::Hello))?);
        }
        println!("libcontainer  {}", plain.medians());
        println!("youki         {}", ours.medians());
        Ok(())
    }

    fn sleepers(&self, count: usize) -> Outcome<()> {
        let platform = Youki::new(self.context()?);
        let bare = Bare::new(self, &platform, Program::Sleep)?;
        for _ in 0..2 {
            bare.crowd(&self.ledger, count)?;
            self.crowd(&platform, count, platform.capabilities().launch_concurrency)?;
        }
        Ok(())
    }

    /// A platform alone.
    fn platform(&self, id: &PlatformId, count: usize) -> Outcome<()> {
        let platform = registry::open(id, &self.context()?)?;
        println!("{:?}", platform.check()?);
        self.images.iter().try_for_each(|image| platform.prepare(image))?;
        let mut times = Times::default();
        for _ in 0..count.min(100) {
            times.add(&run(&*platform, &self.spec(Program::Hello))?);
        }
        println!("{id}  {}", times.medians());
        for workers in [1, 2, 4] {
            self.crowd(&*platform, count, workers)?;
        }
        Ok(())
    }

    /// Starts and removes many sleepers on the platform with `workers` threads.
    fn crowd(&self, platform: &dyn Platform, count: usize, workers: usize) -> Outcome<()> {
        let before = resident()?;
        let start = Instant::now();
        let all: Mutex<Vec<Box<dyn Instance>>> = Mutex::new(Vec::with_capacity(count));
        let left = Mutex::new(count);
        let deadline = platform.clock().now() + PATIENCE.into();
        parallel(workers, || {
            while take_one(&left) {
                let mut instance = platform.launch(&self.spec(Program::Sleep)).expect("launch succeeds");
                instance.wait_for(Milestone::Ready, deadline).expect("the instance gets ready");
                all.lock().expect("no thread panicked").push(instance);
            }
        });
        let started = start.elapsed();
        let grown = (resident()?.saturating_sub(before)) / count as u64;
        let start = Instant::now();
        let mut living = all.into_inner()?;
        living.iter_mut().for_each(|instance| instance.kill());
        let living = Mutex::new(living);
        let next = || living.lock().expect("no thread panicked").pop();
        parallel(workers, || {
            while let Some(instance) = next() {
                instance.stop().expect("stop succeeds");
            }
        });
        let removed = start.elapsed();
        let id = platform.id();
        println!(
            "{id:<12}  {workers} at once: {count} ready in {started:.2?}, removed in {removed:.2?}, harness +{grown} B each"
        );
        Ok(())
    }
}

impl Times {
    fn add(&mut self, events: &featherweight::model::event::Events) {
        let spawn = events.get(&Event::Spawn).copied().unwrap_or_default();
        let since = |event| events.get(event).map(|at| at.saturating_sub(spawn));
        self.main.extend(since(&Event::Main));
        self.exit.extend(since(&Event::Exit));
        self.gone.extend(since(&Event::Gone));
    }

    fn medians(&mut self) -> String {
        let [main, exit, gone] = [&mut self.main, &mut self.exit, &mut self.gone].map(|times| median(times));
        format!("spawn to main {main}, to exit {exit}, to gone {gone}")
    }
}

/// `libcontainer` called in this process, with the bundle that the platform creates.
struct Bare {
    config: String,
    named: String,
    dir: PathBuf,
    hierarchies: Arc<Hierarchies>,
}

impl Bare {
    /// Takes the bundle from an instance of the platform, so that both sides run the same container.
    fn new(fixture: &Fixture, platform: &dyn Platform, program: Program) -> Outcome<Self> {
        let spec = fixture.spec(program);
        platform.prepare(&spec.image)?;
        let instance = platform.launch(&spec)?;
        let config = fs::read_to_string(fixture.ledger.dir().join("bundles").join(&spec.name).join("config.json"))?;
        instance.stop()?;
        let dir = fixture.ledger.dir().join("bare");
        fs::create_dir_all(dir.join("states"))?;
        let hierarchies = Arc::new(Hierarchies::read(Path::new("/"))?.of_runtimes());
        Ok(Self { config, named: spec.name, dir, hierarchies })
    }

    /// Writes the bundle of `name` and records its groups in the ledger.
    fn prepare(&self, ledger: &Ledger, name: &str) -> Outcome<PathBuf> {
        let group = self.hierarchies.group(&Path::new(&ledger.run().name()).join(name));
        group.dirs().iter().try_for_each(|dir| ledger.record(&Resource::Cgroup { path: dir.clone() }))?;
        let bundle = self.dir.join(name);
        fs::create_dir(&bundle)?;
        fs::write(bundle.join("config.json"), self.config.replace(&self.named, name))?;
        Ok(bundle)
    }

    fn start(&self, name: &str, bundle: &Path) -> Outcome<(Container, File)> {
        let (read, write) = std::io::pipe()?;
        let mut container = ContainerBuilder::new(name.to_owned(), SyscallType::default())
            .with_root_path(self.dir.join("states"))?
            .with_stdin(File::open("/dev/null")?)
            .with_stderr(write.as_fd().try_clone_to_owned()?)
            .with_stdout(write)
            .as_init(bundle)
            .with_systemd(false)
            .build()?;
        container.start()?;
        Ok((container, File::from(OwnedFd::from(read))))
    }

    fn run_once(&self, name: &str, times: &mut Times) -> Outcome<()> {
        let bundle = self.dir.join(name);
        fs::create_dir(&bundle)?;
        fs::write(bundle.join("config.json"), self.config.replace(&self.named, name))?;
        let start = Instant::now();
        let (mut container, output) = self.start(name, &bundle)?;
        BufReader::new(output).read_line(&mut String::new())?;
        times.main.push(start.elapsed().into());
        let pid = process_of(&container)?;
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        times.exit.push(start.elapsed().into());
        container.delete(false)?;
        waitpid(pid, None)?;
        fs::remove_dir_all(&bundle)?;
        times.gone.push(start.elapsed().into());
        Ok(())
    }

    /// Starts many sleepers one after another, then removes them.
    fn crowd(&self, ledger: &Ledger, count: usize) -> Outcome<()> {
        let names: Vec<_> = (0..count).map(|_| ledger.instance_name()).collect();
        let bundles = names.iter().map(|name| self.prepare(ledger, name)).collect::<Outcome<Vec<_>>>()?;
        let start = Instant::now();
        let mut living = Vec::with_capacity(count);
        for (name, bundle) in names.iter().zip(&bundles) {
            let (container, output) = self.start(name, bundle)?;
            let mut lines = BufReader::new(output).lines();
            lines.find(|line| line.as_ref().is_ok_and(|line| line == "FW ready"));
            living.push((container, lines));
        }
        let started = start.elapsed();
        let start = Instant::now();
        for (container, _) in &living {
            kill(process_of(container)?, Signal::SIGKILL)?;
        }
        for (container, _) in &mut living {
            let pid = process_of(container)?;
            waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
            container.delete(false)?;
            waitpid(pid, None)?;
        }
        bundles.iter().try_for_each(fs::remove_dir_all)?;
        println!("libcontainer  {count} ready in {started:.2?}, removed in {:.2?}", start.elapsed());
        Ok(())
    }
}

/// The container's process, converted from the type of libcontainer's version of nix.
fn process_of(container: &Container) -> Outcome<Pid> {
    Ok(Pid::from_raw(container.pid().ok_or("the container has no process")?.as_raw()))
}

/// Runs one instance to its end.
fn run(platform: &dyn Platform, spec: &LaunchSpec) -> Outcome<featherweight::model::event::Events> {
    let mut instance = platform.launch(spec)?;
    instance.wait_for(Milestone::Exit, platform.clock().now() + PATIENCE.into())?;
    Ok(instance.stop()?.events)
}

/// Runs a program to its end with the standard library only.
fn command(program: &Path, run: &RunId) -> Outcome<Nanos> {
    let mut command = Command::new(program);
    command.env_clear().env(RUN_VARIABLE, run.as_str()).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    command.spawn()?.wait()?;
    Ok(start.elapsed().into())
}

fn parallel(workers: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(&work))));
}

fn take_one(left: &Mutex<usize>) -> bool {
    let mut left = left.lock().expect("no thread panicked");
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}

fn median(times: &mut [Nanos]) -> Nanos {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// This process's resident memory, in bytes.
fn resident() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}
