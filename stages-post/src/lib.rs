//! The post stage of prompt-orchestrator: filters on the text of an answer while it streams, and checks of the whole of it.
//!
//! [`PostStage`] stands behind inference and adapts the token stream that it is handed: one adapter for all of its
//! filters, pulled by whoever reads the answer. No task, no channel, no allocation per token. Calling a model is
//! left to the worker, the way to the caller to core's `StreamStage`.
//!
//! | to | use |
//! |---|---|
//! | trim the answer's two ends | [`PostStage::trim`] |
//! | end it at a text, or at a length | [`PostStage::stop_sequences`], [`PostStage::max_bytes`] |
//! | take out secrets and personal data | [`PostStage::redact`] |
//! | tell reasoning from text | [`PostStage::split_reasoning`] |
//! | make links of citation marks | [`PostStage::citations`] |
//! | change it piece by piece, without memory | [`PostStage::map_text`] |
//! | change it with memory of what came before | [`PostStage::filter`] and a [`TextFilter`] of your own |
//! | refuse or replace it as a whole | [`PostStage::decide`] |
//! | say whether it is JSON of a shape | `PostStage::json_schema`, feature `json-schema` |
//!
//! However an answer is cut into events, each filter makes the same of it, and holds back no more than a stated number of
//! bytes. What looks for something looks with one scanner, whose patterns are compiled when the stage is built.

mod asides;
mod boundary;
mod chain;
mod checks;
mod citations;
mod filter;
mod limit;
mod map;
mod reasoning;
mod redact;
mod scan;
mod stage;
mod stop;
mod stream;
mod trim;

pub use checks::Decision;
pub use citations::Citations;
pub use filter::{Filtered, TextFilter};
pub use reasoning::ReasoningTags;
pub use redact::Redaction;
pub use stage::PostStage;
