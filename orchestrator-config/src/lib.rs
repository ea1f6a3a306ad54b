//! Declared pipelines: from a file to a service that answers for models by name.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@file`] | what a file may say; made by hand where there is no file |
//! | `load` | from TOML or YAML to [`Config`](file::Config): places, variables, the shape by [`schema`] |
//! | `check` | what a configuration means, and what of it cannot be |
//! | `build` | from a configuration to [`Parts`], and from these to a [`Service`] |
//!
//! # Examples
//!
//! ```
//! use orchestrator_config::file::Config;
//! use orchestrator_config::{Format, Parts};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let file = "
//! [workers.quotes]
//! kind = 'extractive'
//!
//! [[models]]
//! name = 'assistant'
//! worker = 'quotes'
//! ";
//! let config = Config::parse("orchestrator.toml", file, Format::Toml, [])?;
//! let parts = Parts::connect(&config).await?;
//! let service = parts.service()?;
//! assert!(service.model("assistant").is_some());
//!
//! let wrong = "[limits]\ngrace = '10'\n";
//! let faults = Config::parse("orchestrator.toml", wrong, Format::Toml, []).expect_err("no unit");
//! assert!(faults.to_string().contains("orchestrator.toml:2:1: limits.grace: `10` is not a length of time"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod build;
mod check;
mod fault;
pub mod file;
mod load;
mod path;
mod schema;
mod service;
mod words;

pub use build::{ConnectError, Parts};
pub use fault::{Fault, Faults, Place};
pub use load::Format;
pub use schema::schema;
pub use service::{Embeddings, Model, ModelName, Service, Texts};
