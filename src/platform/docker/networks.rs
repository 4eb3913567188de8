//! Bridges for instances: the engine's default one, and more when that is full.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Error;
use super::shared::Shared;
use crate::host::ledger::{CONTAINER_LABEL, Resource};
use crate::platform::engine_api::{self, Engine, Network};

/// The bridge that engines create by default.
const DEFAULT: &str = "bridge";

/// Instances per bridge. The kernel gives a bridge 1,023 ports (`BR_MAX_PORTS`, `net/bridge/br_private.h`), and some
/// stay free for the user's own containers. The largest step of the thesis, 1,000 instances and the measured ones, fits
/// on one bridge, because the first container of a second bridge takes longer to start.
pub(super) const PORTS: usize = 1010;

/// The bridges of one platform in one run.
#[derive(Debug)]
pub(super) struct Networks {
    ports_per_bridge: usize,
    list: Arc<Mutex<Vec<Bridge>>>,
    /// How many creations were tried. A failed one may have created its bridge, so its name is never used again.
    attempts: AtomicUsize,
}

#[derive(Debug)]
struct Bridge {
    name: String,
    used: usize,
}

/// A port of a bridge. Dropping it frees the port.
#[derive(Debug)]
pub(super) struct Port {
    bridge: String,
    list: Arc<Mutex<Vec<Bridge>>>,
}

impl Networks {
    /// An empty list. Sends no request yet.
    pub(super) fn new(ports_per_bridge: usize) -> Self {
        Self { ports_per_bridge, list: Arc::default(), attempts: AtomicUsize::new(0) }
    }

    /// Takes a port of the first bridge with a free one. If all are full, creates a bridge and records it first.
    pub(super) fn port(&self, shared: &Shared) -> Result<Port, Error> {
        let mut list = lock(&self.list);
        if list.is_empty() {
            // Count the user's containers on it. An engine without this bridge counts as having a full one.
            let default = shared.engine.inspect_bridge(DEFAULT)?;
            let used = default.map_or(self.ports_per_bridge, |bridge| bridge.containers);
            list.push(Bridge { name: DEFAULT.to_owned(), used });
        }
        let free = match list.iter().position(|bridge| bridge.used < self.ports_per_bridge) {
            Some(index) => index,
            None => self.create(shared, &mut list)?,
        };
        list[free].used += 1;
        Ok(Port { bridge: list[free].name.clone(), list: Arc::clone(&self.list) })
    }

    /// Creates another bridge and returns its index in the list.
    fn create(&self, shared: &Shared, list: &mut Vec<Bridge>) -> Result<usize, Error> {
        let run = shared.ledger.run();
        let number = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("{}-net{number}-{}", run.name(), shared.tag);
        let engine = shared.engine.address().to_string();
        shared.record(&Resource::Network { engine, name: name.clone() })?;
        let created = shared.engine.create_bridge(&name, (CONTAINER_LABEL, run.as_str()));
        created.map_err(|source| Error::Network { name: name.clone(), source })?;
        list.push(Bridge { name, used: 0 });
        Ok(list.len() - 1)
    }

    /// Removes the bridges that were created, and returns the outcome and name of each.
    pub(super) fn remove_all(&self, engine: &Engine) -> Vec<(Result<(), engine_api::Error>, String)> {
        let created = std::mem::take(&mut *lock(&self.list)).into_iter().filter(|bridge| bridge.name != DEFAULT);
        created.map(|bridge| (engine.remove_network(&bridge.name), bridge.name)).collect()
    }
}

impl Port {
    /// The network of its bridge.
    pub(super) fn network(&self) -> Network {
        Network::Bridge(self.bridge.clone())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(bridge) = lock(&self.list).iter_mut().find(|bridge| bridge.name == self.bridge) {
            bridge.used = bridge.used.saturating_sub(1);
        }
    }
}

fn lock(list: &Mutex<Vec<Bridge>>) -> MutexGuard<'_, Vec<Bridge>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
