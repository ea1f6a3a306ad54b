//! Retrieval and prompt assembly: what stands between a question and the model.
//!
//! | use | for |
//! |---|---|
//! | [`Bm25Index`] | searching passages by words, in memory or on disk |
//! | `VectorIndex` (feature `vector`) | searching by meaning, with the vectors of any embedder, in memory and on disk |
//! | [`Hybrid`], [`Diverse`], [`Reranked`] | fusing several searches, choosing what differs, scoring anew |
//! | [`HashingEmbedder`] | vectors without a model, for tests and demonstrations |
//! | [`Folder`] | keeping an index up to date with a folder of Markdown, text, HTML (feature `html`) and PDF (`pdf`) files |
//! | [`RagStage`] | putting the passages of any [`Retriever`](orchestrator_core::retrieval::Retriever) beside the question |
//! | [`AssembleStage`] | writing the messages that the model sees, with or without passages, within a token budget |
//! | [`SessionMemory`], [`RememberStage`] | going on with a conversation of which the caller sends the last question only |
//!
//! What a passage is and how it travels is the business of [`orchestrator_core::retrieval`]; running the stages is that
//! of [`orchestrator_core::pipeline`].
//!
//! # Examples
//!
//! ```
//! use orchestrator_core::prelude::*;
//! use stages_rag::{AssembleStage, Bm25Index, RagStage};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # std::fs::write(folder.path().join("queue.md"), "# Queues\n\nA full queue sheds its oldest request.\n")?;
//! # let docs = folder.path();
//! let index = Bm25Index::from_dir(docs).await?;
//! let pipeline = Pipeline::builder("assistant")
//!     .stage(RagStage::new(index).top_k(4))
//!     .stage(AssembleStage::default())
//!     .then("show", |_cx, request: InferenceRequest| async move {
//!         Ok::<_, BoxError>(request.messages[0].text().into_owned())
//!     })
//!     .build()?;
//!
//! let mut answer = pipeline.submit(PromptRequest::new("What does a full queue shed?")).await?;
//! assert!(answer.output().await?.contains("[1] queue.md:1-3 (Queues)\n"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod chunk;
mod corpus;
mod error;
mod extract;
mod grounded;
mod index;
mod memory;
mod rag;
mod search;

pub use assemble::{AssembleStage, Assembly, TemplateError};
#[cfg(feature = "watch")]
pub use corpus::Watch;
pub use corpus::{Folder, Limit, Limits, Progress, SkipReason, SkippedFile, SyncReport};
pub use error::{IndexError, IndexErrorKind};
pub use grounded::GroundedPrompt;
#[cfg(feature = "vector")]
pub use index::VectorIndex;
pub use index::{Bm25Builder, Bm25Index, Document, Fingerprint, Index, Language, Languages};
pub use memory::{MemoryLimits, MemoryStats, RememberStage, SessionKey, SessionMemory, SessionStore, Turn};
pub use rag::{RagStage, Retrieval, last_two_questions};
pub use search::{Diverse, HashingEmbedder, Hybrid, Reranked, Reranker};
