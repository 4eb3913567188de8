//! What happens to containers, as the engine tells it.

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error as CrateError;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Address, Engine, Error, Patience};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The container of that name was made.
    Created(String),
    /// It was started.
    Started(String),
    /// It ended.
    Died {
        /// Its name.
        name: String,
        /// Its exit code.
        code: i64,
    },
    /// The engine can no longer be heard: nothing more is told.
    Lost(Error),
}

/// A stream of happenings. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription(JoinHandle<()>);

impl Engine {
    /// From now on tells `hear` what happens to the containers with that label, on the engine's own thread: `hear` must
    /// not block. What happened since the instant `since` of the engine's clock, in seconds of Unix time, is told first,
    /// so that nothing is missed while the stream is being set up.
    pub fn follow(
        &self,
        label: &str,
        value: &str,
        since: i64,
        hear: impl Fn(Happening) + Send + Sync + 'static,
    ) -> Subscription {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), ["create", "start", "die", "died"].map(str::to_owned).to_vec()),
            ("label".to_owned(), vec![format!("{label}={value}")]),
        ]);
        let options = EventsOptionsBuilder::default().since(&since.to_string()).filters(&filters).build();
        let (docker, address, patience) = (self.docker.clone(), self.address().clone(), self.patience);
        Subscription(self.handle.spawn(async move {
            let events = docker.events(Some(options)).boxed();
            hear(Happening::Lost(listen(&docker, &address, patience, events, &hear).await));
        }))
    }
}

/// Tells what comes until nothing more can: why.
async fn listen(
    docker: &Docker,
    address: &Address,
    patience: Patience,
    mut events: impl futures_util::Stream<Item = Result<EventMessage, CrateError>> + Unpin,
    hear: &impl Fn(Happening),
) -> Error {
    let lost = |e| Error::of(address, "listen to events", patience.sign_of_life, e);
    loop {
        match timeout(patience.silence, events.next()).await {
            Ok(Some(Ok(message))) => read(message).into_iter().for_each(hear),
            Ok(Some(Err(e))) => return lost(e),
            Ok(None) => {
                let reason = "it ended the stream of events".to_owned();
                return Error::Unreachable { engine: address.clone(), reason };
            }
            Err(_) => match timeout(patience.sign_of_life, docker.ping()).await {
                Ok(Ok(_)) => {}
                Ok(Err(e)) => return lost(e),
                Err(_) => return lost(CrateError::RequestTimeoutError),
            },
        }
    }
}

fn read(message: EventMessage) -> Option<Happening> {
    let mut attributes = message.actor?.attributes?;
    let name = attributes.remove("name")?;
    match message.action?.as_str() {
        "create" => Some(Happening::Created(name)),
        "start" => Some(Happening::Started(name)),
        // Podman writes the event and the code under other names than Docker, and filters by its own.
        "die" | "died" => {
            let code = ["exitCode", "containerExitCode"].iter().find_map(|key| attributes.get(*key)?.parse().ok());
            Some(Happening::Died { name, code: code? })
        }
        _ => None,
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}
