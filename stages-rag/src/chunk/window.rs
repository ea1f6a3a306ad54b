use std::ops::Range;

/// The most bytes that a splitter is given at once.
///
/// It looks at the rest of its text for every chunk: two megabytes on one line took it sixty times as long in one piece.
/// A section longer than this is cut at a paragraph all the same.
const WINDOW: usize = 32 * 1024;

/// Divides a stretch of a document into windows: at a blank line where there is one, else at a line, else at a space.
pub(super) fn windows(document: &str, stretch: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = stretch.start;
    std::iter::from_fn(move || {
        let rest = &document[start..stretch.end];
        if rest.is_empty() {
            return None;
        }
        let window = start..start + first(rest);
        start = window.end;
        Some(window)
    })
}

/// The length of the first window; above zero.
fn first(rest: &str) -> usize {
    if rest.len() <= WINDOW {
        return rest.len();
    }
    let end = (0..=WINDOW).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
    let window = &rest[..end];
    let after = |separator: &str| window.rfind(separator).map(|at| at + separator.len());
    after("\n\n").or_else(|| after("\n")).or_else(|| after(" ")).unwrap_or(window.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Vec<usize> {
        let windows: Vec<_> = windows(text, 0..text.len()).collect();
        assert_eq!(windows.iter().map(|w| &text[w.clone()]).collect::<String>(), text);
        windows.iter().map(ExactSizeIterator::len).collect()
    }

    #[test]
    fn what_fits_is_one_window() {
        assert_eq!(lengths(&"x".repeat(WINDOW)), [WINDOW]);
        assert_eq!(lengths(""), [0; 0]);
    }

    #[test]
    fn windows_end_at_paragraphs_then_lines_then_words_then_characters() {
        let fill = |n: usize| "x".repeat(n);
        let paragraphs = format!("{}\n\n{}\n{}", fill(10), fill(10), fill(WINDOW));
        assert_eq!(lengths(&paragraphs)[0], 12);
        let lines = format!("{} x\n{} {}", fill(10), fill(10), fill(WINDOW));
        assert_eq!(lengths(&lines)[0], 13);
        let words = format!("{} {} {}", fill(10), fill(10), fill(WINDOW));
        assert_eq!(lengths(&words)[0], 22);
        assert_eq!(lengths(&"世".repeat(WINDOW / 2)), [WINDOW - 2, WINDOW / 2 * 3 - (WINDOW - 2)]);
    }
}
