//! What stands around the trials: the host's facts, limits, noise and samples.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use serde_json::Value;

use super::{EngineError, Observer};
use crate::host::Topology;
use crate::plan::{Configuration, Plan};
use crate::run::Folders;
use crate::store::NoiseGuard;

/// The surroundings of a run, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Surroundings {
    background: Arc<AtomicU32>,
}

impl Surroundings {
    pub(super) fn prepare(_c: &Configuration, _t: &Topology, _p: &Plan, _d: &Path) -> Result<Self, EngineError> {
        Ok(Self { background: Arc::default() })
    }
    pub(super) fn background_count(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.background)
    }
    pub(super) fn host_facts(&self, _f: &Folders) -> BTreeMap<String, Value> {
        BTreeMap::new()
    }
    pub(super) fn measure_noise(&mut self, _o: &mut dyn Observer) {}
    pub(super) fn close(self, _p: &mut Vec<String>) -> Option<NoiseGuard> {
        None
    }
}
