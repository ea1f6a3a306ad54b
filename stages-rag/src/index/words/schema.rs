use orchestrator_core::retrieval::{Passage, Source};
use tantivy::schema::document::{CompactDocValue, Value};
use tantivy::schema::{
    BytesOptions, FAST, Field, INDEXED, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{TantivyDocument, Term};

use super::key;
use super::language::Language;
use super::terms;
use crate::index::Fingerprint;

/// Our tokenizer's name among tantivy's.
pub(super) const TOKENIZER: &str = "coded";

/// The language of a record without a passage.
const NO_LANGUAGE: &[u8] = b"--";

/// The fields of a record.
///
/// A record is a passage with what its document is called and was like; a document without passages has one without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// Text and headings, behind the code of their language.
    pub(super) text: Field,
    pub(super) headings: Field,
    /// The key of the document's name, and the name.
    pub(super) name: Field,
    stored_name: Field,
    pub(super) fingerprint: Field,
    /// The code of the document's language.
    pub(super) language: Field,
    /// Counts up with each record: the order of ties.
    pub(super) place: Field,
    /// The keys of the facts in the metadata, and the metadata, keys and values by turns.
    pub(super) facts: Field,
    metadata: Field,
    /// The passage's document where that is not the name.
    document: Field,
    lines: Field,
    page: Field,
}

/// The name of [`Fields::place`] and [`Fields::fingerprint`], which columns are looked up by.
pub(super) const PLACE: &str = "place";
pub(super) const FINGERPRINT: &str = "fingerprint";

impl Fields {
    pub(super) fn schema() -> (Self, Schema) {
        let mut schema = Schema::builder();
        let key = || BytesOptions::default().set_indexed();
        let fields = Self {
            text: schema.add_text_field("text", words()),
            headings: schema.add_text_field("headings", words()),
            name: schema.add_bytes_field("name", INDEXED),
            stored_name: schema.add_text_field("stored_name", STORED),
            fingerprint: schema.add_u64_field(FINGERPRINT, FAST),
            language: schema.add_bytes_field("language", key()),
            place: schema.add_u64_field(PLACE, FAST),
            facts: schema.add_bytes_field("facts", key()),
            metadata: schema.add_text_field("metadata", STORED),
            document: schema.add_text_field("document", STORED),
            lines: schema.add_u64_field("lines", STORED),
            page: schema.add_u64_field("page", STORED),
        };
        (fields, schema.build())
    }

    /// Returns the term that all records of a document have.
    pub(super) fn name_term(&self, name: &str) -> Term {
        Term::from_field_bytes(self.name, &key::of_name(name))
    }

    /// Makes the record of a passage, or the only one of a document without passages.
    pub(super) fn record(&self, entry: &Entry<'_>) -> TantivyDocument {
        let mut record = TantivyDocument::new();
        record.add_bytes(self.name, &key::of_name(entry.name));
        record.add_text(self.stored_name, entry.name);
        record.add_u64(self.fingerprint, entry.fingerprint.0);
        record.add_u64(self.place, entry.place);
        let Some((language, passage)) = entry.passage else {
            record.add_bytes(self.language, NO_LANGUAGE);
            return record;
        };
        record.add_bytes(self.language, language.code().as_bytes());
        record.add_text(self.text, terms::coded(language, &passage.text));
        self.add_source(&mut record, entry.name, language, &passage.source);
        for (key, value) in &passage.metadata {
            record.add_bytes(self.facts, &key::of_fact(key, value));
            record.add_text(self.metadata, key);
            record.add_text(self.metadata, value);
        }
        record
    }

    fn add_source(&self, record: &mut TantivyDocument, name: &str, language: Language, source: &Source) {
        if source.document != name {
            record.add_text(self.document, &source.document);
        }
        for heading in &source.headings {
            record.add_text(self.headings, terms::coded(language, heading));
        }
        if let Some((first, last)) = source.lines {
            record.add_u64(self.lines, first.into());
            record.add_u64(self.lines, last.into());
        }
        if let Some(page) = source.page {
            record.add_u64(self.page, page.into());
        }
    }

    /// Reads the passage of a record.
    pub(super) fn passage(&self, record: &TantivyDocument, score: f32) -> Passage {
        let text = |field| record.get_first(field).and_then(|value| value.as_str()).unwrap_or_default();
        let document = record.get_first(self.document).and_then(|value| value.as_str());
        let mut source = Source::new(document.unwrap_or_else(|| self.name(record)));
        source.headings = texts(record, self.headings).map(|heading| terms::decoded(heading).to_owned()).collect();
        let mut lines = numbers(record, self.lines);
        source.lines = lines.next().zip(lines.next());
        source.page = numbers(record, self.page).next();

        let mut passage = Passage::new(terms::decoded(text(self.text)), source, score);
        let mut metadata = texts(record, self.metadata);
        while let (Some(key), Some(value)) = (metadata.next(), metadata.next()) {
            passage.metadata.insert(key.to_owned(), value.to_owned());
        }
        passage
    }

    /// Reads the name of a record's document.
    pub(super) fn name<'a>(&self, record: &'a TantivyDocument) -> &'a str {
        record.get_first(self.stored_name).and_then(|value| value.as_str()).unwrap_or_default()
    }
}

/// What a record is made of.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) fingerprint: Fingerprint,
    pub(super) place: u64,
    pub(super) passage: Option<(Language, &'a Passage)>,
}

fn texts(record: &TantivyDocument, field: Field) -> impl Iterator<Item = &str> {
    record.get_all(field).filter_map(|value: CompactDocValue<'_>| value.as_str())
}

fn numbers(record: &TantivyDocument, field: Field) -> impl Iterator<Item = u32> {
    let small = |value: CompactDocValue<'_>| value.as_u64().and_then(|number| u32::try_from(number).ok());
    record.get_all(field).filter_map(small)
}

/// Frequencies and lengths are all that BM25 asks for.
fn words() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(true);
    TextOptions::default().set_indexing_options(indexing).set_stored()
}
