use std::sync::Arc;
use std::time::Duration;

/// How much work a request is, as far as that is known at the door.
///
/// From it, and from what earlier requests took, the door predicts how long a request will hold its slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Size {
    /// Nothing is known: it is taken to be like the others.
    #[default]
    Unknown,
    /// A prompt for a model.
    Tokens {
        /// Tokens of the prompt, about.
        prompt: u64,
        /// The most tokens that the answer may have, where the caller set a limit.
        limit: Option<u64>,
        /// The model, where the caller named one: each has its own mean length of answers.
        model: Option<Arc<str>>,
    },
    /// How long it will hold its slot, about.
    Time(Duration),
}
