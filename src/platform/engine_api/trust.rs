//! What is thought of an engine that was slow: one that hangs must not cost a deadline for everything it is asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error as CrateError;
use tokio::time::timeout;

use super::Patience;

/// How long an engine that gave no sign of life is asked nothing: what a thousand containers of one that hangs cost is
/// a few of these, and not a thousand deadlines.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(30);

/// What all calls to one engine have learned.
#[derive(Debug, Default)]
pub(super) struct Trust(Mutex<State>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// It answers.
    #[default]
    Trusted,
    /// It missed a deadline: it is asked for a sign of life before anything else.
    Doubted,
    /// It gave no sign of life at that instant.
    Silent(Instant),
}

impl Trust {
    /// It missed a deadline.
    pub(super) fn doubt(&self) {
        let mut state = self.state();
        if *state == State::Trusted {
            *state = State::Doubted;
        }
    }

    /// Asks an engine that is doubted for a sign of life; one that gave none a moment ago is not asked again.
    pub(super) async fn require(&self, docker: &Docker, patience: Patience) -> Result<(), CrateError> {
        let state = *self.state();
        match state {
            State::Trusted => Ok(()),
            State::Silent(since) if since.elapsed() < COOL_DOWN => Err(CrateError::RequestTimeoutError),
            State::Doubted | State::Silent(_) => self.ask(docker, patience).await,
        }
    }

    /// Asks for a sign of life.
    pub(super) async fn ask(&self, docker: &Docker, patience: Patience) -> Result<(), CrateError> {
        let Ok(answer) = timeout(patience.sign_of_life, docker.ping()).await else {
            *self.state() = State::Silent(Instant::now());
            return Err(CrateError::RequestTimeoutError);
        };
        answer?;
        *self.state() = State::Trusted;
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
