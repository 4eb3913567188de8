//! The placements, by name.

use crate::model::names::named_enum;

named_enum! {
    /// Where attackers run relative to the victim.
    pub enum Placement ("placement") {
        /// No pinning: the host's scheduler decides.
        Unpinned = "unpinned",
        /// The victim alone on its CPU, nobody else placed.
        Alone = "alone",
        /// On the victim's own hardware thread.
        SameThread = "same-thread",
        /// On the other hardware thread of the victim's core.
        SameCore = "same-core",
        /// On another core of the victim's socket.
        SameSocket = "same-socket",
        /// On another socket.
        OtherSocket = "other-socket",
        /// An attacker on every hardware thread of the socket but the victim's whole core.
        Fill = "fill",
    }
}
