use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::snapshot::Metadata;

/// Numbers the different metadata that passages have, so that each is kept, and asked of a filter, once.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    numbers: HashMap<Metadata, u32>,
    metadata: Vec<Metadata>,
}

impl Kinds {
    /// Returns the number of a metadata, a new one where it has none.
    pub(super) fn kind_of(&mut self, metadata: &BTreeMap<String, String>) -> u32 {
        if let Some(kind) = self.numbers.get(metadata) {
            return *kind;
        }
        let kind = u32::try_from(self.metadata.len()).expect("as many as slots at most, which are numbered so too");
        let metadata = Arc::new(metadata.clone());
        self.numbers.insert(metadata.clone(), kind);
        self.metadata.push(metadata);
        kind
    }

    /// Returns each metadata, by its number.
    pub(super) fn into_metadata(self) -> Vec<Metadata> {
        self.metadata
    }
}
