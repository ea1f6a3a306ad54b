//! Real model servers for tests, and the runner of the suites that need one.
//!
//! [`LlamaServer`] starts the genuine llama-server with a model of random weights and ends it with its value, or with the
//! process, however that ends. A [`Suite`] is a test target with `harness = false` whose tests talk to such a server. Where the
//! server is missing all of its tests are listed as ignored and one line on stderr says how to get it; with `REQUIRE_PEERS=1`
//! they fail instead.
//!
//! It knows nothing of the workers that are tested with it.

mod find;
mod llama_server;
mod log;
mod suite;

pub use llama_server::{Builder, LlamaServer, Model};
pub use suite::{Peer, Suite, TestResult};
