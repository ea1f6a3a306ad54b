//! What the frames of an answer have in common.

use crate::chunk::Choice;

/// Everything in a frame but its text.
///
/// Most servers send the same frame again and again, with another text in it. Where a frame is byte for byte the one before,
/// but for what stands between two quotes, and that is plain text, parsing it would give what the one before gave, but for the
/// text. So it is not parsed: comparing takes a tenth of the time.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Up to the text's first quote and with it; empty where nothing has been learnt.
    before: Vec<u8>,
    /// From the text's last quote on.
    after: Vec<u8>,
}

impl Template {
    /// Learns from a frame of which the text is all that matters.
    pub(super) fn learn(&mut self, frame: &[u8], choice: &Choice<'_>) {
        let Some((start, end)) = place(frame, choice.content()) else { return };
        self.before.clear();
        self.before.extend_from_slice(&frame[..start]);
        self.after.clear();
        self.after.extend_from_slice(&frame[end..]);
    }

    /// Returns the text of a frame that differs from what was learnt in nothing else.
    pub(super) fn text<'a>(&self, frame: &'a [u8]) -> Option<&'a str> {
        if self.before.is_empty() {
            return None;
        }
        let text = frame.strip_prefix(self.before.as_slice())?.strip_suffix(self.after.as_slice())?;
        // A string of JSON that is what it says: nothing escaped, and no end of it on the way.
        let is_plain = text.iter().all(|byte| *byte >= b' ' && !matches!(byte, b'"' | b'\\'));
        if is_plain { std::str::from_utf8(text).ok() } else { None }
    }
}

/// Where in the frame the text stands, if it stands there as it is, between quotes.
fn place(frame: &[u8], text: &str) -> Option<(usize, usize)> {
    let start = text.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
    let end = start.checked_add(text.len())?;
    let quotes = (frame.get(start.checked_sub(1)?)?, frame.get(end)?);
    (quotes == (&b'"', &b'"')).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::Chunk;

    fn learnt(frame: &str) -> Template {
        let mut template = Template::default();
        let chunk = Chunk::parse(frame.as_bytes()).expect("a chunk");
        template.learn(frame.as_bytes(), &chunk.choices()[0]);
        template
    }

    #[test]
    fn the_same_frame_with_another_text_is_known() {
        let template = learnt(r#"{"choices":[{"text":"a"}],"id":"a"}"#);
        assert_eq!(template.text(r#"{"choices":[{"text":" é b"}],"id":"a"}"#.as_bytes()), Some(" é b"));
        assert_eq!(template.text(r#"{"choices":[{"text":""}],"id":"a"}"#.as_bytes()), Some(""));
    }

    #[test]
    fn any_other_frame_is_not() {
        let template = learnt(r#"{"choices":[{"text":"a"}]}"#);
        for frame in [
            r#"{"choices":[{"text":"\n"}]}"#,
            r#"{"choices":[{"text":"a","finish_reason":"stop"}]}"#,
            r#"{"choices":[{"text":"a"}],"usage":{"prompt_tokens":1},"x":[{"y":"a"}]}"#,
            r#"{"choices":[{"text":"a"}],"id":"b"}"#,
            r#"{"choices":[{"text":"#,
            "{\"choices\":[{\"text\":\"\n\"}]}",
            "[DONE]",
        ] {
            assert_eq!(template.text(frame.as_bytes()), None, "{frame}");
        }
        assert_eq!(template.text(b"{\"choices\":[{\"text\":\"\xff\"}]}"), None);
        assert_eq!(Template::default().text(b""), None);
        assert_eq!(learnt(r#"{"choices":[{"text":"\u0061"}]}"#).text(br#"{"choices":[{"text":"a"}]}"#), None);
    }

    proptest! {
        #[test]
        fn what_is_known_is_what_parsing_gives(text in any::<String>(), raw in "[a-z\"\\\\,:{}\\[\\]\u{0}-\u{1f}é]{0,12}") {
            let template = learnt(r#"{"choices":[{"index":0,"text":"a","finish_reason":null}],"id":"x"}"#);
            let written = serde_json::to_string(&text).expect("a string");
            for literal in [written, format!("\"{raw}\"")] {
                let frame = format!(r#"{{"choices":[{{"index":0,"text":{literal},"finish_reason":null}}],"id":"x"}}"#);
                if let Some(known) = template.text(frame.as_bytes()) {
                    let chunk = Chunk::parse(frame.as_bytes()).expect("a chunk");
                    let choice = &chunk.choices()[0];
                    prop_assert_eq!(known, choice.content());
                    prop_assert!(choice.finish_reason().is_none() && chunk.choices().len() == 1);
                }
            }
        }
    }
}
