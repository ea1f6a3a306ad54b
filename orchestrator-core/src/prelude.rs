//! What most programs use, in one `use`.

pub use async_trait::async_trait;

pub use crate::answer::{Answer, StreamStage, Tokens};
pub use crate::context::Context;
pub use crate::error::{BoxError, BuildError, Error, ErrorKind, InvalidInput, WorkerError, WorkerErrorKind};
pub use crate::pipeline::Pipeline;
pub use crate::request::{Input, Message, Priority, PromptRequest, RequestOptions, Role};
pub use crate::retrieval::{Embedder, Filter, Passage, Passages, Query, Retriever, Source};
pub use crate::shards::{SessionState, Shards};
pub use crate::stage::{CoDel, ShedPolicy, Stage, StageConfig};
pub use crate::token::{EstimatedTokens, FinishReason, TokenCounter, TokenEvent, TokenStream, Usage};
pub use crate::worker::{Health, InferenceRequest, InferenceStage, ModelWorker, Slots, WorkerInfo};
