//! What one trial works with: the stage it runs on, groups of instances, and the idle background.

mod background;
mod instance_group;
mod settle;
mod stage;

pub use background::Background;
pub use instance_group::InstanceGroup;
pub use settle::HostContext;
pub use stage::Stage;
pub(in crate::measure) use stage::{ROOMY, higher, lower, pinned, time};
