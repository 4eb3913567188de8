//! Creating, starting, inspecting, killing and removing containers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{Engine, Error, Pending};
use crate::host::cgroup::Quota;
use crate::model::cpuset::CpuSet;
use crate::model::units::Bytes;

/// A container to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The reference of its image.
    pub image: String,
    /// The program in the image, with its arguments.
    pub command: Vec<String>,
    /// Its environment, `NAME=value`.
    pub environment: Vec<String>,
    /// Its labels, by which it can be listed.
    pub labels: Vec<(String, String)>,
    /// The CPUs it may run on.
    pub cpus: Option<CpuSet>,
    /// The memory limit, including swap.
    pub memory: Option<Bytes>,
    /// The limit of processes and threads.
    pub pids: Option<u32>,
    /// Its share of a CPU's time.
    pub quota: Option<Quota>,
    /// Its runtime; `None` is the engine's default.
    pub runtime: Option<String>,
    /// Its network.
    pub network: Network,
    /// The parent of its control group; `None` is the engine's choice.
    pub cgroup_parent: Option<String>,
    /// The mount point and options of its in-memory file system.
    pub tmpfs: (String, String),
}

/// What a container is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Only its own loopback.
    None,
    /// The bridge of that name.
    Bridge(String),
    /// An existing network namespace. Podman supports it, Docker does not.
    Joined(PathBuf),
}

/// The state of a container, as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// Its id.
    pub id: String,
    /// Its first process on the engine's host, while it runs.
    pub pid: Option<i32>,
    /// Its address on its bridge, if it has one.
    pub address: Option<IpAddr>,
    /// Its exit code, once it has ended.
    pub exit: Option<i64>,
}

impl Network {
    /// Its name in the engine's interface.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Network::None => "none".into(),
            Network::Bridge(name) => name.into(),
            Network::Joined(path) => format!("ns:{}", path.display()).into(),
        }
    }
}

