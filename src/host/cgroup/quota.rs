//! The share of a CPU's time that a group can use.

use std::io;

use super::group::{Cgroup, value, write};
use super::hierarchy::{CgroupUnavailable, Controller, Hierarchies, Version};

/// A limit of CPU time per period, in microseconds (`cpu.max`; `cpu.cfs_quota_us` in version 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The CPU time in each period.
    pub time_us: u64,
    /// The period.
    pub period_us: u64,
}

/// The smallest time in a period and the longest period (`min_cfs_quota_period` and `max_cfs_quota_period` in the kernel's
/// `kernel/sched/core.c`).
const LEAST_US: u64 = 1_000;
const LONGEST_US: u64 = 1_000_000;

impl Quota {
    /// The smallest share that the kernel accepts, in percent.
    pub const LEAST_PERCENT: f64 = 100.0 * LEAST_US as f64 / LONGEST_US as f64;

    /// `percent` of one CPU, from [`Quota::LEAST_PERCENT`] to 100. The period is the shortest that the kernel accepts, so
    /// that processes which live for milliseconds are slowed down as well.
    pub fn of_percent(percent: f64) -> Self {
        let period = (LEAST_US as f64 * 100.0 / percent).round() as u64;
        Self { time_us: LEAST_US, period_us: period.clamp(LEAST_US, LONGEST_US) }
    }
}

impl Cgroup {
    /// Limits its CPU time to `quota`.
    ///
    /// # Errors
    /// When no hierarchy has the controller, or the kernel refuses.
    pub fn set_quota(&self, quota: Quota) -> io::Result<()> {
        let (version, dir) = self.dir_with(Controller::Cpu)?;
        match version {
            Version::One => {
                write(&dir.join("cpu.cfs_period_us"), &quota.period_us.to_string())?;
                write(&dir.join("cpu.cfs_quota_us"), &quota.time_us.to_string())
            }
            Version::Two => write(&dir.join("cpu.max"), &format!("{} {}", quota.time_us, quota.period_us)),
        }
    }

    /// Its limit of CPU time, read from the kernel; `None` if it is unlimited.
    pub fn quota(&self) -> Option<Quota> {
        let (version, dir) = self.dir_with(Controller::Cpu).ok()?;
        let (time_us, period_us) = match version {
            Version::One => (value(&dir.join("cpu.cfs_quota_us"))?, value(&dir.join("cpu.cfs_period_us"))?),
            Version::Two => {
                let text: String = std::fs::read_to_string(dir.join("cpu.max")).ok()?;
                let (time, period) = text.trim().split_once(' ')?;
                (time.parse().ok()?, period.parse().ok()?)
            }
        };
        Some(Quota { time_us, period_us })
    }
}

impl Hierarchies {
    /// Checks that groups in these hierarchies can have a quota.
    ///
    /// # Errors
    /// When the controller is missing or cannot be delegated, or the kernel has no quotas.
    pub fn check_quota(&self) -> Result<(), CgroupUnavailable> {
        let controller = Controller::Cpu;
        let hierarchy = self.with(controller)?;
        // In version 2 the root group has no quota file, even if the kernel supports quotas.
        let has_quotas = hierarchy.version == Version::Two || hierarchy.mount.join("cpu.cfs_quota_us").exists();
        match (has_quotas, hierarchy.can_delegate(controller)) {
            (false, _) => Err(CgroupUnavailable::NoQuotas),
            (_, false) => Err(CgroupUnavailable::CannotDelegate { mount: hierarchy.mount.clone(), controller }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(100.0, 1_000)]
    #[case(95.0, 1_053)]
    #[case(50.0, 2_000)]
    #[case(Quota::LEAST_PERCENT, 1_000_000)]
    fn a_share_is_the_least_time_in_the_period_that_fits(#[case] percent: f64, #[case] period_us: u64) {
        assert_eq!(Quota::of_percent(percent), Quota { time_us: 1_000, period_us });
    }
}
