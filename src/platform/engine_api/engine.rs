//! The connection to an engine: one thread sends all requests, and calls wait for it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error as CrateError;
use rustix::event::{EventfdFlags, eventfd};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::health::Health;
use super::{Address, Error, Patience, Pending};
use crate::host::placement;
use crate::model::cpuset::CpuSet;

/// How long after its deadline a call fails even if the thread that enforces the deadline is stuck.
const BACKSTOP: Duration = Duration::from_secs(2);

/// Containers to kill at once. More would wait for the engine's own locks and for its socket's queue.
const CONCURRENT_KILLS: usize = 8;

/// The crate's own time-out, in seconds. It covers only a part of a request, so it is set out of reach.
const CRATE_TIMEOUT: u64 = 24 * 60 * 60;

/// A connection to an engine. Dropping it ends its thread, and with it every stream.
pub struct Engine {
    address: Address,
    pub(super) docker: Docker,
    pub(super) handle: Handle,
    pub(super) patience: Patience,
    /// Permits for [`CONCURRENT_KILLS`].
    pub(super) kills: Arc<Semaphore>,
    pub(super) health: Arc<Health>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What an engine reports about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// The interface version that both sides support.
    pub api: String,
    /// Its storage driver.
    pub storage: String,
    /// Its cgroup driver and the cgroup version.
    pub cgroups: String,
    /// Its default runtime.
    pub default_runtime: String,
    /// Its configured runtimes.
    pub runtimes: BTreeMap<String, Runtime>,
    /// The time of its own clock, in its format.
    pub time: Option<String>,
}

/// A configured runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Its program.
    pub program: String,
    /// The arguments that the engine always passes to it.
    pub arguments: Vec<String>,
}

impl Engine {
    /// Connects to the engine at `address` and negotiates the interface version.
    ///
    /// # Errors
    /// No engine answers there in time.
    pub fn connect(address: &Address, patience: Patience) -> Result<Self, Error> {
        let unreachable = |reason: String| Error::Unreachable { engine: address.clone(), reason };
        let docker = match address {
            Address::Unix(path) => {
                Docker::connect_with_unix(&path.to_string_lossy(), CRATE_TIMEOUT, bollard::API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => {
                Docker::connect_with_http(&format!("tcp://{host}"), CRATE_TIMEOUT, bollard::API_DEFAULT_VERSION)
            }
        };
        let docker = docker.map_err(|e| Error::classify(address, "connect", patience.greeting, e))?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| unreachable(e.to_string()))?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let work = move || {
            let _ = runtime.block_on(ended);
            // A name lookup in progress must not delay the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(work);
        let thread = Some(thread.map_err(|e| unreachable(e.to_string()))?);
        let (address, end, health) = (address.clone(), Some(end), Arc::default());
        let kills = Arc::new(Semaphore::new(CONCURRENT_KILLS));
        let engine = Self { address, docker, handle, patience, kills, health, end, thread };
        engine.call("negotiate the version", patience.greeting, |docker| docker.negotiate_version())?;
        Ok(engine)
    }

    /// Moves the thread that talks to the engine to `cpus`, so that it does not disturb the measured instances.
    pub fn run_on(&self, cpus: CpuSet) {
        // If the kernel refuses, it stays where it is.
        self.handle.spawn(async move { drop(placement::pin_current_thread(&cpus)) });
    }

    /// Its address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Requests what the engine reports about itself.
    ///
    /// # Errors
    /// The engine does not answer, or its answer is invalid.
    pub fn facts(&self) -> Result<Facts, Error> {
        let request = |docker: Docker| async move { docker.info().await };
        let info = self.call("request its information", self.patience.greeting, request)?;
        let driver = or_unknown(info.cgroup_driver.map(|driver| driver.to_string()));
        let version = or_unknown(info.cgroup_version.map(|version| version.to_string()));
        let mut runtimes = BTreeMap::new();
        for (name, it) in info.runtimes.unwrap_or_default() {
            let (program, arguments) = (it.path.unwrap_or_default(), it.runtime_args.unwrap_or_default());
            runtimes.insert(name, Runtime { program, arguments });
        }
        Ok(Facts {
            version: or_unknown(info.server_version),
            api: self.docker.client_version().to_string(),
            storage: or_unknown(info.driver),
            cgroups: format!("{driver}, version {version}"),
            default_runtime: or_unknown(info.default_runtime),
            runtimes,
            time: info.system_time,
        })
    }

    /// Sends a request and waits for the answer, at most for `limit`.
    pub(super) fn call<T, F>(
        &self,
        action: &str,
        limit: Duration,
        request: impl FnOnce(Docker) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CrateError>> + Send + 'static,
    {
        self.begin(action, limit, None, request).wait()
    }

    /// Sends a request whose answer can be polled for.
    pub(super) fn begin_polled<T, F>(
        &self,
        action: &str,
        limit: Duration,
        request: impl FnOnce(Docker) -> F,
    ) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CrateError>> + Send + 'static,
    {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Arc::new);
        self.begin(action, limit, wake, request)
    }

    fn begin<T, F>(
        &self,
        action: &str,
        limit: Duration,
        wake: Option<Arc<OwnedFd>>,
        request: impl FnOnce(Docker) -> F,
    ) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CrateError>> + Send + 'static,
    {
        let (engine, action, health) = (self.address.clone(), action.to_owned(), Arc::clone(&self.health));
        let timed_out = Error::Deadline { engine: engine.clone(), action: action.clone(), after: limit };
        let (send, answer) = sync_channel(1);
        let patience = self.patience;
        let (work, docker, event_fd) = (request(self.docker.clone()), self.docker.clone(), wake.clone());
        let task = async move {
            let answer = match health.require(&docker, patience).await {
                Err(e) => Err(Error::classify(&engine, &action, patience.ping, e)),
                Ok(()) => {
                    let sent = Instant::now();
                    let answer = answer_or_silence(&docker, &health, patience, limit, work).await;
                    let whole_seconds = Duration::from_secs(sent.elapsed().as_secs());
                    answer.map_err(|e| Error::classify(&engine, &action, whole_seconds, e))
                }
            };
            if let Err(Error::Deadline { .. }) = answer {
                health.suspect();
            }
            // The caller may be gone and the answer unwanted.
            let _ = send.send(answer);
            if let Some(event_fd) = event_fd {
                let _ = rustix::io::write(&*event_fd, &1u64.to_ne_bytes());
            }
        };
        self.handle.spawn(task);
        Pending { answer, wake, give_up: Instant::now() + patience.ping + limit + BACKSTOP, timed_out }
    }
}

/// Waits for `work`, at most for `limit`. Pings an engine that is silent for long: it may be busy, but a hanging one
/// must not cost the whole limit.
async fn answer_or_silence<T>(
    docker: &Docker,
    health: &Health,
    patience: Patience,
    limit: Duration,
    work: impl Future<Output = Result<T, CrateError>>,
) -> Result<T, CrateError> {
    let sent = Instant::now();
    let mut work = pin!(work);
    loop {
        let left = limit.saturating_sub(sent.elapsed());
        if let Ok(answer) = timeout(left.min(patience.silence), &mut work).await {
            return answer;
        }
        if sent.elapsed() >= limit {
            return Err(CrateError::RequestTimeoutError);
        }
        health.ping(docker, patience).await?;
    }
}

fn or_unknown(value: Option<String>) -> String {
    value.filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dropping the sender ends the thread's wait.
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
