use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_core::answer::{StreamStage, Tokens};
use orchestrator_core::error::{BuildError, WorkerError, WorkerErrorKind};
use orchestrator_core::pipeline::{Builder, Pipeline};
use orchestrator_core::request::PromptRequest;
use orchestrator_core::tenants::Tenants;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{InferenceRequest, InferenceStage, ModelWorker, Slots};
use stages_rag::{Bm25Index, GroundedPrompt};

use super::place::{place, place_inline};
use super::stages;
use crate::file::{Mode, Stage, Stream};

/// What a stage hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Prompt,
    Grounded,
    Request,
    Tokens,
    Answer,
}

impl Flow {
    /// What there is behind a stage; `None` where it cannot stand there.
    pub(crate) const fn behind(self, stage: &Stage) -> Option<Self> {
        match (self, stage) {
            (Self::Prompt, Stage::Rag(_)) => Some(Self::Grounded),
            (Self::Prompt | Self::Grounded, Stage::Assemble(_)) => Some(Self::Request),
            (Self::Prompt | Self::Request, Stage::Infer(_)) => Some(Self::Tokens),
            (Self::Tokens, Stage::Post(_)) => Some(Self::Tokens),
            (Self::Tokens, Stage::Stream(_)) => Some(Self::Answer),
            _ => None,
        }
    }
}

/// What the stages of a pipeline are built with.
pub(super) trait Source {
    /// The worker that `infer` asks.
    fn worker(&self) -> Arc<dyn ModelWorker>;
    /// The index of a folder; `None` where there is none.
    fn index(&self, docs: &FilePath) -> Option<Bm25Index>;
}

/// A pipeline as far as it is built.
enum Chain {
    Prompt(Builder<PromptRequest, PromptRequest>),
    Grounded(Builder<PromptRequest, GroundedPrompt>),
    Request(Builder<PromptRequest, InferenceRequest>),
    Tokens(Builder<PromptRequest, TokenStream>),
    Answer(Builder<PromptRequest, Tokens>),
}

/// Builds a pipeline whose stages fit together; `None` where they do not, or an index is missing.
pub(super) fn build(
    name: &str,
    stages: &[Stage],
    source: &impl Source,
    tenants: Tenants,
    reader_stall: Duration,
) -> Option<Result<Pipeline<PromptRequest, Tokens>, BuildError>> {
    let begin = Chain::Prompt(Pipeline::builder(name).tenants(tenants));
    let chain = stages.iter().try_fold(begin, |chain, stage| chain.stage(stage, source, reader_stall))?;
    match chain {
        Chain::Tokens(builder) => Some(builder.stage(stream(&Stream::default(), reader_stall)).build()),
        Chain::Answer(builder) => Some(builder.build()),
        _ => None,
    }
}

impl Chain {
    fn stage(self, stage: &Stage, source: &impl Source, stall: Duration) -> Option<Self> {
        Some(match (self, stage) {
            (Self::Prompt(builder), Stage::Rag(rag)) => {
                let stage = stages::rag(rag, source.index(&rag.docs)?);
                Self::Grounded(builder.stage_with(stage, place(rag.queue.as_ref())))
            }
            (Self::Prompt(builder), Stage::Assemble(assemble)) => {
                Self::Request(builder.stage_with(stages::assemble(assemble), place(assemble.queue.as_ref())))
            }
            (Self::Grounded(builder), Stage::Assemble(assemble)) => {
                Self::Request(builder.stage_with(stages::assemble(assemble), place(assemble.queue.as_ref())))
            }
            (Self::Prompt(builder), Stage::Infer(infer)) => {
                Self::Tokens(builder.stage_with(InferenceStage::shared(source.worker()), place(infer.queue.as_ref())))
            }
            (Self::Request(builder), Stage::Infer(infer)) => {
                Self::Tokens(builder.stage_with(InferenceStage::shared(source.worker()), place(infer.queue.as_ref())))
            }
            (Self::Tokens(builder), Stage::Post(post)) => {
                Self::Tokens(builder.stage_with(stages::post(post), place_inline(post.queue.as_ref())))
            }
            (Self::Tokens(builder), Stage::Stream(settings)) => Self::Answer(builder.stage(stream(settings, stall))),
            _ => return None,
        })
    }
}

fn stream(settings: &Stream, stall: Duration) -> StreamStage {
    let stage = StreamStage::default().reader_stall(stall);
    match (settings.mode, settings.buffer) {
        (Mode::Direct, _) => stage.direct(),
        (Mode::Buffered, None) => stage,
        (Mode::Buffered, Some(events)) => stage.buffered(events),
    }
}

/// Builds a pipeline for its faults alone; `slots` where its worker will have some.
pub(crate) fn dry_run(name: &str, stages: &[Stage], slots: bool) -> Option<BuildError> {
    let source = Nobody(slots.then(|| Slots::new(std::num::NonZeroUsize::MIN)));
    build(name, stages, &source, Tenants::new(), Duration::MAX)?.err()
}

/// Stands for a worker that is not there yet.
#[derive(Clone)]
struct Nobody(Option<Slots>);

#[async_trait]
impl ModelWorker for Nobody {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        Err(WorkerError::new(WorkerErrorKind::Transient, "nobody is there"))
    }

    fn slots(&self) -> Option<Slots> {
        self.0.clone()
    }
}

impl Source for Nobody {
    fn worker(&self) -> Arc<dyn ModelWorker> {
        Arc::new(self.clone())
    }

    fn index(&self, _docs: &FilePath) -> Option<Bm25Index> {
        Bm25Index::in_memory().ok()
    }
}
