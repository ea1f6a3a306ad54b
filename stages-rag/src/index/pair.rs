use std::collections::BTreeMap;

use super::document::{Document, Fingerprint, Index};
use crate::error::IndexError;

/// Two indexes that are kept up to date as one, so that a folder is read once for both.
///
/// Each change goes to the first one and then to the second, and so does the commit. A change or commit that fails, or a
/// kill between the two, leaves the first one ahead, and the next [`documents`](Index::documents) says so: a document
/// counts as held only where both hold the same content of it, and whoever compares puts the others in again.
///
/// Pairs are indexes too, so that three are kept up to date as `((a, b), c)`.
///
/// # Examples
///
/// ```
/// use stages_rag::{Bm25Index, Folder};
/// # #[cfg(feature = "vector")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// use std::sync::Arc;
/// use stages_rag::{HashingEmbedder, VectorIndex};
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("queue.md"), "# Queues\n\nA full queue sheds its oldest request.\n")?;
/// # let docs = folder.path();
///
/// let (words, vectors) = (Bm25Index::in_memory()?, VectorIndex::in_memory(Arc::new(HashingEmbedder::default())));
/// let report = Folder::new(docs).sync(&(words.clone(), vectors.clone())).await?;
/// assert_eq!((report.added, words.len(), vectors.len()), (1, 1, 1));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
impl<A: Index, B: Index> Index for (A, B) {
    async fn documents(&self) -> Result<BTreeMap<String, Fingerprint>, IndexError> {
        let (mut documents, others) = (self.0.documents().await?, self.1.documents().await?);
        for (name, held) in &mut documents {
            if others.get(name) != Some(held) {
                *held = other_than(*held);
            }
        }
        for (name, held) in others {
            documents.entry(name).or_insert(other_than(held));
        }
        Ok(documents)
    }

    async fn put(&self, documents: Vec<Document>) -> Result<(), IndexError> {
        self.0.put(documents.clone()).await?;
        self.1.put(documents).await
    }

    async fn remove(&self, names: Vec<String>) -> Result<(), IndexError> {
        self.0.remove(names.clone()).await?;
        self.1.remove(names).await
    }

    async fn commit(&self) -> Result<(), IndexError> {
        self.0.commit().await?;
        self.1.commit().await
    }
}

/// Stands for a content that is not the one of this fingerprint, nor is it when a pair of pairs does it again.
const fn other_than(fingerprint: Fingerprint) -> Fingerprint {
    Fingerprint(fingerprint.0.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0xd1b5_4a32_d192_ed03))
}
