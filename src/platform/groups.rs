//! The control groups of a run: one parent, `/<run>`, in every hierarchy, and one group per instance below it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Context;
use crate::host::cgroup::{Cgroup, CgroupMode, Controller, Hierarchies, Quota};
use crate::host::ledger::{Ledger, Resource};
use crate::model::cpuset::CpuSet;
use crate::model::units::Bytes;

/// The controllers of a process with limits. `cpuacct` has no limit and counts the CPU time. `cpu` is missing, since a group
/// of its own would change how the scheduler shares a CPU among plain processes.
pub(super) const PROCESS_CONTROLLERS: &[Controller] =
    &[Controller::Cpuset, Controller::Memory, Controller::Pids, Controller::Cpuacct];

/// The groups of one platform in one run. Dropping it removes the parent if that is empty.
#[derive(Debug)]
pub(super) struct Groups {
    ledger: Arc<Ledger>,
    hierarchies: Arc<Hierarchies>,
    parent: Mutex<Parent>,
}

#[derive(Debug)]
struct Parent {
    cgroup: Cgroup,
    recorded: bool,
}

impl Groups {
    /// The groups in those hierarchies of this host that `choose` selects. Creates nothing yet.
    ///
    /// # Errors
    /// States why instances cannot be limited here.
    pub(super) fn find(context: &Context, choose: impl FnOnce(Hierarchies) -> Hierarchies) -> Result<Self, String> {
        let hierarchies = Arc::new(choose(Hierarchies::read(Path::new("/")).map_err(|e| e.to_string())?));
        hierarchies.check_limits().map_err(|e| e.to_string())?;
        let ledger = Arc::clone(&context.ledger);
        let cgroup = hierarchies.group(Path::new(&ledger.run().name()));
        Ok(Self { ledger, hierarchies, parent: Mutex::new(Parent { cgroup, recorded: false }) })
    }

    /// How the host mounts its control groups.
    pub(super) fn mode(&self) -> CgroupMode {
        self.hierarchies.mode()
    }

    /// Whether the kernel accounts for swap in the groups below the parent. Known after the parent was created.
    pub(super) fn limits_swap(&self) -> bool {
        self.parent.lock().unwrap_or_else(PoisonError::into_inner).cgroup.limits_swap()
    }

    /// The path of an instance's group, relative to the top of every hierarchy.
    pub(super) fn path(&self, instance: &str) -> String {
        format!("/{}/{instance}", self.ledger.run().name())
    }

    /// Records the group of `instance`, which another program creates together with its parent.
    ///
    /// # Errors
    /// Fails if the ledger cannot be written.
    pub(super) fn foresee(&self, instance: &str) -> io::Result<Cgroup> {
        let cgroup = self.hierarchies.group(Path::new(&self.path(instance)));
        self.record_all(&cgroup)?;
        Ok(cgroup)
    }

    /// Creates the run's parent if it is missing, and records the group of `instance`, which is not created yet.
    ///
    /// # Errors
    /// Fails if the ledger cannot be written, or the parent cannot be created.
    pub(super) fn record(&self, instance: &str) -> io::Result<Cgroup> {
        self.ensure_parent()?;
        self.foresee(instance)
    }

    /// Creates the group of `instance` with these limits, after recording it in the ledger.
    ///
    /// # Errors
    /// Fails if the kernel refuses, and then leaves nothing behind.
    pub(super) fn confine(
        &self,
        instance: &str,
        cpus: Option<&CpuSet>,
        memory: Bytes,
        pids: u32,
    ) -> io::Result<Cgroup> {
        let cgroup = self.record(instance)?;
        let limit = || {
            cgroup.create()?;
            cpus.map_or(Ok(()), |cpus| cgroup.set_cpus(cpus))?;
            cgroup.set_memory(memory)?;
            cgroup.set_pids(pids)
        };
        let made = limit();
        if made.is_err() {
            cgroup.remove_if_empty();
        }
        made.map(|()| cgroup)
    }

    /// Sets a `quota`, if there is one, on `confined`, the group of `instance`. Creates a group without limits if there is
    /// none.
    ///
    /// # Errors
    /// Fails if the kernel refuses, and then leaves nothing behind.
    pub(super) fn slow_down(
        &self,
        instance: &str,
        confined: Option<Cgroup>,
        quota: Option<Quota>,
    ) -> io::Result<Option<Cgroup>> {
        let Some(quota) = quota else { return Ok(confined) };
        let cgroup = match confined {
            Some(cgroup) => cgroup,
            None => self.record(instance)?,
        };
        let made = cgroup.create().and_then(|()| cgroup.set_quota(quota));
        if made.is_err() {
            cgroup.remove_if_empty();
        }
        made.map(|()| Some(cgroup))
    }

    /// Simultaneous launches must not see a parent that has no CPUs yet, hence the lock.
    fn ensure_parent(&self) -> io::Result<()> {
        let mut parent = self.parent.lock().unwrap_or_else(PoisonError::into_inner);
        if !parent.recorded {
            self.record_all(&parent.cgroup)?;
            parent.recorded = true;
        }
        // Another platform of the same run may have removed it at its end.
        if parent.cgroup.exists() { Ok(()) } else { parent.cgroup.create() }
    }

    fn record_all(&self, cgroup: &Cgroup) -> io::Result<()> {
        let mut dirs = cgroup.dirs().iter().chain(cgroup.others());
        dirs.try_for_each(|dir| self.ledger.record(&Resource::Cgroup { path: dir.clone() }))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let parent = self.parent.get_mut().unwrap_or_else(PoisonError::into_inner);
        if parent.recorded {
            parent.cgroup.remove_if_empty();
        }
    }
}
