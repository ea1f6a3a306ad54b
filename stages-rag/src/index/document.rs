use std::collections::BTreeMap;
use std::future::Future;

use orchestrator_core::retrieval::Passage;

use crate::error::IndexError;

/// What tells one content of a document from another: a hash of its bytes and of how they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

/// A document on its way into an [`Index`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Document {
    /// Its name, unique in the index: a path relative to the corpus, a URL, an id.
    pub name: String,
    /// Tells whether it has changed since.
    pub fingerprint: Fingerprint,
    /// Its text, cut; [`Source::document`](orchestrator_core::retrieval::Source::document) is the name.
    pub passages: Vec<Passage>,
}

impl Document {
    /// Names a document and its passages.
    pub fn new(name: impl Into<String>, fingerprint: Fingerprint, passages: Vec<Passage>) -> Self {
        Self { name: name.into(), fingerprint, passages }
    }
}

/// An index that documents are put into and taken out of while it is searched.
///
/// Changes gather until [`commit`](Self::commit), which makes all of them visible and, on disk, durable, or none. A
/// search sees what was committed last, whole.
///
/// # After an error
///
/// What was committed before stays as it was and searchable, unless the error says that the storage itself is broken; an
/// index on disk is then to be opened anew. Of the changes since the last commit some or all may be gone, those of the
/// call that failed as well as earlier ones, and a commit that failed may have been made all the same. So after an error,
/// or a future that was dropped, ask [`documents`](Self::documents), put and remove again what differs from what should be
/// there, and [commit](Self::commit), even where nothing differs. [`Folder::sync`](crate::Folder::sync) does just that.
/// An index of your own makes its errors with [`IndexError::engine`].
pub trait Index: Send + Sync + 'static {
    /// Returns the documents that the next commit would leave, with their fingerprints.
    fn documents(&self) -> impl Future<Output = Result<BTreeMap<String, Fingerprint>, IndexError>> + Send;

    /// Puts documents in, each in place of an earlier one of its name.
    fn put(&self, documents: Vec<Document>) -> impl Future<Output = Result<(), IndexError>> + Send;

    /// Takes documents out; names that it does not hold do nothing.
    fn remove(&self, names: Vec<String>) -> impl Future<Output = Result<(), IndexError>> + Send;

    /// Makes everything since the last commit visible and durable, or nothing of it; costs nothing where nothing changed.
    fn commit(&self) -> impl Future<Output = Result<(), IndexError>> + Send;
}
