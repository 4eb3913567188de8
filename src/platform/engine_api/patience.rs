//! How long an engine may take.

use std::time::Duration;

/// The deadlines of calls. An engine with a thousand containers answers ordinary questions in less than a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To tell who it is.
    pub greeting: Duration,
    /// An ordinary question.
    pub ordinary: Duration,
    /// Making, starting, ending or removing a container on a host that does many at once.
    pub slow: Duration,
    /// Loading or removing an image.
    pub image: Duration,
    /// To show that it lives, once it has missed a deadline or told nothing for a while.
    pub sign_of_life: Duration,
    /// After this much silence it is asked for a sign of life.
    pub silence: Duration,
}

impl Patience {
    /// Generous for an engine that works on a busy host: only one that hangs is as slow.
    pub const DEFAULT: Patience = Patience {
        greeting: Duration::from_secs(5),
        ordinary: Duration::from_secs(30),
        slow: Duration::from_secs(60),
        image: Duration::from_secs(300),
        sign_of_life: Duration::from_secs(3),
        silence: Duration::from_secs(10),
    };
}
