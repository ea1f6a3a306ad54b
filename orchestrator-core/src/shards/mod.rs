//! One pipeline per pinned core, and every session at home on one of them.
//!
//! [`Shards`] starts a thread per shard, pins each to a core, runs a pipeline of its own on each, and hashes a request's
//! session to its home shard. It pays where the *caller's* task lives there too, see [`Shards::spawn_on`]: then nothing of
//! a request leaves its core. Called from elsewhere, a request crosses cores twice, which costs more than the sharding
//! saves; there an ordinary [`Pipeline`](crate::pipeline::Pipeline) on the work-stealing runtime is the better choice.
//!
//! What belongs to a session can be kept on its home shard, in memory that no other thread touches: see
//! [`Context::session_state`](crate::context::Context::session_state).
//!
//! This module is responsible for threads, placement and session state. What happens to a request once it is placed is the
//! pipeline's business: its queues, limits and policies hold on each shard by themselves. Limits that must hold for all
//! shards together belong to an object that they share, as [`Slots`](crate::worker::Slots) are.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use orchestrator_core::prelude::*;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
//! let shards = Shards::of(2)
//!     .session_state(SessionState::new().idle(Duration::from_secs(600)))
//!     .build(|_shard| {
//!         Pipeline::builder("turns")
//!             .then("count", |cx: Context, text: String| async move {
//!                 let turn = cx.session_state(|turns: &mut u32| {
//!                     *turns += 1;
//!                     *turns
//!                 })?;
//!                 Ok::<_, BoxError>(format!("{turn}: {text}"))
//!             })
//!             .build()
//!     })?;
//!
//! // The conversation is held by a task on the core that it lives on.
//! let mine = shards.clone();
//! let conversation = shards.spawn_on("anna", async move {
//!     let mut last = String::new();
//!     for text in ["well", "so"] {
//!         let options = RequestOptions::new().session("anna");
//!         last = mine.submit_with(text.to_owned(), options).await?.output().await?;
//!     }
//!     Ok::<_, Error>(last)
//! });
//! assert_eq!(conversation.await??, "2: so");
//! assert_eq!(shards.drain(Duration::from_secs(5)).await.cancelled, 0);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
//! ```

mod builder;
mod cores;
mod drain;
mod handle;
mod here;
mod placement;
mod session;
mod thread;

pub use builder::ShardsBuilder;
pub use handle::Shards;
pub(crate) use here::states;
pub use session::SessionState;
pub(crate) use session::{InUse, Presence, SessionKey, States};
