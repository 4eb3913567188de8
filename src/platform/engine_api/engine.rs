//! The connection to an engine: one thread that does all the asking, and calls that wait for it.

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

use super::trust::Trust;
use super::{Address, Error, Patience, Pending};
use crate::host::placement;
use crate::model::cpuset::CpuSet;

/// How much later than its deadline a call is given up without the thread that keeps it.
const BACKSTOP: Duration = Duration::from_secs(2);

/// Containers that are killed at once: more would wait for the engine's own locks, and for room in its socket's queue.
const KILLS: usize = 8;

/// The crate's own time-out is stored in whole seconds and covers part of a request: it is put out of the way.
const NEVER: u64 = 24 * 60 * 60;

/// A connection to an engine. Dropping it ends its thread, and with it every stream.
pub struct Engine {
    address: Address,
    pub(super) docker: Docker,
    pub(super) handle: Handle,
    pub(super) patience: Patience,
    /// How many containers are killed at once.
    pub(super) kills: Arc<Semaphore>,
    /// What is known of whether it answers.
    pub(super) trust: Arc<Trust>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What an engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// The version of the interface that both sides speak.
    pub api: String,
    /// How it stores images.
    pub storage: String,
    /// How it makes control groups, and of which version.
    pub cgroups: String,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// The runtimes that are configured.
    pub runtimes: BTreeMap<String, Runtime>,
    /// Its own clock's time, as it writes it.
    pub time: Option<String>,
}

/// A runtime that an engine is configured with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Its program.
    pub program: String,
    /// The arguments that the engine always gives it.
    pub arguments: Vec<String>,
}

impl Engine {
    /// Connects to the engine at `address` and agrees on a version of the interface.
    ///
    /// # Errors
    /// When nobody answers there in time.
    pub fn connect(address: &Address, patience: Patience) -> Result<Self, Error> {
        let unreachable = |reason: String| Error::Unreachable { engine: address.clone(), reason };
        let docker = match address {
            Address::Unix(path) => {
                Docker::connect_with_unix(&path.to_string_lossy(), NEVER, bollard::API_DEFAULT_VERSION)
            }
            Address::Tcp(host) => {
                Docker::connect_with_http(&format!("tcp://{host}"), NEVER, bollard::API_DEFAULT_VERSION)
            }
        };
        let docker = docker.map_err(|e| Error::of(address, "connect", patience.greeting, e))?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| unreachable(e.to_string()))?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let work = move || {
            let _ = runtime.block_on(ended);
            // A name that is being looked up must not hold the end.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(work);
        let thread = Some(thread.map_err(|e| unreachable(e.to_string()))?);
        let (address, end, trust) = (address.clone(), Some(end), Arc::default());
        let kills = Arc::new(Semaphore::new(KILLS));
        let engine = Self { address, docker, handle, patience, kills, trust, end, thread };
        engine.call("to say its version", patience.greeting, |docker| docker.negotiate_version())?;
        Ok(engine)
    }

    /// Has the thread that talks to the engine run on `cpus` from now on, so that it does not disturb what is measured.
    pub fn work_on(&self, cpus: CpuSet) {
        // Where the kernel refuses, it runs where it ran.
        self.handle.spawn(async move { drop(placement::pin_current_thread(&cpus)) });
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it does not answer, or with something else.
    pub fn facts(&self) -> Result<Facts, Error> {
        let info =
            self.call("to say who it is", self.patience.greeting, |docker| async move { docker.info().await })?;
        let text =
            |value: Option<String>| value.filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        let driver = text(info.cgroup_driver.map(|driver| driver.to_string()));
        let version = text(info.cgroup_version.map(|version| version.to_string()));
        let runtimes = info.runtimes.unwrap_or_default().into_iter();
        Ok(Facts {
            version: text(info.server_version),
            api: self.docker.client_version().to_string(),
            storage: text(info.driver),
            cgroups: format!("{driver}, version {version}"),
            default_runtime: text(info.default_runtime),
            runtimes: runtimes
                .map(|(name, it)| {
                    let (program, arguments) = (it.path.unwrap_or_default(), it.runtime_args.unwrap_or_default());
                    (name, Runtime { program, arguments })
                })
                .collect(),
            time: info.system_time,
        })
    }

    /// Asks and waits for the answer, `limit` at the most.
    pub(super) fn call<T, F>(&self, action: &str, limit: Duration, ask: impl FnOnce(Docker) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CrateError>> + Send + 'static,
    {
        self.begin(action, limit, None, ask).wait()
    }

    /// Asks; the answer can be polled for.
    pub(super) fn begin_polled<T, F>(&self, action: &str, limit: Duration, ask: impl FnOnce(Docker) -> F) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CrateError>> + Send + 'static,
    {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Arc::new);
        self.begin(action, limit, wake, ask)
    }

    fn begin<T, F>(
        &self,
        action: &str,
        limit: Duration,
        wake: Option<Arc<OwnedFd>>,
        ask: impl FnOnce(Docker) -> F,
    ) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CrateError>> + Send + 'static,
    {
        let (engine, action, trust) = (self.address.clone(), action.to_owned(), Arc::clone(&self.trust));
        let late = Error::Deadline { engine: engine.clone(), action: action.clone(), after: limit };
        let (send, answer) = sync_channel(1);
        let (patience, sign) = (self.patience, self.patience.sign_of_life);
        let (work, docker, bell) = (ask(self.docker.clone()), self.docker.clone(), wake.clone());
        let asking = async move {
            let answer = match trust.require(&docker, patience).await {
                Err(e) => Err(Error::of(&engine, &action, sign, e)),
                Ok(()) => {
                    let asked = Instant::now();
                    let answer = answer_or_silence(&docker, &trust, patience, limit, work).await;
                    answer.map_err(|e| Error::of(&engine, &action, Duration::from_secs(asked.elapsed().as_secs()), e))
                }
            };
            if let Err(Error::Deadline { .. }) = answer {
                trust.doubt();
            }
            // Whoever asked may have gone; the answer is nobody's then.
            let _ = send.send(answer);
            if let Some(bell) = bell {
                let _ = rustix::io::write(&*bell, &1u64.to_ne_bytes());
            }
        };
        self.handle.spawn(asking);
        Pending { answer, wake, give_up: Instant::now() + sign + limit + BACKSTOP, late }
    }
}

/// Waits for `work`, `limit` at the most. An engine that is silent for long is asked for a sign of life: it may be busy,
/// but one that hangs must not cost the whole limit.
async fn answer_or_silence<T>(
    docker: &Docker,
    trust: &Trust,
    patience: Patience,
    limit: Duration,
    work: impl Future<Output = Result<T, CrateError>>,
) -> Result<T, CrateError> {
    let asked = Instant::now();
    let mut work = pin!(work);
    loop {
        let left = limit.saturating_sub(asked.elapsed());
        if let Ok(answer) = timeout(left.min(patience.silence), &mut work).await {
            return answer;
        }
        if asked.elapsed() >= limit {
            return Err(CrateError::RequestTimeoutError);
        }
        trust.ask(docker, patience).await?;
    }
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
