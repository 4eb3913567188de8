//! One clock for every event: the host's `CLOCK_MONOTONIC`, or a virtual one on the fake platform.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::units::Nanos;

/// A source of time. One clock stamps every event of a run.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant. May be called at any time, from any thread.
    fn now(&self) -> Nanos;
    /// Waits for `span`, to let a host settle. Not for waiting until something is ready.
    fn pause(&self, span: Duration);
}

/// The host's monotonic clock (`clock_gettime(2)`, `CLOCK_MONOTONIC`).
#[derive(Debug, Clone, Copy, Default)]
pub struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Nanos {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Nanos(t.tv_sec as u64 * Nanos::SECOND.0 + t.tv_nsec as u64)
    }

    fn pause(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A clock that only moves when it is advanced. Clones share the same time.
#[derive(Debug, Clone, Default)]
pub struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    /// Advances the clock by `span`.
    pub fn advance(&self, span: Nanos) {
        self.0.fetch_add(span.0, Ordering::SeqCst);
    }

    /// Advances the clock to `instant`, unless it is already later.
    pub fn advance_to(&self, instant: Nanos) {
        self.0.fetch_max(instant.0, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        Nanos(self.0.load(Ordering::SeqCst))
    }

    fn pause(&self, span: Duration) {
        self.advance(span.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_virtual_clock_share_their_time() {
        let clock = VirtualClock::default();
        let other = clock.clone();
        clock.advance(Nanos(5));
        other.advance_to(Nanos(3));
        assert_eq!(other.now(), Nanos(5));
    }
}
