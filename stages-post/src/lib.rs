//! The post stage of prompt-orchestrator: filters on the text of an answer, while it streams.
//!
//! [`PostStage`] stands behind inference and adapts the token stream that it is handed: one adapter for all of its
//! filters, pulled by whoever reads the answer. No task, no channel, no allocation per token. Calling a model is
//! left to the worker, the way to the caller to core's `StreamStage`.
//!
//! | to change the text | use |
//! |---|---|
//! | of the answer's two ends | [`PostStage::trim`] |
//! | piece by piece, without memory | [`PostStage::map_text`] |
//! | with memory of what came before | [`PostStage::filter`] and a [`TextFilter`] of your own |

mod chain;
mod filter;
mod map;
mod stage;
mod stream;
mod trim;

pub use filter::{Filtered, TextFilter};
pub use stage::PostStage;
