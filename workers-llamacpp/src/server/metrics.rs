//! The few figures of `/metrics` that we know what to do with.

/// Figures of a server since it started, or now; `None` is what it does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Metrics {
    pub(super) processing: Option<u64>,
    pub(super) deferred: Option<u64>,
    /// Tokens of prompts that were evaluated.
    pub(super) evaluated: Option<u64>,
    /// Tokens of prompts that were in the cache.
    pub(super) cached: Option<u64>,
}

impl Metrics {
    /// Reads the text format of Prometheus, of which the server uses lines without labels and times.
    pub(super) fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(' ') else { continue };
            let figure = match name {
                "llamacpp:requests_processing" => &mut metrics.processing,
                "llamacpp:requests_deferred" => &mut metrics.deferred,
                "llamacpp:prompt_tokens_total" => &mut metrics.evaluated,
                "llamacpp:prompt_tokens_cached_total" => &mut metrics.cached,
                _ => continue,
            };
            *figure = count(value);
        }
        metrics
    }
}

/// Large counts are written as `1.5e+06`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is no count saturates")]
fn count(value: &str) -> Option<u64> {
    let value: f64 = value.trim().parse().ok()?;
    (value >= 0.0).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_figures_are_read() {
        let text = "# HELP llamacpp:requests_processing Number of requests processing\n\
                    # TYPE llamacpp:requests_processing gauge\n\
                    llamacpp:requests_processing 2\nllamacpp:requests_deferred 0\nllamacpp:prompt_tokens_total 1.5e+06\n\
                    llamacpp:requests_processing_else 9\nnonsense\n";
        let read = Metrics::parse(text);
        let expected = Metrics { processing: Some(2), deferred: Some(0), evaluated: Some(1_500_000), cached: None };
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_count_is_not_told() {
        for odd in ["NaN", "-1", "", "many"] {
            assert_eq!(count(odd), None, "{odd}");
        }
    }
}
