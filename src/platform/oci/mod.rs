//! `oci:RUNTIME`: containers of an OCI runtime's program, without an engine or a daemon.
//!
//! Data flow: the harness writes a bundle and calls the runtime's `create` with the guest's output, which the container
//! inherits. The runtime writes the number of the container's process to a file, and the harness watches that process
//! and the output. Then it calls `start`, and at the end `delete`. The process becomes the harness's child (see
//! `orphan`), so the kernel reports its exit status. Invariant: a container is deleted only after its process was
//! reaped.

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
use runtime::{CallError, Command, Files, Runtime, RuntimeKind};
use serde_json::{Value, json};

use super::bundle::{self, BundleOptions, Swap};
use super::groups::Groups;
use super::link::Link;
use super::{Context, Error, Instance, LaunchSpec, Platform, ResourceCost, SettingKind, Settings, UnsupportedSetting};
use crate::guest::Image;
use crate::host::cgroup::{CgroupMode, Hierarchies};
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::platform::process::handle::{Process, ProcessError};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::{become_subreaper, leaders};
use crate::platform::process::watch::{Watch, pipe};
use crate::platform::process::watched::Watched;

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] = &[
    SettingKind::Runtime,
    SettingKind::Images,
    SettingKind::Guests,
    SettingKind::Busy,
    SettingKind::Quota,
    SettingKind::Delay,
];

/// Containers of a runtime's program.
#[derive(Debug)]
pub struct Oci {
    id: PlatformId,
    name: String,
    context: Context,
    clock: HostClock,
    groups: Result<Groups, Unavailable>,
    runtime: OnceLock<Result<Arc<Runtime>, Unavailable>>,
}

impl Oci {
    /// The platform of the runtime `name` for one run.
    pub fn new(context: Context, name: &str) -> Self {
        let groups = Groups::find(&context, |all| Hierarchies::of_programs(&all)).map_err(|why| Unavailable {
            reason: why.to_string(),
            cure: "mount the cgroup controllers writable".to_owned(),
        });
        let (id, name) = (PlatformId::new(format!("oci:{name}")), name.to_owned());
        Self { id, name, context, clock: HostClock, groups, runtime: OnceLock::new() }
    }

    fn groups(&self) -> Result<&Groups, Unavailable> {
        self.groups.as_ref().map_err(Unavailable::clone)
    }

    /// The runtime. The first call finds it.
    fn runtime(&self) -> Result<&Arc<Runtime>, Unavailable> {
        self.runtime.get_or_init(|| self.find_runtime()).as_ref().map_err(Unavailable::clone)
    }

    fn find_runtime(&self) -> Result<Arc<Runtime>, Unavailable> {
        let set = self.context.settings.runtime.as_deref();
        let mut runtime = Runtime::find(&self.name, set, self.context.ledger.run())?;
        let groups = self.groups()?;
        if groups.mode() == CgroupMode::Hybrid && runtime.kind == RuntimeKind::Namespaces {
            runtime.hidden = self.rejected_mount(&runtime, groups)?;
        }
        Ok(Arc::new(runtime))
    }

    /// The mount of cgroup version 2, if the runtime rejects it. crun does so wherever that mount has a controller
    /// ("cgroups in hybrid mode not supported").
    fn rejected_mount(&self, runtime: &Runtime, groups: &Groups) -> Result<Option<CString>, Unavailable> {
        let error = self.create_rootless_container(runtime, groups).map_err(|e| Unavailable {
            reason: format!("failed to test {}: {e}", self.name),
            cure: "make the state folder writable".to_owned(),
        })?;
        if !error.is_some_and(|e| e.is_hybrid_mode_rejected()) {
            return Ok(None);
        }
        let mount = bundle::unified_mount().map(|mount| mount.into_os_string().into_encoded_bytes());
        Ok(mount.and_then(|path| CString::new(path).ok()))
    }

    /// Tries to create a container without a root file system, and returns the runtime's error. A runtime checks the
    /// mounts of cgroups before the root file system.
    fn create_rootless_container(&self, runtime: &Runtime, groups: &Groups) -> Result<Option<CallError>, HostError> {
        let name = self.context.ledger.instance_name();
        let cgroup = groups.foresee(&name).during("record its cgroup in the ledger")?;
        let files = self.files(&name);
        fs::create_dir_all(&files.states).during_with(|| format!("create {}", files.states.display()))?;
        let config = rootless_config(&groups.path(&name));
        bundle::write(&files.bundle, &config).during_with(|| format!("write the bundle {}", files.bundle.display()))?;
        let (read, write) = pipe().during("create a pipe")?;
        let mut watch = Watch::new(&name, read, &self.context.interrupt);
        let error = runtime.call(&mut watch, Command::Create, &files, Some(write.as_fd())).err();
        cgroup.remove_if_empty();
        for dir in [&files.bundle, &files.states] {
            fs::remove_dir_all(dir).during_with(|| format!("remove {}", dir.display()))?;
        }
        Ok(error)
    }

    fn files(&self, name: &str) -> Files {
        let dir = self.context.ledger.dir();
        Files { bundle: dir.join("bundles").join(name), states: dir.join("states").join(name) }
    }

