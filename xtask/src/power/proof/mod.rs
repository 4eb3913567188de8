//! The proof that the rule is right: other projects' rules and ours on noise that was drawn and on noise that was recorded.
//!
//! Every session is blind: the rule sees arm one and arm two, of which a coin has decided which is A, and the truth is
//! looked up when it has spoken. Invariant: the same seed gives the same numbers on every machine, however many threads
//! drew them, since each session has a stream of its own.

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
