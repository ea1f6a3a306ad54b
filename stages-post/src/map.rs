//! A closure as a filter.

use std::borrow::Cow;
use std::sync::Arc;

use crate::filter::{Filtered, TextFilter};

/// Maps each piece by itself with a closure that all requests share.
pub(crate) struct MapText<F>(pub(crate) Arc<F>);

impl<F> TextFilter for MapText<F>
where
    F: Fn(&str) -> Cow<'_, str> + Send + Sync + 'static,
{
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let mapped = (self.0)(text);
        // Told by its content: a borrowed text may be a part of the piece, or another text altogether.
        if mapped == text {
            return Filtered::Unchanged;
        }
        match mapped {
            Cow::Borrowed(text) => out.push_str(text),
            // Taken as it is rather than copied; the stage's buffer goes in exchange.
            Cow::Owned(text) => *out = text,
        }
        Filtered::Changed
    }

    fn flush(&mut self, _out: &mut String) {}

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(map: impl Fn(&str) -> Cow<'_, str> + Send + Sync + 'static, text: &str) -> Option<String> {
        let mut out = String::new();
        match MapText(Arc::new(map)).push(text, &mut out) {
            Filtered::Unchanged => None,
            Filtered::Changed => Some(out),
            Filtered::End(_) => panic!("it ends nothing"),
        }
    }

    #[test]
    fn unchanged_is_told_by_the_content() {
        assert_eq!(push(|text| text.into(), "a"), None);
        assert_eq!(push(|text| text.to_owned().into(), "a"), None);
        assert_eq!(push(|text| text.replace('a', "b").into(), "a"), Some("b".to_owned()));
        assert_eq!(push(|_| "b".into(), "a"), Some("b".to_owned()));
        assert_eq!(push(|text| text[1..].into(), "ab"), Some("b".to_owned()));
        assert_eq!(push(|_| "".into(), "a"), Some(String::new()));
    }
}
