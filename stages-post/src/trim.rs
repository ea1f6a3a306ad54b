//! White space at the two ends of an answer.

use crate::filter::{Filtered, TextFilter};

/// Makes the whole answer what `str::trim` would make of it.
///
/// White space behind text is held back until more text follows, as nobody knows yet whether the answer ends there.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// Some text has been seen that is not white space.
    started: bool,
    /// White space behind the text so far.
    held: String,
}

impl TextFilter for Trim {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let rest = if self.started { text } else { text.trim_start() };
        let body = rest.trim_end();
        if body.is_empty() {
            self.held.push_str(rest);
            return Filtered::Changed;
        }
        self.started = true;
        if self.held.is_empty() && body.len() == text.len() {
            return Filtered::Unchanged;
        }
        out.push_str(&self.held);
        out.push_str(body);
        self.held.clear();
        self.held.push_str(&rest[body.len()..]);
        Filtered::Changed
    }

    fn flush(&mut self, _out: &mut String) {
        self.held.clear();
    }

    fn reset(&mut self) {
        self.started = false;
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(trim: &mut Trim, text: &str) -> Option<String> {
        let mut out = String::new();
        match trim.push(text, &mut out) {
            Filtered::Unchanged => None,
            Filtered::Changed => Some(out),
            Filtered::End(_) => panic!("it ends nothing"),
        }
    }

    #[test]
    fn only_the_ends_of_the_answer_are_trimmed() {
        let mut trim = Trim::default();
        assert_eq!(push(&mut trim, " \n"), Some(String::new()));
        assert_eq!(push(&mut trim, "\u{3000}To "), Some("To".to_owned()));
        assert_eq!(push(&mut trim, "\n"), Some(String::new()));
        assert_eq!(push(&mut trim, "be"), Some(" \nbe".to_owned()));
        assert_eq!(push(&mut trim, " or not"), None);
        assert_eq!(push(&mut trim, "\n"), Some(String::new()));
        let mut out = String::new();
        trim.flush(&mut out);
        assert_eq!(out, "");
    }

    #[test]
    fn a_reset_forgets_what_was_held_and_that_there_was_text() {
        let mut trim = Trim::default();
        assert_eq!(push(&mut trim, "void "), Some("void".to_owned()));
        trim.reset();
        assert_eq!(push(&mut trim, " new"), Some("new".to_owned()));
    }
}
