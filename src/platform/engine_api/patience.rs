//! How long an engine may take.

use std::time::Duration;

/// The deadlines of calls. An engine with a thousand containers answers ordinary requests in less than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Connecting and describing itself.
    pub greeting: Duration,
    /// An ordinary request.
    pub ordinary: Duration,
    /// Creating, starting, killing or removing a container on a host that does many at once.
    pub slow: Duration,
    /// Loading or removing an image.
    pub image: Duration,
    /// Answering a ping, after a missed deadline or a silent stream.
    pub ping: Duration,
    /// How long a stream or a call may be silent before a ping.
    pub silence: Duration,
}

impl Patience {
    /// Long enough for an engine on a busy host, so that only a hanging one misses a deadline.
    pub const DEFAULT: Patience = Patience {
        greeting: Duration::from_secs(5),
        ordinary: Duration::from_secs(30),
        slow: Duration::from_secs(60),
        image: Duration::from_secs(300),
        ping: Duration::from_secs(3),
        silence: Duration::from_secs(10),
    };
}
