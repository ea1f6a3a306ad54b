//! White space at the two ends of an answer.

use crate::boundary::ceil;
use crate::filter::{Filtered, TextFilter};

/// The most bytes of white space that are held back.
const WINDOW: usize = 1024;

/// Makes the whole answer what `str::trim` would make of it, except for the beginning of very much white space at its end.
///
/// White space behind text is held back until more text follows, as nobody knows yet whether the answer ends there: the last
/// [`WINDOW`] bytes of it, what is before goes on.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// Some text has been seen that is not white space.
    started: bool,
    /// White space behind the text so far.
    held: String,
}

impl Trim {
    /// Takes in more white space; what is too much goes on.
    fn hold(&mut self, space: &str, out: &mut String) {
        let excess = (self.held.len() + space.len()).saturating_sub(WINDOW);
        let of_held = ceil(&self.held, excess);
        out.extend(self.held.drain(..of_held));
        let (goes_on, held) = space.split_at(ceil(space, excess - excess.min(of_held)));
        out.push_str(goes_on);
        self.held.push_str(held);
    }
}

impl TextFilter for Trim {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let rest = if self.started { text } else { text.trim_start() };
        let body = rest.trim_end();
        if body.is_empty() {
            self.hold(rest, out);
            return Filtered::Changed;
        }
        self.started = true;
        if self.held.is_empty() && body.len() == text.len() {
            return Filtered::Unchanged;
        }
        out.push_str(&self.held);
        out.push_str(body);
        self.held.clear();
        self.hold(&rest[body.len()..], out);
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
    fn no_more_white_space_than_the_window_is_held() {
        for piece in [" ", "\u{3000}", "\n \u{3000}\t", &" \u{3000}".repeat(3_000)] {
            let mut trim = Trim::default();
            let mut whole = push(&mut trim, "a").unwrap_or_else(|| "a".to_owned());
            let rounds = 10_000 / piece.len() + 1;
            for _ in 0..rounds {
                whole += &push(&mut trim, piece).expect("white space is held, or comes late");
                assert!(trim.held.capacity() <= 2 * WINDOW, "{} bytes", trim.held.capacity());
            }
            let all = format!("a{}", piece.repeat(rounds));
            assert_eq!(whole, all[..ceil(&all, all.len() - WINDOW)], "however it is cut");
            whole += &push(&mut trim, "b").expect("what was held");
            assert_eq!(whole, all + "b");
        }
    }

    #[test]
    fn a_reset_forgets_what_was_held_and_that_there_was_text() {
        let mut trim = Trim::default();
        assert_eq!(push(&mut trim, "void "), Some("void".to_owned()));
        trim.reset();
        assert_eq!(push(&mut trim, " new"), Some("new".to_owned()));
    }
}
