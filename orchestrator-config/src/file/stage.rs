use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Queue, Time};

/// A step of a pipeline.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// Finds passages that may help to answer.
    Rag(Rag),
    /// Writes the messages that the model sees.
    Assemble(Box<Assemble>),
    /// Asks the model.
    Infer(Infer),
    /// Filters the answer while it streams.
    Post(Box<Post>),
    /// Hands the answer to the client.
    Stream(Stream),
}

/// Finds passages in a folder of documents.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rag {
    /// The folder: Markdown, text, HTML and PDF. A relative path begins where the process was started, not where the file is.
    #[schemars(length(min = 1))]
    pub docs: PathBuf,
    /// Where the index is kept, as a path like that of `docs`; in memory unless set.
    #[serde(default)]
    pub index: Option<PathBuf>,
    /// Whether the index follows the folder while that changes.
    #[serde(default = "yes")]
    pub watch: bool,
    /// The most passages for a request.
    #[serde(default = "top_k")]
    pub top_k: NonZeroUsize,
    /// What is asked for.
    #[serde(default)]
    pub question: Question,
    /// The least score of a passage.
    #[serde(default)]
    pub min_score: Option<f32>,
    /// How long a search may take; then the request goes on without passages.
    #[serde(default)]
    pub time_limit: Option<Time>,
    /// Whether a request goes on without passages where the search fails.
    #[serde(default)]
    pub optional: bool,
    /// The queue in front of it.
    #[serde(default)]
    pub queue: Option<Queue>,
}

const fn yes() -> bool {
    true
}

const fn top_k() -> NonZeroUsize {
    NonZeroUsize::new(4).expect("above zero")
}

impl Rag {
    /// Searches a folder, with what is set unless said otherwise.
    pub fn new(docs: impl Into<PathBuf>) -> Self {
        Self {
            docs: docs.into(),
            index: None,
            watch: yes(),
            top_k: top_k(),
            question: Question::default(),
            min_score: None,
            time_limit: None,
            optional: false,
            queue: None,
        }
    }
}

/// What of a conversation is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Its last question.
    #[default]
    Last,
    /// Its last two questions, for those that mean nothing alone.
    LastTwo,
}

/// Writes the messages that the model sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Assemble {
    /// The system text, in front of the passages.
    pub system: Option<String>,
    /// The template of the system message, in the language of Jinja.
    pub system_template: Option<String>,
    /// The template of the passages.
    pub context_template: Option<String>,
    /// The template of each message of earlier turns.
    pub history_template: Option<String>,
    /// The template of the question.
    pub question_template: Option<String>,
    /// Tokens of the whole prompt, estimated by its length; earlier turns and passages are left out until it fits.
    pub budget: Option<NonZeroUsize>,
    /// Tokens of earlier turns.
    pub history_budget: Option<NonZeroUsize>,
    /// The queue in front of it.
    pub queue: Option<Queue>,
}

/// Asks the model.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Infer {
    /// The worker or pool that answers.
    pub worker: String,
    /// The queue in front of it.
    #[serde(default)]
    pub queue: Option<Queue>,
}

/// Filters the answer while it streams; filters run in the order in which they stand here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Post {
    /// Whether what stands between `<think>` and `</think>` becomes reasoning.
    pub reasoning: bool,
    /// What is taken out.
    pub redact: Vec<Redact>,
    /// More that is taken out, by the name that is written in its place: regular expressions with a maximum length.
    pub redact_patterns: BTreeMap<String, String>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// Whether white space at both ends is taken off.
    pub trim: bool,
    /// Bytes after which the answer ends.
    pub max_bytes: Option<NonZeroUsize>,
    /// The queue in front of it; without one it runs where the answer is read, which costs least.
    pub queue: Option<Queue>,
}

/// What there are patterns for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Redact {
    /// API keys, tokens and private keys.
    Secrets,
    /// E-mail addresses.
    Emails,
    /// Telephone numbers.
    Phones,
    /// Card numbers.
    Cards,
}

/// Hands the answer to the client.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// Who pulls it from the model server.
    pub mode: Mode,
    /// Events that a slow reader may be behind, of a buffered one; 256 unless set.
    #[schemars(range(min = 1))]
    pub buffer: Option<NonZeroUsize>,
}

/// Who pulls an answer from the model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The client's connection: fastest, and a slow reader holds the model's slot.
    #[default]
    Direct,
    /// A task with a buffer: a slow reader holds the slot only once that is full.
    Buffered,
}
