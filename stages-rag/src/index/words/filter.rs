use orchestrator_core::retrieval::Filter;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{TantivyError, Term};

use super::key;

/// Turns a filter into a query over the field of facts.
pub(super) fn query(filter: &Filter, facts: Field) -> tantivy::Result<Box<dyn Query>> {
    Ok(match filter {
        Filter::Any => Box::new(AllQuery),
        Filter::Is(key, value) => {
            let fact = Term::from_field_bytes(facts, &key::of_fact(key, value));
            Box::new(TermQuery::new(fact, IndexRecordOption::Basic))
        }
        Filter::All(filters) if filters.is_empty() => Box::new(AllQuery),
        Filter::All(filters) => clauses(Occur::Must, filters, facts)?,
        Filter::OneOf(filters) if filters.is_empty() => Box::new(EmptyQuery),
        Filter::OneOf(filters) => clauses(Occur::Should, filters, facts)?,
        Filter::Not(filter) => {
            let all: Box<dyn Query> = Box::new(AllQuery);
            Box::new(BooleanQuery::new(vec![(Occur::Must, all), (Occur::MustNot, query(filter, facts)?)]))
        }
        // Neither all nor nothing would be right.
        _ => return Err(TantivyError::InvalidArgument("a filter of a kind that is not known here".to_owned())),
    })
}

/// Returns how many conditions a filter is made of.
pub(super) fn leaves(filter: &Filter) -> usize {
    match filter {
        Filter::All(filters) | Filter::OneOf(filters) => filters.iter().map(leaves).sum(),
        Filter::Not(filter) => leaves(filter),
        _ => 1,
    }
}

fn clauses(occur: Occur, filters: &[Filter], facts: Field) -> tantivy::Result<Box<dyn Query>> {
    let clauses = filters.iter().map(|filter| Ok((occur, query(filter, facts)?)));
    Ok(Box::new(BooleanQuery::new(clauses.collect::<tantivy::Result<_>>()?)))
}
