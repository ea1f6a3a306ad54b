//! How passages, vectors and edges lie in the rows of the store.

use std::collections::BTreeMap;

use orchestrator_core::retrieval::{Passage, Source};
use redb::TableDefinition;

use super::graph::Slot;

/// Text, document, headings, lines, page.
pub(super) type PassageRow = (&'static str, &'static str, Vec<&'static str>, Option<(u32, u32)>, Option<u32>);

/// What a passage row reads as.
type PassageFields<'a> = (&'a str, &'a str, Vec<&'a str>, Option<(u32, u32)>, Option<u32>);

/// What the index was made with.
pub(super) const SETTINGS: TableDefinition<&str, &str> = TableDefinition::new("settings");
/// The fingerprint of each document and the slots of its passages.
pub(super) const DOCUMENTS: TableDefinition<&str, (u64, Vec<Slot>)> = TableDefinition::new("documents");
pub(super) const PASSAGES: TableDefinition<Slot, PassageRow> = TableDefinition::new("passages");
/// Apart from the passages, because it is read when the index is opened; no row where there is none.
pub(super) const METADATA: TableDefinition<Slot, Vec<(&str, &str)>> = TableDefinition::new("metadata");
/// Also of what was taken out, as long as searches pass by it.
pub(super) const VECTORS: TableDefinition<Slot, &[u8]> = TableDefinition::new("vectors");
pub(super) const EDGES: TableDefinition<Slot, &[u8]> = TableDefinition::new("edges");

pub(super) fn passage_row(passage: &Passage) -> PassageFields<'_> {
    let Source { document, headings, lines, page, .. } = &passage.source;
    (&passage.text, document, headings.iter().map(String::as_str).collect(), *lines, *page)
}

/// Makes a passage of its row, with the metadata that is in memory.
pub(super) fn passage(row: PassageFields<'_>, metadata: &BTreeMap<String, String>, score: f32) -> Passage {
    let (text, document, headings, lines, page) = row;
    let mut source = Source::new(document).headings(headings.into_iter().map(str::to_owned).collect());
    if let Some((first, last)) = lines {
        source = source.lines(first, last);
    }
    if let Some(page) = page {
        source = source.page(page);
    }
    let passage = Passage::new(text, source, score);
    metadata.iter().fold(passage, |passage, (key, value)| passage.with_metadata(key, value))
}

pub(super) fn metadata_row(metadata: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

pub(super) fn vector_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

/// Reads a vector back; `None` where the bytes are none of so many dimensions, or a component is not finite.
pub(super) fn vector(bytes: &[u8], dimensions: usize) -> Option<Vec<f32>> {
    let (components, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || components.len() != dimensions {
        return None;
    }
    let vector: Vec<f32> = components.iter().copied().map(f32::from_le_bytes).collect();
    vector.iter().all(|component| component.is_finite()).then_some(vector)
}

pub(super) fn edge_bytes(edges: &[Slot]) -> Vec<u8> {
    edges.iter().flat_map(|slot| slot.to_le_bytes()).collect()
}

/// Reads edges back; `None` where the bytes are none.
pub(super) fn edges(bytes: &[u8]) -> Option<Vec<Slot>> {
    let (slots, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| slots.iter().copied().map(Slot::from_le_bytes).collect())
}
