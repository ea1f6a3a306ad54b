use std::collections::BTreeMap;
use std::sync::Arc;

use super::snapshot::Entry;
use crate::index::{Document, Fingerprint};

/// A document with its vectors, ready to be committed.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) document: Document,
    /// One for each passage, of unit length.
    pub(super) vectors: Vec<Arc<[f32]>>,
}

/// What is to become of a document.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Put(Arc<Embedded>),
    Remove,
}

impl Change {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Put(mine), Self::Put(theirs)) => Arc::ptr_eq(mine, theirs),
            (Self::Remove, Self::Remove) => true,
            _ => false,
        }
    }
}

/// What has gathered since the last commit, by document: the last word on each.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) documents: BTreeMap<String, Change>,
}

impl Changes {
    pub(super) fn put(&mut self, embedded: Embedded) {
        let name = embedded.document.name.clone();
        self.documents.insert(name, Change::Put(Arc::new(embedded)));
    }

    /// Returns the length of the vectors that are put, all of which have the same.
    pub(super) fn dimensions(&self) -> Option<usize> {
        self.documents.values().find_map(|change| match change {
            Change::Put(embedded) => embedded.vectors.first().map(|vector| vector.len()),
            Change::Remove => None,
        })
    }

    pub(super) fn remove(&mut self, name: String) {
        self.documents.insert(name, Change::Remove);
    }

    /// Forgets what was committed, but not what has come meanwhile.
    pub(super) fn committed(&mut self, done: &Self) {
        self.documents.retain(|name, change| !done.documents.get(name).is_some_and(|done| done.is(change)));
    }

    /// Returns what committed documents become.
    pub(super) fn over(&self, documents: &BTreeMap<String, Entry>) -> BTreeMap<String, Fingerprint> {
        let committed = documents.iter().map(|(name, entry)| (name.clone(), entry.fingerprint));
        let mut all: BTreeMap<_, _> = committed.collect();
        for (name, change) in &self.documents {
            match change {
                Change::Put(embedded) => all.insert(name.clone(), embedded.document.fingerprint),
                Change::Remove => all.remove(name),
            };
        }
        all
    }
}
