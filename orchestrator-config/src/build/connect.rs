use orchestrator_core::error::WorkerError;
use stages_rag::IndexError;
use workers_openai::error::ConfigError;
use workers_pool::BuildError as PoolError;

use crate::Faults;

/// What keeps the parts of a service from being made.
///
/// A model server that does not answer is none of it: that one is taken in when it is there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration cannot be used; it was made by hand and not checked.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] Faults),
    /// The settings of a worker cannot be used, by what its server says.
    #[error("worker `{worker}` cannot be used")]
    Worker {
        /// Its name.
        worker: String,
        /// Why.
        source: WorkerError,
    },
    /// The settings of a worker cannot be used.
    #[error("worker `{worker}` cannot be made")]
    Settings {
        /// Its name.
        worker: String,
        /// Why.
        source: ConfigError,
    },
    /// A pool cannot be made of its members.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The documents of a pipeline cannot be indexed.
    #[error("the documents in {folder} cannot be indexed")]
    Documents {
        /// Their folder.
        folder: String,
        /// Why.
        source: IndexError,
    },
}
