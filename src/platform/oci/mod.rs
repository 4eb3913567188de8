//! `oci:RUNTIME`: containers made by an OCI runtime's own program, with no engine and no daemon.
//!
//! Data flow: the harness writes a bundle and calls `create` with the guest's output as the runtime's own, which the
//! container inherits; then `start`; it watches the output and the container's process, whose number the runtime wrote
//! down; `delete` removes it. The process becomes the harness's child (see `orphan`), so its end is told by the kernel
//! and not by asking the runtime. Invariant: a container is deleted only after its process was reaped.

mod complaint;
mod instance;
mod runtime;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use instance::OciInstance;
use runtime::{Command, Files, Runtime, RuntimeKind};
use rustix::process::{PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use super::bundle::{self, BundleOptions, Swap};
use super::groups::Groups;
use super::link::Link;
use super::{Context, Error, Instance, LaunchSpec, Platform, ResourceCost};
use crate::guest::Image;
use crate::host::cgroup::{CgroupMode, Hierarchies};
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::platform::process::orphan::{adopt, leaders};
use crate::platform::process::watch::{Process, Watch, pid, pipe};
use crate::platform::process::watched::Watched;

/// Containers by a runtime's program.
#[derive(Debug)]
pub struct Oci {
    id: PlatformId,
    name: String,
    context: Context,
    clock: HostClock,
    groups: Result<Groups, String>,
    runtime: OnceLock<Result<Arc<Runtime>, Unavailable>>,
}

impl Oci {
    /// The platform of the runtime `name` for one run.
    pub fn new(context: Context, name: &str) -> Self {
        let groups = Groups::find(&context, |all| Hierarchies::of_programs(&all));
        let (id, name) = (PlatformId::new(format!("oci:{name}")), name.to_owned());
        Self { id, name, context, clock: HostClock, groups, runtime: OnceLock::new() }
    }

    fn groups(&self) -> Result<&Groups, Unavailable> {
        let mount = "mount the cgroup controllers writable".to_owned();
        self.groups.as_ref().map_err(|why| Unavailable { reason: why.clone(), cure: mount })
    }

    /// The runtime, looked for once.
    fn runtime(&self) -> Result<&Arc<Runtime>, Unavailable> {
        let find = || {
            let set = self.context.settings.runtime.as_deref();
            let mut runtime = Runtime::find(&self.name, set, self.context.ledger.run())?;
            let groups = self.groups()?;
            if groups.mode() == CgroupMode::Hybrid && runtime.kind == RuntimeKind::Namespaces {
                runtime.hides = self.stumbles(&runtime, groups)?;
            }
            Ok(Arc::new(runtime))
        };
        self.runtime.get_or_init(find).as_ref().map_err(Unavailable::clone)
    }

    /// The mount of cgroup version 2, if the runtime refuses to work beside it, as crun does wherever that has a
    /// controller ("cgroups in hybrid mode not supported"). Asked by a container that cannot be made: it has no root
    /// file system, but whoever dislikes the mount says so first.
    fn stumbles(&self, runtime: &Runtime, groups: &Groups) -> Result<Option<CString>, Unavailable> {
        let try_it = || {
            let name = self.context.ledger.instance_name();
            let cgroup = groups.foresee(&name)?;
            let files = self.files(&name);
            fs::create_dir_all(&files.states)?;
            bundle::write(&files.bundle, &impossible(&groups.path(&name)))?;
            let (read, write) = pipe()?;
            let mut watch = Watch::new(&name, read, &self.context.interrupt);
            let complaint = runtime.call(&mut watch, Command::Create, &files, Some(write.as_fd())).err();
            cgroup.remove_if_empty();
            fs::remove_dir_all(&files.bundle).and_then(|()| fs::remove_dir_all(&files.states))?;
            Ok(complaint)
        };
        let complaint = try_it().map_err(|e: io::Error| Unavailable {
            reason: format!("{} cannot be tried: {e}", self.name),
            cure: "make the state folder writable".to_owned(),
        })?;
        Ok(complaint
            .filter(|e| e.to_string().contains("hybrid"))
            .and_then(|_| bundle::unified_mount())
            .and_then(|mount| CString::new(mount.into_os_string().into_encoded_bytes()).ok()))
    }

    fn files(&self, name: &str) -> Files {
        let dir = self.context.ledger.dir();
        Files { bundle: dir.join("bundles").join(name), states: dir.join("states").join(name) }
    }

    fn config(&self, spec: &LaunchSpec, groups: &Groups, kind: RuntimeKind, netns: Option<&Path>) -> Value {
        let around = BundleOptions {
            run: self.context.ledger.run(),
            cgroups_path: groups.path(&spec.name),
            mode: groups.mode(),
            most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX),
            swap: if groups.limits_swap() { Swap::Limited } else { Swap::Unaccounted },
            netns,
            quota: self.context.settings.quota(spec),
        };
        let mut config = bundle::config(spec, &around);
        if let (RuntimeKind::Sandbox, Some(limits)) = (kind, spec.limits) {
            config["linux"]["resources"]["pids"]["limit"] = json!(limits.pids + bundle::SANDBOX_TASKS);
        }
        config
    }

    /// Writes all down and makes what the harness makes for a container; nothing is asked of the runtime yet.
    fn prepare_instance(&self, spec: &LaunchSpec, mut output: Watch) -> io::Result<OciInstance> {
        let (runtime, groups) = (self.runtime().map_err(io::Error::other)?, self.groups().map_err(io::Error::other)?);
        adopt()?;
        self.context.ledger.record(&Resource::Process { name: spec.name.clone() })?;
        let cgroup = groups.record(&spec.name)?;
        let files = self.files(&spec.name);
        fs::create_dir_all(&files.states)?;
        if spec.network == Networking::Bridge {
            // Connecting is a part of the boot, as it is for an engine that does it.
            output.stamp(Event::Spawn);
        }
        let link = Link::connect(&self.context, spec)?;
        bundle::write(&files.bundle, &self.config(spec, groups, runtime.kind, link.netns().as_deref()))?;
        let runtime = Arc::clone(runtime);
        Ok(OciInstance { watch: output, cgroup, files, link, runtime, helpers: Vec::new() })
    }
}

