//! The share of a CPU's time that a group may use.

use std::io;

use super::group::{Cgroup, value, write};
use super::hierarchy::{Controller, Hierarchies, Version};

/// So much of a CPU's time in every period, in microseconds (`cpu.max`; `cpu.cfs_quota_us` in version 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What may be used in a period.
    pub time_us: u64,
    /// The period.
    pub period_us: u64,
}

/// The least that may be given in a period, and the longest one (`min_cfs_quota_period` and `max_cfs_quota_period` in the
/// kernel's `kernel/sched/core.c`).
const LEAST_US: u64 = 1_000;
const LONGEST_US: u64 = 1_000_000;

impl Quota {
    /// The smallest share that there is a period for, in percent.
    pub const LEAST_PERCENT: f64 = 100.0 * LEAST_US as f64 / LONGEST_US as f64;

    /// `percent` of one CPU, from [`Quota::LEAST_PERCENT`] to 100, in the shortest period that the kernel takes: what lives
    /// for milliseconds is slowed down as well.
    pub fn of_percent(percent: f64) -> Self {
        let period = (LEAST_US as f64 * 100.0 / percent).round() as u64;
        Self { time_us: LEAST_US, period_us: period.clamp(LEAST_US, LONGEST_US) }
    }
}

impl Cgroup {
    /// Lets it use no more of a CPU's time than that.
    ///
    /// # Errors
    /// When no hierarchy has the controller, or the kernel refuses.
    pub fn set_quota(&self, quota: Quota) -> io::Result<()> {
        let (version, dir) = self.seat(Controller::Cpu)?;
        match version {
            Version::One => {
                write(&dir.join("cpu.cfs_period_us"), &quota.period_us.to_string())?;
                write(&dir.join("cpu.cfs_quota_us"), &quota.time_us.to_string())
            }
            Version::Two => write(&dir.join("cpu.max"), &format!("{} {}", quota.time_us, quota.period_us)),
        }
    }

    /// The CPU time it may use, as the kernel has it; `None` when that is not limited.
    pub fn quota(&self) -> Option<Quota> {
        let (version, dir) = self.seat(Controller::Cpu).ok()?;
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
    /// Whether groups here can be given a quota.
    ///
    /// # Errors
    /// Says why not.
    pub fn check_quota(&self) -> Result<(), String> {
        let index = self.index_of(Controller::Cpu).ok_or("no cgroup hierarchy has the controller cpu")?;
        let hierarchy = &self.list()[index];
        // The top of version 2 has no such file, whatever the kernel can.
        let knows = hierarchy.version == Version::Two || hierarchy.mount.join("cpu.cfs_quota_us").exists();
        match (knows, hierarchy.can_hand_down(Controller::Cpu)) {
            (false, _) => Err("the kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)".to_owned()),
            (_, false) => Err(format!("{} cannot hand the controller cpu down", hierarchy.mount.display())),
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
