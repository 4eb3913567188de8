//! The error rates of the regression rule and of other projects' rules, on simulated and on recorded noise.
//!
//! Every session is blind: the rule sees arm one and arm two, a coin decides which of them is A, and the truth is looked up
//! after the decision. Invariant: the same seed gives the same numbers on every machine and for any number of threads, since
//! each session has its own stream of random numbers.

mod bootstrap;
mod contender;
mod control;
mod coverage;
mod fit;
mod noise;
mod pack;
mod random;
mod recording;
mod roc;
mod session;
mod source;

#[cfg(test)]
mod tests;

pub use contender::{Call, Contender, Outcome};
pub use control::{Controlled, controlled};
pub use coverage::{AtTheEnd, Covered, at_the_end, covered};
pub use fit::{between, fit};
pub use noise::{NoiseModel, Stream};
pub use pack::{PackError, Packed, Picked, pack};
pub use random::Random;
pub use recording::{Recorded, Recording, RecordingError};
pub use roc::Roc;
pub use session::{Tally, hold, score};
pub use source::{Apart, Injected, Pair, Same, Simulated, Source};
