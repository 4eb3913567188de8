//! Control groups: version 1, version 2 and both at once (hybrid).
//!
//! [`Hierarchies`] lists what the host mounts; a [`Cgroup`] is one group in several hierarchies. Invariant: reading never
//! creates, limits or removes a group; each of these steps is a method of its own. The kernel describes the interface
//! files in `admin-guide/cgroup-v1/` and `admin-guide/cgroup-v2.rst`.

mod group;
mod hierarchy;
mod quota;
#[cfg(test)]
mod tests;

pub use group::Cgroup;
pub use hierarchy::{CgroupMode, CgroupUnavailable, Controller, Hierarchies, Hierarchy, Version};
pub use quota::Quota;
