//! Where a text may be cut.

/// Returns the last place at or before `at` that is not inside of a character.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    if text.is_char_boundary(at) {
        return at;
    }
    // A character has at most four bytes.
    (at.saturating_sub(3)..=at).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// Returns the first place at or behind `at` that is not inside of a character.
pub(crate) fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len())
}

/// The most bytes of a piece that are worked through at once, so that the work on a large one is no more than on many small
/// ones.
const BLOCK: usize = 256;

/// Splits a piece that is not empty into a block and what is behind it.
pub(crate) fn block(text: &str) -> (&str, &str) {
    text.split_at(floor(text, BLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut() {
        let text = "a\u{1F600}é";
        let floors: Vec<usize> = (0..10).map(|at| floor(text, at)).collect();
        assert_eq!(floors, [0, 1, 1, 1, 1, 5, 5, 7, 7, 7]);
    }
}
