//! What a configuration file may say, section by section.
//!
//! The same types are made by hand where there is no file. [`schema`](crate::schema) is made of them, so what stands here is
//! what editors show.

mod access;
mod backend;
mod config;
mod member;
mod model;
mod pipeline;
mod pool;
mod queue;
mod secret;
mod server;
mod stage;
mod telemetry;
mod tenant;
mod time;
mod url;
mod worker;

pub use access::{Access, Timeouts};
pub(crate) use backend::OpenAiServer;
pub use backend::{Auto, LlamaCpp, OpenAi, OpenAiCompatible, Route, Served, Vllm};
pub use config::{Config, Shards};
pub use member::{Member, MemberSettings};
pub use model::Model;
pub use pipeline::Pipeline;
pub use pool::{Breaker, FailOver, Policy, Pool, Retry};
pub use queue::{CoDel, Queue, Shed};
pub use secret::{Digest, Secret};
pub use server::{Limits, Listener, Placement};
pub use stage::{Assemble, Infer, Mode, Post, Question, Rag, Redact, Stage, Stream};
pub use telemetry::{Logs, Telemetry};
pub use tenant::{Key, Priority, RateLimit, Tenant};
pub use time::Time;
pub use url::Url;
pub use worker::{Extractive, Worker};