impl Container {
    fn body(&self) -> ContainerCreateBody {
        let bytes = self.memory.map(|memory| i64::try_from(memory.0).unwrap_or(i64::MAX));
        let host = HostConfig {
            cpuset_cpus: self.cpus.as_ref().map(ToString::to_string),
            memory: bytes,
            memory_swap: bytes,
            pids_limit: self.pids.map(i64::from),
            cpu_quota: self.quota.map(|quota| quota.time_us as i64),
            cpu_period: self.quota.map(|quota| quota.period_us as i64),
            runtime: self.runtime.clone(),
            network_mode: Some(self.network.name().into_owned()),
            cgroup_parent: self.cgroup_parent.clone(),
            readonly_rootfs: Some(true),
            tmpfs: Some(HashMap::from([self.tmpfs.clone()])),
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: Some(self.command.clone()),
            env: Some(self.environment.clone()),
            labels: Some(self.labels.iter().cloned().collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }

    /// The arguments of a `docker` command that creates it, starts it, prints its output and removes it.
    pub fn run_arguments(&self) -> Vec<String> {
        // A run's images are in no registry, so the command must not look there for a missing one.
        let mut arguments: Vec<_> = ["run", "--rm", "--pull=never", "--read-only"].map(str::to_owned).into();
        arguments.push(option("name", &self.name));
        arguments.extend(self.labels.iter().map(|(name, value)| option("label", &format!("{name}={value}"))));
        arguments.extend(self.environment.iter().map(|variable| option("env", variable)));
        arguments.push(option("network", &self.network.name()));
        arguments.push(option("tmpfs", &format!("{}:{}", self.tmpfs.0, self.tmpfs.1)));
        arguments.extend(self.cpus.iter().map(|cpus| option("cpuset-cpus", &cpus.to_string())));
        if let Some(memory) = self.memory {
            arguments.push(option("memory", &format!("{}b", memory.0)));
            arguments.push(option("memory-swap", &format!("{}b", memory.0)));
        }
        arguments.extend(self.pids.iter().map(|pids| option("pids-limit", &pids.to_string())));
        if let Some(quota) = self.quota {
            arguments.push(option("cpu-quota", &quota.time_us.to_string()));
            arguments.push(option("cpu-period", &quota.period_us.to_string()));
        }
        arguments.extend(self.cgroup_parent.iter().map(|parent| option("cgroup-parent", parent)));
        arguments.extend(self.runtime.iter().map(|runtime| option("runtime", runtime)));
        arguments.push(self.image.clone());
        arguments.extend(self.command.iter().cloned());
        arguments
    }
}

impl From<ContainerInspectResponse> for ContainerState {
    fn from(answer: ContainerInspectResponse) -> Self {
        let state = answer.state.unwrap_or_default();
        let running = state.running.unwrap_or(false);
        let ended = state.finished_at.is_some_and(|at| !at.to_string().starts_with("0001-01-01"));
        let networks = answer.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Self {
            id: answer.id.unwrap_or_default(),
            pid: state.pid.filter(|&pid| running && pid > 0).and_then(|pid| i32::try_from(pid).ok()),
            address: networks.into_values().find_map(|network| network.ip_address?.to_string().parse().ok()),
            exit: state.exit_code.filter(|_| !running && ended),
        }
    }
}

impl Engine {
    /// Creates a container and returns its id.
    ///
    /// # Errors
    /// The engine rejects it, for example because its image or runtime is missing.
    pub fn create(&self, container: &Container) -> Result<String, Error> {
        let options = CreateContainerOptionsBuilder::default().name(&container.name).build();
        let body = container.body();
        let create = |docker: bollard::Docker| async move { docker.create_container(Some(options), body).await };
        self.call("create a container", self.patience.slow, create).map(|created| created.id)
    }

    /// Starts a container; the answer is pending.
    pub fn begin_start(&self, name: &str) -> Pending<()> {
        let name = name.to_owned();
        let start = |docker: bollard::Docker| async move { docker.start_container(&name, None).await };
        self.begin_polled("start a container", self.patience.slow, start)
    }

    /// Kills a container; the answer is pending. It is [`Error::is_absent`] if the container does not exist and
    /// [`Error::is_conflict`] if it does not run. Read the container's output during the wait, because an engine may
    /// answer only once its output is consumed.
    pub fn kill(&self, name: &str) -> Pending<()> {
        let name = name.to_owned();
        self.begin_polled("kill a container", self.patience.slow, |docker| async move { kill(&docker, &name).await })
    }

    /// Kills a container without waiting. The engine gets only a few of many such requests at a time.
    pub fn begin_kill(&self, name: &str) {
        let (name, docker, permits) = (name.to_owned(), self.docker.clone(), Arc::clone(&self.kills));
        let (patience, health) = (self.patience, Arc::clone(&self.health));
        self.handle.spawn(async move {
            let _permit = permits.acquire().await;
            // A failure shows when the instance is stopped afterwards.
            if health.require(&docker, patience).await.is_ok() {
                let _ = timeout(patience.slow, kill(&docker, &name)).await;
            }
        });
    }

    /// Returns the state of a container.
    ///
    /// # Errors
    /// The container does not exist.
    pub fn inspect(&self, name: &str) -> Result<ContainerState, Error> {
        self.begin_inspect(name).wait()
    }

    /// Requests the state of a container; the answer is pending.
    pub fn begin_inspect(&self, name: &str) -> Pending<ContainerState> {
        let name = name.to_owned();
        let inspect = |docker: bollard::Docker| async move {
            docker.inspect_container(&name, None).await.map(ContainerState::from)
        };
        self.begin_polled("inspect a container", self.patience.ordinary, inspect)
    }

    /// Kills a container if it runs, removes it, and waits until it is gone. A missing container is fine.
    ///
    /// # Errors
    /// The engine failed to remove it.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let owned = name.to_owned();
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let remove = |docker: bollard::Docker| async move { docker.remove_container(&owned, Some(options)).await };
        match self.call("remove a container", self.patience.slow, remove) {
            Err(e) if e.is_absent() => Ok(()),
            Err(e) if e.is_conflict() => self.await_removal(name),
            other => other,
        }
    }

    /// Waits until another client's removal of a container is complete.
    fn await_removal(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        let wait = |docker: bollard::Docker| async move {
            match docker.wait_container(&name, Some(options)).next().await {
                // Its exit code does not matter here.
                Some(Err(bollard::errors::Error::DockerContainerWaitError { .. })) | None => Ok(()),
                Some(other) => other.map(drop),
            }
        };
        match self.call("remove a container", self.patience.slow, wait) {
            Err(e) if e.is_absent() => Ok(()),
            other => other,
        }
    }

    /// Lists the names of all containers with that label, running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn containers(&self, label: &str, value: &str) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let list = |docker: bollard::Docker| async move { docker.list_containers(Some(options)).await };
        let names = self.call("list containers", self.patience.ordinary, list)?.into_iter().filter_map(|it| it.names);
        Ok(names.flatten().map(|name| name.trim_start_matches('/').to_owned()).collect())
    }
}

fn option(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

async fn kill(docker: &bollard::Docker, name: &str) -> Result<(), bollard::errors::Error> {
    docker.kill_container(name, Some(KillContainerOptionsBuilder::default().signal("KILL").build())).await
}
