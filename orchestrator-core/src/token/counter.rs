use async_trait::async_trait;

use crate::error::WorkerError;

/// What a chat template writes around each message: `<|im_start|>`, the role, a line break, `<|im_end|>` and another line
/// break in ChatML; as many in Llama 3's template.
pub(crate) const PER_MESSAGE: usize = 5;

/// Bytes of text that the estimate takes for one token.
pub(crate) const BYTES_PER_TOKEN: usize = 3;

/// Counts the tokens of texts, for whoever has to keep within a limit.
///
/// [`EstimatedTokens`] is there without a model; a worker that can ask its server's tokenizer has an exact one.
///
/// # What an implementation owes
///
/// - One count for each text, in order.
/// - The same count for the same text, whatever it is counted together with: what was counted once is not counted again.
///
/// It does not have to be additive: two texts together may have more or fewer tokens than one by one.
///
/// # Examples
///
/// A counter of one's own, here one token for each word:
///
/// ```
/// use orchestrator_core::prelude::*;
///
/// struct Words;
///
/// #[async_trait]
/// impl TokenCounter for Words {
///     async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
///         Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
///     }
///
///     fn is_exact(&self) -> bool {
///         false
///     }
/// }
/// ```
#[async_trait]
pub trait TokenCounter: Send + Sync + 'static {
    /// Counts the tokens of each text.
    ///
    /// Asked for all texts at once, so that a server is asked once.
    ///
    /// # Errors
    ///
    /// Fails where the server that counts cannot be reached or does not take the texts.
    async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError>;

    /// Returns what the model's chat template adds to each message of a prompt; 5 unless overridden.
    ///
    /// Added once more for the opening of the answer and the mark at the beginning of the prompt. Five is what ChatML
    /// and Llama 3's template add.
    fn per_message(&self) -> usize {
        PER_MESSAGE
    }

    /// Returns whether it counts as the model does.
    fn is_exact(&self) -> bool;
}

/// Estimates tokens by the length of the text: one for every three bytes, rounded up.
///
/// It costs no look at the text, and errs by what is in it:
///
/// | text | bytes per token, roughly | the estimate is |
/// |---|---|---|
/// | English prose | 4 | a third too high |
/// | Chinese, Japanese: one token per character of three bytes | 3 | about right |
/// | source code, JSON | 3 | about right |
/// | digits in groups, hexadecimal, base64 | 2 | a third too low |
///
/// The figures are the vendors' rules of thumb for vocabularies of 100,000 tokens and more; older and smaller
/// vocabularies need more tokens for anything but English. Give a budget some room, or a counter that is exact, where a
/// prompt must not be a token too long.
///
/// ```
/// use orchestrator_core::prelude::*;
///
/// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
/// assert_eq!(EstimatedTokens.count(&["", "ab", "abcd"]).await?, [0, 1, 2]);
/// # Ok::<_, WorkerError>(()) }).expect("counted");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct EstimatedTokens;

#[async_trait]
impl TokenCounter for EstimatedTokens {
    async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
        Ok(texts.iter().map(|text| text.len().div_ceil(BYTES_PER_TOKEN)).collect())
    }

    fn is_exact(&self) -> bool {
        false
    }
}
