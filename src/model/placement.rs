//! The placements.

use crate::model::names::named_enum;

named_enum! {
    /// Where attackers run relative to the victim.
    pub enum Placement ("placement") {
        /// Anywhere: nothing is pinned and the host's scheduler decides.
        Unpinned = "unpinned",
        /// Nowhere: only the victim is placed.
        Alone = "alone",
        /// On the victim's hardware thread.
        SameThread = "same-thread",
        /// On the other hardware thread of the victim's core.
        SameCore = "same-core",
        /// On another core of the victim's socket.
        SameSocket = "same-socket",
        /// On another socket.
        OtherSocket = "other-socket",
        /// On every hardware thread of the victim's socket except those of its core.
        Fill = "fill",
    }
}
