//! Containers: made, started, looked at, killed and removed.

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

/// A container as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, by reference.
    pub image: String,
    /// The program in the image and its arguments.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// Names and values that it is found by.
    pub labels: Vec<(String, String)>,
    /// The CPUs it may run on.
    pub cpus: Option<CpuSet>,
    /// The most memory, swap included.
    pub memory: Option<Bytes>,
    /// The most processes and threads.
    pub pids: Option<u32>,
    /// The share of a CPU's time that it gets.
    pub quota: Option<Quota>,
    /// Its runtime; the engine's default without.
    pub runtime: Option<String>,
    /// Its network.
    pub network: Network,
    /// The control group that its own is made in; the engine's choice without.
    pub cgroup_parent: Option<String>,
    /// An in-memory file system: where, and its options.
    pub tmpfs: (String, String),
}

/// What a container is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Its own loopback alone.
    None,
    /// The bridge of that name.
    Bridge(String),
    /// A network namespace that is there already; Podman knows it, Docker does not.
    Joined(PathBuf),
}

/// A container as the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its first process on the engine's host, while it runs.
    pub pid: Option<i32>,
    /// Its address on its bridge, if it has one.
    pub address: Option<IpAddr>,
    /// How it ended, once it has.
    pub exit: Option<i64>,
}

impl Network {
    /// Its name as the engine takes it.
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

    /// The arguments of a `docker` command that makes, starts, shows and removes it.
    pub fn run_arguments(&self) -> Vec<String> {
        let option = |name: &str, value: &str| format!("--{name}={value}");
        // Images of a run are in no registry: one that is missing is not looked for in the world.
        let mut arguments: Vec<_> = ["run", "--rm", "--pull=never", "--read-only"].map(str::to_owned).into();
        arguments.push(option("name", &self.name));
        arguments.extend(self.labels.iter().map(|(name, value)| option("label", &format!("{name}={value}"))));
        arguments.extend(self.environment.iter().map(|variable| option("env", variable)));
        arguments.push(option("network", &self.network.name()));
        arguments.push(option("tmpfs", &format!("{}:{}", self.tmpfs.0, self.tmpfs.1)));
        arguments.extend(self.cpus.iter().map(|cpus| option("cpuset-cpus", &cpus.to_string())));
        arguments.extend(
            self.memory
                .iter()
                .flat_map(|memory| ["memory", "memory-swap"].map(|name| option(name, &format!("{}b", memory.0)))),
        );
        arguments.extend(self.pids.iter().map(|pids| option("pids-limit", &pids.to_string())));
        arguments.extend(self.quota.iter().flat_map(|quota| {
            [("cpu-quota", quota.time_us), ("cpu-period", quota.period_us)]
                .map(|(name, us)| option(name, &us.to_string()))
        }));
        arguments.extend(self.cgroup_parent.iter().map(|parent| option("cgroup-parent", parent)));
        arguments.extend(self.runtime.iter().map(|runtime| option("runtime", runtime)));
        arguments.push(self.image.clone());
        arguments.extend(self.command.iter().cloned());
        arguments
    }
}

impl Seen {
    fn of(answer: ContainerInspectResponse) -> Self {
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
    /// Makes a container; its id.
    ///
    /// # Errors
    /// When the engine refuses, such as for an image or a runtime that it does not have.
    pub fn create(&self, container: &Container) -> Result<String, Error> {
        let options = CreateContainerOptionsBuilder::default().name(&container.name).build();
        let body = container.body();
        let create = |docker: bollard::Docker| async move { docker.create_container(Some(options), body).await };
        self.call("create a container", self.patience.slow, create).map(|made| made.id)
    }

    /// Begins to start a container.
    pub fn begin_start(&self, name: &str) -> Pending<()> {
        let name = name.to_owned();
        let start = |docker: bollard::Docker| async move { docker.start_container(&name, None).await };
        self.begin_polled("start a container", self.patience.slow, start)
    }

    /// Kills a container; the answer comes when the engine has seen to it, and is [`Error::is_absent`] when there is none
    /// of that name, [`Error::is_conflict`] when it does not run. Whoever waits has to read what the container still
    /// prints: an engine may answer only when that is gone.
    pub fn kill(&self, name: &str) -> Pending<()> {
        let name = name.to_owned();
        self.begin_polled("kill a container", self.patience.slow, |docker| async move { kill(&docker, &name).await })
    }

    /// Begins to kill a container. Of many at once, the engine is asked for a few at a time.
    pub fn begin_kill(&self, name: &str) {
        let (name, docker, turns) = (name.to_owned(), self.docker.clone(), Arc::clone(&self.kills));
        let (patience, trust) = (self.patience, Arc::clone(&self.trust));
        self.handle.spawn(async move {
            let _turn = turns.acquire().await;
            // Whoever stops the container afterwards learns what became of it.
            if trust.require(&docker, patience).await.is_ok() {
                let _ = timeout(patience.slow, kill(&docker, &name)).await;
            }
        });
    }

    /// Looks at a container.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn inspect(&self, name: &str) -> Result<Seen, Error> {
        self.begin_inspect(name).wait()
    }

    /// Begins to look at a container.
    pub fn begin_inspect(&self, name: &str) -> Pending<Seen> {
        let name = name.to_owned();
        let inspect =
            |docker: bollard::Docker| async move { docker.inspect_container(&name, None).await.map(Seen::of) };
        self.begin_polled("inspect a container", self.patience.ordinary, inspect)
    }

    /// Ends a container if it lives, and removes it. When this returns, it is gone; one that is not there is fine.
    ///
    /// # Errors
    /// When the engine could not remove it.
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

    /// Waits until a container that somebody else removes is gone.
    fn await_removal(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        let wait = |docker: bollard::Docker| async move {
            match docker.wait_container(&name, Some(options)).next().await {
                // How it ended is not asked here.
                Some(Err(bollard::errors::Error::DockerContainerWaitError { .. })) | None => Ok(()),
                Some(other) => other.map(drop),
            }
        };
        match self.call("remove a container", self.patience.slow, wait) {
            Err(e) if e.is_absent() => Ok(()),
            other => other,
        }
    }

    /// The names of the containers, running or not, with that label.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn containers(&self, label: &str, value: &str) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let list = |docker: bollard::Docker| async move { docker.list_containers(Some(options)).await };
        let names = self.call("list containers", self.patience.ordinary, list)?.into_iter().filter_map(|it| it.names);
        Ok(names.flatten().map(|name| name.trim_start_matches('/').to_owned()).collect())
    }
}

async fn kill(docker: &bollard::Docker, name: &str) -> Result<(), bollard::errors::Error> {
    docker.kill_container(name, Some(KillContainerOptionsBuilder::default().signal("KILL").build())).await
}
