use std::collections::BTreeMap;

/// Which passages count, by their metadata.
///
/// ```
/// use orchestrator_core::retrieval::{Filter, Passage, Source};
///
/// let passage = Passage::new("text", Source::new("a.md"), 0.0).with_metadata("tenant", "acme");
/// let acme_or_public = Filter::is("tenant", "acme").or(Filter::is("tenant", "public"));
/// assert!(acme_or_public.accepts(&passage.metadata));
/// assert!(!acme_or_public.and(!Filter::is("tenant", "acme")).accepts(&passage.metadata));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// All passages.
    #[default]
    Any,
    /// Those with this value under this key.
    Is(String, String),
    /// Those that every one of the filters accepts; all, where there is none.
    All(Vec<Self>),
    /// Those that one of the filters accepts; no passage, where there is none.
    OneOf(Vec<Self>),
    /// Those that the filter does not accept.
    Not(Box<Self>),
}

impl Filter {
    /// Accepts passages with this value under this key.
    pub fn is(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Is(key.into(), value.into())
    }

    /// Accepts what both accept.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::All(vec![self, other])
    }

    /// Accepts what one of them accepts.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::OneOf(vec![self, other])
    }

    /// Returns whether passages with this metadata count.
    #[must_use]
    pub fn accepts(&self, metadata: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(key, value) => metadata.get(key) == Some(value),
            Self::All(filters) => filters.iter().all(|filter| filter.accepts(metadata)),
            Self::OneOf(filters) => filters.iter().any(|filter| filter.accepts(metadata)),
            Self::Not(filter) => !filter.accepts(metadata),
        }
    }
}

/// Accepts what the filter does not.
impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_combine_as_sets_do() {
        let metadata = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        let (a, b, other) = (Filter::is("a", "1"), Filter::is("b", "2"), Filter::is("a", "2"));
        let accepts = |filter: Filter| filter.accepts(&metadata);
        assert!(accepts(Filter::default()) && accepts(a.clone()) && accepts(b.clone()) && !accepts(other.clone()));
        assert!(!accepts(Filter::is("c", "1")), "a key that is not there");
        assert!(accepts(a.clone().and(b.clone())) && !accepts(a.clone().and(other.clone())));
        assert!(accepts(other.clone().or(b)) && !accepts(other.clone().or(!a)));
        assert!(accepts(!other) && accepts(Filter::All(Vec::new())) && !accepts(Filter::OneOf(Vec::new())));
    }
}
