use std::collections::BTreeMap;

/// A server's metrics, as Prometheus' text format and OpenMetrics write them, summed over their labels.
///
/// Servers write one sample for each engine, each model and each reason; a worker wants the figure of the server. What is no
/// sample, or no number, is passed over: metrics are told at best effort, and no answer depends on them.
///
/// ```
/// use workers_openai::client::Metrics;
///
/// let text = "\
/// ## HELP running Requests that are worked on.
/// running{engine=\"0\"} 3.0
/// running{engine=\"1\"} 1.0
/// cache_use{engine=\"0\"} 0.5
/// cache_use{engine=\"1\"} 0.25
/// ";
/// let metrics = Metrics::read(text);
/// assert_eq!(metrics.count("running"), Some(4));
/// assert_eq!(metrics.mean("cache_use"), Some(0.375));
/// assert_eq!(metrics.count("waiting"), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Metrics<'a>(BTreeMap<&'a str, Samples>);

/// All samples of one name.
#[derive(Debug, Clone, Copy, Default)]
struct Samples {
    sum: f64,
    count: u32,
}

impl<'a> Metrics<'a> {
    /// Reads all samples of a text.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let mut by_name = BTreeMap::<_, Samples>::new();
        for (name, value) in text.lines().filter_map(sample) {
            let samples = by_name.entry(name).or_default();
            samples.sum += value;
            samples.count += 1;
        }
        Self(by_name)
    }

    /// Returns the sum of all samples of a name, for whatever is counted; `None` where there is none, or where it is less
    /// than nothing.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        let sum = self.0.get(name)?.sum;
        // Counts are whole, though they are written as floats; above 2^64 the highest number there is.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no sign, and saturates")]
        (sum >= 0.0).then(|| sum.round() as u64)
    }

    /// Returns the mean of all samples of a name, for what is a part of something; `None` where there is none.
    #[must_use]
    pub fn mean(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|samples| samples.sum / f64::from(samples.count))
    }
}

/// Reads `name{labels} value`; a time or an example may stand behind it.
fn sample(line: &str) -> Option<(&str, f64)> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    let rest = rest.strip_prefix('{').map_or(Some(rest), behind_labels)?;
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, value))
}

/// What stands behind the brace that closes the labels; in a quoted value a brace closes nothing.
fn behind_labels(labels: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in labels.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return labels.get(at + 1..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_hold_whatever_they_want() {
        let text = concat!(
            "a{path=\"}\\\"} 7\",other=\"#\"} 1 1795220835000\n",
            "a{ model = \"x y\" , } 2.0 # {trace=\"1\"} 9\n",
            "  a 4e0\r\n",
            "a\t8\n",
        );
        assert_eq!(Metrics::read(text).count("a"), Some(15));
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        let text = "\n#\n# TYPE a counter\na\na \na{b=\"c\n a{b=\"c\"}\na one\n{} 3\na NaN\na +Inf\n<html> 5\nä{ö=\"ü\"} 6\na 2";
        let metrics = Metrics::read(text);
        assert_eq!((metrics.count("a"), metrics.mean("a")), (Some(2), Some(2.0)));
        assert_eq!(metrics.count("ä"), Some(6));
        assert_eq!(Metrics::read("").count("a"), None);
    }

    #[test]
    fn counts_are_whole_and_not_below_nothing() {
        let metrics = Metrics::read("below -1\nlarge 1e300\nhalf 1.7952208350613587e+09");
        let counts = ["below", "large", "half"].map(|name| metrics.count(name));
        assert_eq!(counts, [None, Some(u64::MAX), Some(1_795_220_835)]);
    }
}
