//! An embeddable Tokio pipeline for LLM requests.
//!
//! ```text
//! RAG (I/O) -> ASSEMBLE (CPU-lite) -> INFERENCE (a model server) -> POST (CPU) -> STREAM (I/O) -> caller
//! ```
//!
//! The stages are composable and linked by bounded queues with backpressure and shedding; model servers stand behind one
//! trait, [`ModelWorker`](worker::ModelWorker). It does not make the model faster: it makes everything around the model
//! faster, safer and observable.
//!
//! This package is a facade: it re-exports the runtime and, by feature, the stages and workers.
//!
//! | feature | gives | default |
//! |---|---|---|
//! | `rag` | [`rag`]: an index over a folder of documents, retrieval and assembly | yes |
//! | `html`, `pdf` | documents in these formats, beside Markdown and plain text | no |
//! | `watch` | `rag::Folder::watch`: indexes that follow a folder | no |
//! | `vector` | `rag::VectorIndex`: an index over vectors, in memory and on disk | no |
//! | `post` | [`post`]: filters over the token stream | yes |
//! | `embedded` | [`embedded`]: workers that need no server | yes |
//! | `openai` | `openai`: a worker and an embedder for servers that speak OpenAI's API | no |
//! | `llamacpp`, `vllm` | workers that know more of these two servers | no |
//! | `pool` | `pool`: many workers as one, with routing, retries, circuit breakers and fail-over | no |
//! | `rustls` | `https://` for these workers | no |
//! | `json-schema` | `PostStage::json_schema`: checks whether an answer is JSON that fits a schema | no |
//! | `test-util` | `testing`: a scripted worker, a scripted server, and the conformance suite for workers | no |
//!
//! # Examples
//!
//! A pipeline needs no server to be tried: `Extractive` answers with sentences of the retrieved passages.
//!
//! ```
//! use prompt_orchestrator::prelude::*;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let notes = Passage::new("A full queue makes the stage before it wait.", Source::new("notes.md"), 1.0);
//! let pipeline = Pipeline::builder("assistant")
//!     .stage(RagStage::new(Bm25Index::from_passages([notes])?).top_k(4))
//!     .stage(AssembleStage::default())
//!     .stage(InferenceStage::new(Extractive::default()))
//!     .stage(PostStage::new().trim())
//!     .stage(StreamStage::default())
//!     .build()?;
//!
//! let mut answer = pipeline.submit(PromptRequest::new("What does a full queue do?")).await?;
//! assert_eq!(answer.text().await?, "A full queue makes the stage before it wait. [1]");
//! # Ok(())
//! # }
//! ```

pub use orchestrator_core::{
    answer, context, error, pipeline, request, retrieval, shards, stage, stats, tenants, token, worker,
};

#[cfg(feature = "test-util")]
pub use orchestrator_core::testing;

#[cfg(feature = "embedded")]
pub use workers_embedded as embedded;

#[cfg(feature = "openai")]
pub use workers_openai as openai;

#[cfg(feature = "llamacpp")]
pub use workers_llamacpp as llamacpp;

#[cfg(feature = "pool")]
pub use workers_pool as pool;

#[cfg(feature = "vllm")]
pub use workers_vllm as vllm;

#[cfg(feature = "post")]
pub use stages_post as post;

#[cfg(feature = "rag")]
pub use stages_rag as rag;

/// What most programs use, in one `use`.
pub mod prelude {
    pub use orchestrator_core::prelude::*;

    #[cfg(feature = "embedded")]
    pub use workers_embedded::Extractive;

    #[cfg(feature = "openai")]
    pub use workers_openai::OpenAi;

    #[cfg(feature = "llamacpp")]
    pub use workers_llamacpp::LlamaCpp;

    #[cfg(feature = "vllm")]
    pub use workers_vllm::Vllm;

    #[cfg(feature = "post")]
    pub use stages_post::{PostStage, TextFilter};

    #[cfg(feature = "rag")]
    pub use stages_rag::{AssembleStage, Bm25Index, Hybrid, RagStage, RememberStage, SessionMemory};

    #[cfg(feature = "vector")]
    pub use stages_rag::VectorIndex;
}

/// Compiles and runs the programs in the guides.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../docs/cancellation-and-deadlines.md")]
    struct CancellationAndDeadlines;

    #[cfg(all(feature = "llamacpp", feature = "vllm"))]
    #[doc = include_str!("../docs/model-servers.md")]
    struct ModelServers;

    #[cfg(all(feature = "embedded", feature = "post", feature = "rag"))]
    #[doc = include_str!("../docs/first-pipeline.md")]
    struct FirstPipeline;

    #[cfg(all(feature = "vector", feature = "watch"))]
    #[doc = include_str!("../docs/indexes.md")]
    struct Indexes;

    #[doc = include_str!("../docs/observability.md")]
    struct Observability;

    #[doc = include_str!("../docs/overload.md")]
    struct Overload;

    #[cfg(all(feature = "llamacpp", feature = "pool"))]
    #[doc = include_str!("../docs/pools.md")]
    struct Pools;

    #[cfg(all(feature = "embedded", feature = "json-schema", feature = "rag"))]
    #[doc = include_str!("../docs/post-processing.md")]
    struct PostProcessing;

    #[cfg(all(feature = "embedded", feature = "rag"))]
    #[doc = include_str!("../docs/retrieval.md")]
    struct Retrieval;

    #[doc = include_str!("../docs/sharding.md")]
    struct Sharding;

    #[cfg(all(feature = "embedded", feature = "rag"))]
    #[doc = include_str!("../docs/writing-a-stage.md")]
    struct WritingAStage;

    #[doc = include_str!("../docs/writing-a-worker.md")]
    struct WritingAWorker;
}
