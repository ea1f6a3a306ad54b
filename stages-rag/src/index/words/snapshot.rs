use std::collections::HashMap;
use std::sync::Arc;

use orchestrator_core::retrieval::{Filter, Passage, Query};
use tantivy::collector::TopDocs;
use tantivy::collector::sort_key::{SortBySimilarityScore, SortByStaticFastValue};
use tantivy::query::{
    Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query as Clause, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Order, Searcher, SegmentReader, TantivyDocument, Term};

use super::filter;
use super::language::Language;
use super::schema::{Fields, PLACE};
use super::terms::{self, Word};

/// What a word in a heading counts beside the same word in the text.
///
/// Of 22 questions to eight documents, 1.5 and 2 put the section that answers first 17 times, 0 did so 14 times, 1 and 3
/// did 15 times.
const HEADING_BOOST: f32 = 1.5;

/// What was committed last, whole.
pub(super) struct Snapshot {
    fields: Fields,
    searcher: Searcher,
    /// The languages of its passages.
    languages: Vec<Language>,
    passages: usize,
}

impl Snapshot {
    pub(super) fn new(fields: Fields, searcher: Searcher) -> tantivy::Result<Self> {
        let mut languages = Vec::new();
        let mut passages = 0;
        for segment in searcher.segment_readers() {
            for_each_term(segment, fields.language, |code, alive| {
                let language = std::str::from_utf8(code).ok().and_then(Language::from_code);
                let Some(language) = language else { return Ok(()) };
                let here = alive.count();
                passages += here;
                if here > 0 && !languages.contains(&language) {
                    languages.push(language);
                }
                Ok(())
            })?;
        }
        languages.sort();
        Ok(Self { fields, searcher, languages, passages })
    }

    pub(super) const fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    pub(super) const fn passages(&self) -> usize {
        self.passages
    }
}

/// A question, ready to be searched for.
pub(super) struct Search {
    snapshot: Arc<Snapshot>,
    clauses: Vec<(Occur, Box<dyn Clause>)>,
    frequencies: HashMap<Term, u64>,
    filter: Option<Box<dyn Clause>>,
    limit: usize,
}

impl Search {
    /// Looks the words of a question up.
    pub(super) fn new(snapshot: Arc<Snapshot>, query: &Query) -> tantivy::Result<Self> {
        let Snapshot { fields, searcher, languages, .. } = &*snapshot;
        let filter = match &query.filter {
            Filter::Any => None,
            some => Some(filter::query(some, fields.facts)?),
        };
        let mut clauses = Vec::new();
        let mut frequencies = HashMap::new();
        for word in terms::question(&query.text, languages) {
            for field in [fields.text, fields.headings] {
                let boost = if field == fields.headings { HEADING_BOOST } else { 1.0 };
                add_word(searcher, field, boost, &word, &mut clauses, &mut frequencies)?;
            }
        }
        let limit = query.limit.get().min(snapshot.passages);
        Ok(Self { snapshot, clauses, frequencies, filter, limit })
    }

    /// Returns how many entries of the index have to be read: some nanoseconds each.
    pub(super) fn effort(&self) -> u64 {
        self.frequencies.values().sum()
    }

    /// Finds the passages, the best first and equal ones in the order in which they were put in.
    pub(super) fn run(self) -> tantivy::Result<Vec<Passage>> {
        let Self { snapshot, clauses, frequencies, filter, limit } = self;
        let Snapshot { fields, searcher, .. } = &*snapshot;
        if clauses.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut query: Box<dyn Clause> = Box::new(BooleanQuery::new(clauses));
        if let Some(filter) = filter {
            let filter: Box<dyn Clause> = Box::new(ConstScoreQuery::new(filter, 0.0));
            query = Box::new(BooleanQuery::new(vec![(Occur::Must, query), (Occur::Must, filter)]));
        }
        let in_order = (SortBySimilarityScore, (SortByStaticFastValue::<u64>::for_field(PLACE), Order::Asc));
        let best = searcher.search_with_statistics_provider(
            &*query,
            &TopDocs::with_limit(limit).order_by(in_order),
            &Statistics { searcher, frequencies },
        )?;
        let passage = |((score, _), address)| Ok(fields.passage(&searcher.doc::<TantivyDocument>(address)?, score));
        best.into_iter().map(passage).collect()
    }
}

/// Adds the terms of a word that some passage holds.
///
/// A word of a question is one word, whatever languages it is found in: all of its terms are as rare as it is.
fn add_word(
    searcher: &Searcher,
    field: Field,
    boost: f32,
    word: &Word,
    clauses: &mut Vec<(Occur, Box<dyn Clause>)>,
    frequencies: &mut HashMap<Term, u64>,
) -> tantivy::Result<()> {
    let mut found = Vec::new();
    let mut all = 0;
    for term in word {
        let term = Term::from_field_text(field, term);
        let frequency = searcher.doc_freq(&term)?;
        if frequency > 0 {
            all += frequency;
            found.push(term);
        }
    }
    for term in found {
        let mut clause: Box<dyn Clause> = Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs));
        if boost != 1.0 {
            clause = Box::new(BoostQuery::new(clause, boost));
        }
        clauses.push((Occur::Should, clause));
        frequencies.insert(term, all);
    }
    Ok(())
}

/// The index's own figures, but for how frequent the words of a question are.
struct Statistics<'a> {
    searcher: &'a Searcher,
    frequencies: HashMap<Term, u64>,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Bm25StatisticsProvider::total_num_tokens(self.searcher, field)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Bm25StatisticsProvider::total_num_docs(self.searcher)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        Ok(self.frequencies.get(term).copied().unwrap_or_default())
    }
}

/// Shows each term of a field in a segment, with the records that have it and were not taken out.
pub(super) fn for_each_term(
    segment: &SegmentReader,
    field: Field,
    mut show: impl FnMut(&[u8], &mut dyn Iterator<Item = DocId>) -> tantivy::Result<()>,
) -> tantivy::Result<()> {
    let index = segment.inverted_index(field)?;
    let mut terms = index.terms().stream()?;
    while terms.advance() {
        let mut postings = index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
        let mut alive = std::iter::from_fn(|| {
            while postings.doc() != tantivy::TERMINATED {
                let doc = postings.doc();
                postings.advance();
                if !segment.is_deleted(doc) {
                    return Some(doc);
                }
            }
            None
        });
        show(terms.key(), &mut alive)?;
    }
    Ok(())
}
