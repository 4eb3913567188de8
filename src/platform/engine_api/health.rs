//! Whether an engine responds, so that one that hangs does not cost a deadline for every call.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error as CrateError;
use tokio::time::timeout;

use super::Patience;

/// How long an unresponsive engine gets no requests. With a thousand containers, a hanging engine costs a few of these
/// pauses instead of a thousand deadlines.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(30);

/// What all calls to one engine have learned.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// It responds.
    #[default]
    Responsive,
    /// It missed a deadline, so the next call pings it first.
    Suspect,
    /// It did not answer a ping at that instant.
    Unresponsive(Instant),
}

impl Health {
    /// Notes a missed deadline.
    pub(super) fn suspect(&self) {
        let mut state = self.state();
        if *state == State::Responsive {
            *state = State::Suspect;
        }
    }

    /// Pings a suspect engine. Fails at once if it did not answer a recent ping.
    pub(super) async fn require(&self, docker: &Docker, patience: Patience) -> Result<(), CrateError> {
        let state = *self.state();
        match state {
            State::Responsive => Ok(()),
            State::Unresponsive(since) if since.elapsed() < COOL_DOWN => Err(CrateError::RequestTimeoutError),
            State::Suspect | State::Unresponsive(_) => self.ping(docker, patience).await,
        }
    }

    /// Pings the engine.
    pub(super) async fn ping(&self, docker: &Docker, patience: Patience) -> Result<(), CrateError> {
        let Ok(answer) = timeout(patience.ping, docker.ping()).await else {
            *self.state() = State::Unresponsive(Instant::now());
            return Err(CrateError::RequestTimeoutError);
        };
        answer?;
        *self.state() = State::Responsive;
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
