//! The errors of this index, by where they come from.

use std::fmt::Display;
use std::path::Path;

use orchestrator_core::error::{InvalidInput, WorkerError, WorkerErrorKind};

use crate::error::{IndexError, IndexErrorKind};

/// The store failed, in the way in which its error says.
pub(super) fn storage(path: Option<&Path>, error: impl Into<redb::Error>) -> IndexError {
    let error = error.into();
    let kind = match &error {
        redb::Error::DatabaseAlreadyOpen => IndexErrorKind::Locked,
        redb::Error::UpgradeRequired(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_) => IndexErrorKind::Incompatible,
        _ => IndexErrorKind::Storage,
    };
    IndexError::new(kind, path, Some(error.into()))
}

/// What is stored cannot have been stored by this program.
pub(super) fn damaged(path: Option<&Path>, what: &str) -> IndexError {
    storage(path, redb::Error::Corrupted(what.to_owned()))
}

pub(super) fn engine(path: Option<&Path>, error: diskann::ANNError) -> IndexError {
    IndexError::new(IndexErrorKind::Engine, path, Some(error.into()))
}

/// The embedder, or its vectors, are others than those of the index.
pub(super) fn incompatible(
    path: Option<&Path>,
    field: &'static str,
    given: impl Display,
    stored: impl Display,
) -> IndexError {
    let problem = format!("is {given}, but the index holds {stored}");
    IndexError::new(IndexErrorKind::Incompatible, path, Some(InvalidInput::new(field, problem).into()))
}

pub(super) fn embedder(path: Option<&Path>, error: WorkerError) -> IndexError {
    IndexError::new(IndexErrorKind::Embedder, path, Some(error.into()))
}

/// The embedder gave what the trait does not allow.
pub(super) fn bad_vectors(path: Option<&Path>, problem: String) -> IndexError {
    embedder(path, WorkerError::new(WorkerErrorKind::Protocol, problem))
}

/// Nobody waits any more, or the runtime has stopped.
pub(super) fn interrupted(path: Option<&Path>) -> IndexError {
    IndexError::new(IndexErrorKind::Interrupted, path, None)
}
