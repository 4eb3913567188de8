//! The events in the life of an instance.

use std::collections::BTreeMap;

use crate::model::names::named_enum;
use crate::model::units::Nanos;

named_enum! {
    /// An event that happens at most once in the life of an instance, in order. The host's clock stamps all events; guest
    /// clocks are never used. A platform omits events that it cannot observe.
    pub enum Event ("event") {
        /// The harness requests the instance.
        Spawn = "spawn",
        /// The platform has created it but not started it yet.
        Created = "created",
        /// The monitor of a virtual machine is up.
        Vmm = "vmm",
        /// The guest begins: its first byte, or the runtime's start.
        Guest = "guest",
        /// The harness reads the guest program's first line.
        Main = "main",
        /// It serves, or begins its measured work.
        Ready = "ready",
        /// The harness reads its result.
        Result = "result",
        /// Its process ends.
        Exit = "exit",
        /// Everything made for it is removed.
        Gone = "gone",
    }
}

/// The instants of events, by one clock.
pub type Events = BTreeMap<Event, Nanos>;
