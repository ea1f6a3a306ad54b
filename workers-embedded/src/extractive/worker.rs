use std::num::NonZeroUsize;

use async_trait::async_trait;
use futures_util::stream;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::ResponseFormat;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, WorkerInfo};

use super::rank;
use super::words::{self, Words};

/// What it says where no sentence fits.
const NOTHING_FOUND: &str = "I found nothing about that in the documents.";

/// Answers with sentences of the passages that retrieval found.
///
/// **It is no language model.** It does not understand the question and does not write: it ranks the sentences of the
/// request's passages by the words that they share with the question, and quotes the best ones, each with the number of
/// its passage: `A full queue makes the stage before it wait. [2]`. Use it where a pipeline shall run without a
/// model: in tests, in a demonstration, as the last resort behind workers that fail. Use a worker with a model where the
/// answer must put two facts together, or say something that no document says.
///
/// # What it goes by
///
/// - Words count by their English stems, and the more the fewer sentences mention them. Stop words and question words
///   don't count. A word in a heading above a sentence counts a little, an earlier passage more than a later one.
/// - The question is the last user message; earlier messages don't count.
/// - Passages are read as Markdown. Paragraphs, list items and rows of tables are quoted, code blocks are not.
/// - The passage of the best sentence is quoted first, and sentences of one passage in their order there.
/// - The same request gets the same answer. Temperature, seed, tools and the vendor's parameters have no effect.
///
/// Where no sentence shares a word with the question, where there are no passages, or where the question has only stop
/// words, it says that it found nothing.
///
/// # Tokens
///
/// A token is a word: what stands between two white spaces. Each text event is one, and so is a source's number. The
/// usage counts the words of the messages and the words said; [`max_tokens`](orchestrator_core::request::Sampling)
/// limits those, and the answer ends with `Length` where words are left. An answer ends in front of the first of
/// the request's stop texts.
///
/// # Errors
///
/// [`WorkerErrorKind::InvalidRequest`] where the answer is asked for as JSON, which quotes are not.
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use workers_embedded::Extractive;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// let pipeline = Pipeline::builder("assistant")
///     .then("retrieve", |cx: Context, prompt: PromptRequest| async move {
///         let text = "Every queue is bounded. When a queue is full, the stage before it waits.";
///         let mut request = InferenceRequest::new(prompt, cx);
///         request.passages = [Passage::new(text, Source::new("guide.md"), 1.0)].into();
///         Ok::<_, BoxError>(request)
///     })
///     .stage(InferenceStage::new(Extractive::default()))
///     .stage(StreamStage::default())
///     .build()?;
/// let mut answer = pipeline.submit(PromptRequest::new("What happens when it is full?")).await?;
/// assert_eq!(answer.text().await?, "When a queue is full, the stage before it waits. [1]");
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Extractive {
    max_sentences: NonZeroUsize,
}

impl Default for Extractive {
    /// Quotes up to three sentences.
    fn default() -> Self {
        Self { max_sentences: NonZeroUsize::new(3).expect("not zero") }
    }
}

impl Extractive {
    /// Sets how many sentences it quotes at most; fewer where the others fit much worse than the best.
    pub const fn max_sentences(mut self, sentences: NonZeroUsize) -> Self {
        self.max_sentences = sentences;
        self
    }
}

#[async_trait]
impl ModelWorker for Extractive {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if request.response_format != ResponseFormat::Text {
            return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, "an extractive answer cannot be JSON"));
        }
        let context = request.context.clone();
        let limit = self.max_sentences.get();
        // Some 150 us for four passages of 800 bytes: too long for the task that polls this.
        let ranking = context.offload(move || {
            let answer = rank::answer(&request.question(), &request.passages, limit);
            let answer = answer.unwrap_or_else(|| NOTHING_FOUND.to_owned());
            Words::new(answer, &request.sampling, words::count(&request.messages))
        });
        let words = ranking.await.map_err(|error| {
            WorkerError::new(WorkerErrorKind::Transient, "the sentences were not ranked").with_source(error)
        })?;
        Ok(TokenStream::from_stream(stream::iter(words)))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("extractive")
    }

    /// Always ready: there is no server.
    async fn health(&self) -> Health {
        Health::ready()
    }
}
