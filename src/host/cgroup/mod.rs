//! Control groups: version 1, version 2 and both at once (hybrid). Readers take a root, so that tests use a fake tree.
//!
//! [`Hierarchies`] is what the host has, [`Cgroup`] one group over several of its hierarchies. Invariant: a group is
//! never made, limited or removed by reading; every such step is a method of its own. Interface files are described
//! in the kernel's `admin-guide/cgroup-v1/` and `admin-guide/cgroup-v2.rst`.

mod group;
mod hierarchy;
mod quota;
#[cfg(test)]
mod tests;

pub use group::Cgroup;
pub use hierarchy::{CgroupMode, Controller, Hierarchies, Hierarchy, Version};
pub use quota::Quota;
