//! Bridges for instances: the engine's own, and further ones when that is full.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::shared::Shared;
use crate::host::ledger::{CONTAINER_LABEL, Resource};
use crate::platform::engine_api::{Engine, Error, Network};

/// The bridge that every engine has.
const DEFAULT: &str = "bridge";

/// Instances on one bridge: the kernel gives a bridge 1,023 ports (`BR_MAX_PORTS`, `net/bridge/br_private.h`), and some
/// are left to the user's own containers. The largest step of the thesis, 1,000 and those that are measured, fits: the
/// first container of a second bridge takes longer to start.
pub(super) const PORTS: usize = 1010;

/// The bridges of one platform in one run.
#[derive(Debug)]
pub(super) struct Networks {
    /// Ports that are used of a bridge.
    most: usize,
    list: Arc<Mutex<Vec<Bridge>>>,
    /// How many were asked for. One whose making failed may be there all the same: its name is never used again.
    asked: AtomicUsize,
}

#[derive(Debug)]
struct Bridge {
    name: String,
    taken: usize,
}

/// A port of a bridge; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Port {
    bridge: String,
    list: Arc<Mutex<Vec<Bridge>>>,
}

impl Networks {
    /// No bridge is looked at yet; of each, `most` ports are used.
    pub(super) fn new(most: usize) -> Self {
        Self { most, list: Arc::default(), asked: AtomicUsize::new(0) }
    }

    /// A port of the first bridge that has one; makes a bridge where none has, in the ledger first.
    pub(super) fn port(&self, shared: &Shared) -> Result<Port, String> {
        let mut list = lock(&self.list);
        if list.is_empty() {
            // Somebody else's containers are on it, too. An engine can be without: then all of ours are our own.
            let present = shared.engine.inspect_bridge(DEFAULT).map_err(|e| e.to_string())?;
            let taken = present.map_or(self.most, |bridge| bridge.containers);
            list.push(Bridge { name: DEFAULT.to_owned(), taken });
        }
        let free = match list.iter().position(|bridge| bridge.taken < self.most) {
            Some(index) => index,
            None => self.make(shared, &mut list)?,
        };
        list[free].taken += 1;
        Ok(Port { bridge: list[free].name.clone(), list: Arc::clone(&self.list) })
    }

    /// Makes one bridge more: its place in the list.
    fn make(&self, shared: &Shared, list: &mut Vec<Bridge>) -> Result<usize, String> {
        let run = shared.ledger.run();
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("{}-net{number}-{}", run.name(), shared.tag);
        let engine = shared.engine.address().to_string();
        shared.write_down(&Resource::Network { engine, name: name.clone() }).map_err(|e| e.to_string())?;
        shared.engine.create_bridge(&name, (CONTAINER_LABEL, run.as_str())).map_err(|e| format!("make {name}: {e}"))?;
        list.push(Bridge { name, taken: 0 });
        Ok(list.len() - 1)
    }

    /// Removes those that were made: what became of each.
    pub(super) fn remove_all(&self, engine: &Engine) -> Vec<(Result<(), Error>, String)> {
        let made = std::mem::take(&mut *lock(&self.list)).into_iter().filter(|bridge| bridge.name != DEFAULT);
        made.map(|bridge| (engine.remove_network(&bridge.name), bridge.name)).collect()
    }
}

impl Port {
    /// The network to connect to.
    pub(super) fn network(&self) -> Network {
        Network::Bridge(self.bridge.clone())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(bridge) = lock(&self.list).iter_mut().find(|bridge| bridge.name == self.bridge) {
            bridge.taken = bridge.taken.saturating_sub(1);
        }
    }
}

fn lock(list: &Mutex<Vec<Bridge>>) -> MutexGuard<'_, Vec<Bridge>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
