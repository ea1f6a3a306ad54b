use std::sync::Arc;

use orchestrator_core::request::PromptRequest;
use orchestrator_core::retrieval::Passage;

/// A prompt and the passages that were found for it: what [`RagStage`](crate::RagStage) hands on.
///
/// A stage between retrieval and assembly may drop, reorder or add passages; [`AssembleStage`](crate::AssembleStage)
/// numbers what it is given.
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_rag::GroundedPrompt;
///
/// let passages = vec![Passage::new("A full queue sheds.", Source::new("queue.md"), 1.0)];
/// let grounded = GroundedPrompt::new(PromptRequest::new("What sheds?"), passages);
/// assert_eq!(grounded.passages.len(), 1);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroundedPrompt {
    /// What the caller asked, untouched.
    pub prompt: PromptRequest,
    /// The passages, the best first; empty where nothing fits.
    pub passages: Arc<[Passage]>,
}

impl GroundedPrompt {
    /// Puts passages beside a prompt, the best first.
    pub fn new(prompt: PromptRequest, passages: impl Into<Arc<[Passage]>>) -> Self {
        Self { prompt, passages: passages.into() }
    }
}