    fn config(&self, spec: &LaunchSpec, groups: &Groups, kind: RuntimeKind, netns: Option<&Path>) -> Value {
        let options = BundleOptions {
            run: self.context.ledger.run(),
            cgroups_path: groups.path(&spec.name),
            mode: groups.mode(),
            most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX),
            swap: if groups.limits_swap() { Swap::Limited } else { Swap::Unaccounted },
            netns,
            quota: self.context.settings.quota(spec),
        };
        let mut config = bundle::config(spec, &options);
        if let (RuntimeKind::Sandbox, Some(limits)) = (kind, spec.limits) {
            config["linux"]["resources"]["pids"]["limit"] = json!(limits.pids + bundle::SANDBOX_TASKS);
        }
        config
    }

    /// Records the container's resources and creates those of the harness. Does not call the runtime yet.
    fn prepare_instance(&self, spec: &LaunchSpec, mut watch: Watch) -> Result<OciInstance, LaunchError> {
        let (runtime, groups) = (self.runtime()?, self.groups()?);
        become_subreaper().during("become a subreaper")?;
        let recorded = self.context.ledger.record(&Resource::Process { name: spec.name.clone() });
        recorded.during("record its process in the ledger")?;
        let cgroup = groups.record(&spec.name).during("record its cgroup in the ledger")?;
        let files = self.files(&spec.name);
        fs::create_dir_all(&files.states).during_with(|| format!("create {}", files.states.display()))?;
        if spec.network == Networking::Bridge {
            // Connecting is a part of the boot, as with an engine that connects.
            watch.stamp(Event::Spawn);
        }
        let link = Link::connect(&self.context, spec).during("connect it to the run's network")?;
        let config = self.config(spec, groups, runtime.kind, link.netns().as_deref());
        bundle::write(&files.bundle, &config).during_with(|| format!("write the bundle {}", files.bundle.display()))?;
        let runtime = Arc::clone(runtime);
        Ok(OciInstance { watch, cgroup, files, link, runtime, helpers: Vec::new() })
    }
}

/// Why a container could not be launched.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl LaunchError {
    /// Converts it into the failure of `action`.
    fn into_failure(self, action: String) -> Error {
        match self {
            LaunchError::Unavailable(why) => Error::Unavailable(why),
            LaunchError::Call(CallError::Wait(error)) if !matches!(error, Error::Failed { .. }) => error,
            other => Error::failed(action, other),
        }
    }
}

/// Creates the container and starts it. The single command `run --detach` would save a process. But crun then leaves
/// one of its own between the container and the harness for a moment, so a container that ends meanwhile is not yet the
/// harness's child.
fn create_and_start(instance: &mut OciInstance, output: io::PipeWriter) -> Result<(), LaunchError> {
    let OciInstance { watch, cgroup, files, runtime, helpers, .. } = instance;
    watch.stamp(Event::Spawn);
    let creator = runtime.call(watch, Command::Create, files, Some(output.as_fd()))?;
    drop(output);
    watch.stamp(Event::Created);
    match runtime.kind {
        RuntimeKind::Sandbox => {
            helpers.push(creator);
            helpers.extend(leaders(&cgroup.procs()));
        }
        RuntimeKind::Namespaces => drop(creator.reap()),
    }
    watch.follow(open_process(&files.pid(), runtime)?);
    watch.stamp(Event::Guest);
    runtime.call(watch, Command::Start, files, None)?.reap()?;
    Ok(())
}

/// Opens the container's process. It is a child of this process, so its number stays valid until it is reaped.
fn open_process(file: &Path, runtime: &Runtime) -> Result<Process, LaunchError> {
    let text = fs::read_to_string(file).during_with(|| format!("read {}", file.display()))?;
    let number = text.trim();
    let raw = number.parse().map_err(|_| ProcessError::InvalidPid(number.to_owned()))?;
    Ok(Process { signals: runtime.signal_encoding(), ..Process::open(raw)? })
}

impl Platform for Oci {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    /// One concurrent launch per CPU. On two CPUs and with 60 sleepers, two launches took 14 ms (runc 1.1.5) and 7 ms
    /// (crun 1.8.1) per sleeper, one took 45 and 11 ms, and four were not faster than two (`examples/bare_loop.rs`).
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
        if let Some(mount) = &runtime.hidden {
            notes.push(format!("runs without {}: it rejects the hybrid mode", mount.to_string_lossy()));
        }
        if runtime.kind == RuntimeKind::Sandbox {
            notes.push(
                "guests have their own kernel: limits cover both, and the process limit includes its threads".into(),
            );
        }
        Ok(PlatformFacts { version: runtime.version.clone(), notes })
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.only(&self.id, SETTINGS)
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
        let mut instance = self.prepare_instance(spec, watch).map_err(|e| e.into_failure(action()))?;
        match create_and_start(&mut instance, write.into()) {
            Ok(()) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                instance.abandon();
                Err(e.into_failure(action()))
            }
        }
    }
}

/// The configuration of a container without a root file system, which no runtime can create.
fn rootless_config(cgroups_path: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["/none"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "none", "readonly": true},
        "mounts": [],
        "linux": {"cgroupsPath": cgroups_path, "namespaces": [{"type": "mount"}, {"type": "pid"}]},
    })
}
