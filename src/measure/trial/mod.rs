//! What one trial works with: its view of the rig, groups of instances, and the idle background.

mod background;
mod instance_group;
mod settle;
mod trial_rig;

pub use background::Background;
pub use instance_group::InstanceGroup;
pub use settle::HostContext;
pub use trial_rig::TrialRig;
pub(in crate::measure) use trial_rig::{ROOMY, pinned};