/// Asks the runtime for the container and lets it run. Both commands at once, `run --detach`, would save a process, but
/// crun then leaves one of its own between the container and the harness for a moment, and a container that ends in it
/// is not the harness's child yet.
fn ask(instance: &mut OciInstance, output: io::PipeWriter) -> Result<(), Error> {
    let OciInstance { watch, cgroup, files, runtime, helpers, .. } = instance;
    watch.stamp(Event::Spawn);
    let made = runtime.call(watch, Command::Create, files, Some(output.as_fd()))?;
    drop(output);
    watch.stamp(Event::Created);
    match runtime.kind {
        RuntimeKind::Sandbox => {
            helpers.push(made);
            helpers.extend(leaders(&cgroup.procs()));
        }
        RuntimeKind::Namespaces => drop(made.reap()),
    }
    let process = read_process(&files.pid(), runtime).map_err(|e| Error::failed("watch its process", e))?;
    watch.follow(process);
    watch.stamp(Event::Guest);
    let started = runtime.call(watch, Command::Start, files, None)?;
    started.reap().map(drop).map_err(|e| Error::failed("reap the runtime", e))
}

/// The container's process, which this process has adopted, so its number is its own until it is reaped.
fn read_process(file: &Path, runtime: &Runtime) -> io::Result<Process> {
    let text = fs::read_to_string(file)?;
    let raw = text.trim().parse().map_err(|_| io::Error::other(format!("`{}` is no process number", text.trim())))?;
    let handle = pidfd_open(pid(raw)?, PidfdFlags::empty())?;
    Ok(Process { tells: runtime.tells(), ..Process::new(raw, handle) })
}

impl Platform for Oci {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    /// One launch a CPU at once: on two CPUs, two took 14 ms (runc 1.1.5) and 7 ms (crun 1.8.1) a sleeper where one took
    /// 45 and 11, and four were no quicker than two (60 sleepers, `examples/bare_loop.rs`).
    fn capabilities(&self) -> Capabilities {
        let own_kernel = self.runtime().is_ok_and(|runtime| runtime.kind == RuntimeKind::Sandbox);
        Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: self.groups.is_ok() && !own_kernel,
            launch_concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            host_processes: !own_kernel,
            network: !own_kernel && rustix::process::geteuid().is_root(),
            own_memory: false,
            simulated: false,
        }
    }

    fn resource_cost(&self) -> ResourceCost {
        let own_kernel = self.runtime().is_ok_and(|runtime| runtime.kind == RuntimeKind::Sandbox);
        if own_kernel { ResourceCost::of_sandbox() } else { ResourceCost::default() }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        if !rustix::process::geteuid().is_root() {
            let (reason, cure) = ("containers need root".to_owned(), "run as root".to_owned());
            return Err(Unavailable { reason, cure });
        }
        let (runtime, groups) = (self.runtime()?, self.groups()?);
        let mut notes = vec![format!("cgroups: {}", groups.mode())];
        if let Some(mount) = &runtime.hides {
            notes.push(format!("runs without {}: it refuses the hybrid mode", mount.to_string_lossy()));
        }
        if runtime.kind == RuntimeKind::Sandbox {
            notes.push("guests have a kernel of their own: limits cover both, and processes have room for it".into());
        }
        Ok(PlatformFacts { version: runtime.version.clone(), notes })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        let program = image.binary();
        match program.is_file() {
            true => self.runtime().map(drop).map_err(Error::from),
            false => {
                let action = format!("prepare {} on {}", image.program, self.id);
                Err(Error::failed(action, format!("{} is missing", program.display())))
            }
        }
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        self.runtime()?;
        let action = || format!("launch {} on {}", spec.name, self.id);
        let (read, write) = pipe().map_err(|e| Error::failed(action(), e))?;
        let watch = Watch::new(&spec.name, read, &self.context.interrupt);
        let mut instance = self.prepare_instance(spec, watch).map_err(|e| Error::failed(action(), e))?;
        match ask(&mut instance, write.into()) {
            Ok(()) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                instance.abandon();
                Err(match e {
                    Error::Failed { action: what, reason } => Error::failed(action(), format!("{what}: {reason}")),
                    other => other,
                })
            }
        }
    }
}

/// A container without a root file system.
fn impossible(cgroups_path: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["/none"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "none", "readonly": true},
        "mounts": [],
        "linux": {"cgroupsPath": cgroups_path, "namespaces": [{"type": "mount"}, {"type": "pid"}]},
    })
}
