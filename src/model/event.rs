//! The events in the life of an instance.

use std::collections::BTreeMap;

use crate::model::names::named_enum;
use crate::model::units::Nanos;

named_enum! {
    /// Something that happens once in the life of an instance, in the order of life. Stamped on the host by one clock;
    /// guest clocks never enter. A platform without an event leaves it out.
    pub enum Event ("event") {
        /// The harness asks for the instance.
        Spawn = "spawn",
        /// The platform has made it; it is not started yet.
        Created = "created",
        /// The monitor or runtime process is alive.
        Vmm = "vmm",
        /// The guest began: first byte, or the runtime's start.
        Guest = "guest",
        /// The guest program's own first line.
        Main = "main",
        /// It serves, or begins its measured work.
        Ready = "ready",
        /// It printed its result.
        Result = "result",
        /// Its process ended.
        Exit = "exit",
        /// Everything made for it is removed.
        Gone = "gone",
    }
}

/// Instants of one clock.
pub type Events = BTreeMap<Event, Nanos>;
