//! One event of an answer, as far as every token needs it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

/// The ids of a few tokens.
pub(super) type Ids = SmallVec<[u32; 4]>;

/// What [`wire::Completion`](crate::wire::Completion) keeps all of, without an allocation for text that has no escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow, default)]
    pub(super) content: Cow<'a, str>,
    #[serde(default)]
    pub(super) tokens: Ids,
    pub(super) stop: bool,
    /// Tokens of the answer so far, those included whose text is held back.
    #[serde(default)]
    pub(super) tokens_predicted: u64,
    /// How far the prompt is evaluated. An event that tells it has nothing of the answer, though it names a token.
    prompt_progress: Option<IgnoredAny>,
}

/// An event that is an error instead of a piece.
#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(rename = "error")]
    _error: IgnoredAny,
}

impl<'a> Piece<'a> {
    pub(super) fn parse(frame: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(frame)
    }

    /// Returns whether it tells how far the prompt is, and nothing of the answer.
    pub(super) const fn is_progress(&self) -> bool {
        self.prompt_progress.is_some()
    }
}

/// Returns whether a frame says that something failed.
pub(super) fn is_error(frame: &[u8]) -> bool {
    serde_json::from_slice::<Refusal>(frame).is_ok()
}

/// Counts the ids of an answer's tokens against the number of its tokens, and says which of them a text is made of.
///
/// An event names the last token only, also where the text is that of several, whose bytes were held back until a character was
/// complete. The ids of such a text are not known, and half of them would be worse than none.
#[derive(Debug, Default)]
pub(super) struct Tally {
    predicted: u64,
    /// Ids whose text has not come.
    waiting: Ids,
    /// A token was not told.
    gap: bool,
}

impl Tally {
    /// Takes a piece; where it has text, returns the ids of it, empty where they are not known.
    pub(super) fn take(&mut self, piece: &Piece<'_>) -> Option<Ids> {
        if piece.is_progress() {
            return None;
        }
        let came = piece.tokens_predicted.saturating_sub(self.predicted);
        self.predicted = piece.tokens_predicted;
        self.gap |= came != piece.tokens.len() as u64;
        self.waiting.extend_from_slice(&piece.tokens);
        if piece.content.is_empty() {
            return None;
        }
        let ids = std::mem::take(&mut self.waiting);
        Some(if std::mem::take(&mut self.gap) { Ids::new() } else { ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(tally: &mut Tally, event: &str) -> Option<Vec<u32>> {
        tally.take(&Piece::parse(event.as_bytes()).expect("a piece")).map(|ids| ids.to_vec())
    }

    #[test]
    fn a_text_of_several_tokens_has_all_their_ids_or_none() {
        let mut tally = Tally::default();
        let one = r#"{"content":"a","tokens":[7],"stop":false,"tokens_predicted":1}"#;
        assert_eq!(ids(&mut tally, one), Some(vec![7]));
        // Half of a character was held back.
        let two = r#"{"content":"\u00e9","tokens":[9],"stop":false,"tokens_predicted":3}"#;
        assert_eq!(ids(&mut tally, two), Some(vec![]));
        let next = r#"{"content":"b","tokens":[5],"stop":false,"tokens_predicted":4}"#;
        assert_eq!(ids(&mut tally, next), Some(vec![5]));
    }

    #[test]
    fn ids_wait_for_a_text_that_is_held_back() {
        let mut tally = Tally::default();
        let held = r#"{"content":"","tokens":[1],"stop":false,"tokens_predicted":1}"#;
        assert_eq!(ids(&mut tally, held), None);
        let more = r#"{"content":"ab","tokens":[2],"stop":false,"tokens_predicted":2}"#;
        assert_eq!(ids(&mut tally, more), Some(vec![1, 2]));
    }

    #[test]
    fn what_is_told_of_the_prompt_is_no_token() {
        let mut tally = Tally::default();
        let progress = r#"{"content":"","tokens":[0],"stop":false,"tokens_predicted":0,"prompt_progress":{"total":9,"processed":4}}"#;
        assert_eq!((ids(&mut tally, progress), ids(&mut tally, progress)), (None, None));
        let first = r#"{"content":"a","tokens":[7],"stop":false,"tokens_predicted":1}"#;
        assert_eq!(ids(&mut tally, first), Some(vec![7]));
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let piece =
            Piece::parse(br#"{"index":0,"content":"plain","tokens":[1],"stop":false,"id_slot":-1}"#).expect("a piece");
        assert!(matches!(piece.content, Cow::Borrowed("plain")));
    }

    #[test]
    fn errors_are_told_from_pieces() {
        assert!(is_error(br#"{"error":{"code":500,"message":"x","type":"server_error"}}"#));
        assert!(!is_error(br#"{"content":"error","stop":false}"#));
        assert!(Piece::parse(br#"{"error":{"code":500}}"#).is_err());
    }
}
