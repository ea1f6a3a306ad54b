//! What holds for any text, however it is cut into pieces.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use orchestrator_core::prelude::*;
use orchestrator_core::token::TextDelta;
use proptest::prelude::*;
use stages_post::{Filtered, PostStage, TextFilter};

/// Runs `deltas` and a terminal event through `stage`.
fn run(stage: &PostStage, deltas: &[TextDelta]) -> Vec<TokenEvent> {
    let cx = Context::standalone(RequestOptions::new());
    let texts = deltas.iter().cloned().map(TokenEvent::Text);
    let events: Vec<_> = texts.chain([TokenEvent::finish(FinishReason::Stop, Usage::default())]).map(Ok).collect();
    let source = TokenStream::from_stream(stream::iter(events));
    let run = stage.run(&cx, source).now_or_never().expect("it does not wait");
    let mut filtered = run.expect("it does not fail");
    let mut out = Vec::new();
    while let Some(event) = filtered.next().now_or_never().expect("everything is ready") {
        out.push(event.expect("no error"));
    }
    out
}

fn joined<'a>(events: impl IntoIterator<Item = &'a TokenEvent>) -> String {
    events.into_iter().map(TokenEvent::text).collect()
}

/// Pieces with much white space of several widths, numbered by their token ids and raw frames.
fn pieces() -> impl Strategy<Value = Vec<TextDelta>> {
    prop::collection::vec("[ \n\t\u{3000}abé.]{0,5}", 0..12).prop_map(|texts| {
        let number = |(i, text): (usize, String)| {
            TextDelta::new(text).with_token_ids(&[i as u32]).with_raw(Bytes::from(i.to_string()))
        };
        texts.into_iter().enumerate().map(number).collect()
    })
}

/// Holds back half of what it has seen, so that its pieces are never those that it got.
#[derive(Default)]
struct Lag(String);

impl TextFilter for Lag {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        self.0.push_str(text);
        let half = self.0.chars().count() / 2;
        out.extend(self.0.chars().take(half));
        self.0 = self.0.chars().skip(half).collect();
        Filtered::Changed
    }

    fn flush(&mut self, out: &mut String) {
        out.push_str(&self.0);
    }

    fn reset(&mut self) {
        self.0.clear();
    }
}

proptest! {
    #[test]
    fn trimming_a_stream_is_trimming_its_text(deltas in pieces()) {
        let whole: String = deltas.iter().map(TextDelta::text).collect();
        let out = run(&PostStage::new().trim(), &deltas);
        prop_assert_eq!(joined(&out), whole.trim());
        let (last, texts) = out.split_last().expect("a terminal event");
        prop_assert!(last.is_terminal());
        prop_assert!(texts.iter().all(|event| !event.text().is_empty()));
    }

    #[test]
    fn ids_and_frame_stay_only_with_the_text_that_they_came_with(deltas in pieces()) {
        for event in run(&PostStage::new().trim().map_text(|text| text.into()), &deltas) {
            let TokenEvent::Text(delta) = event else { continue };
            match delta.token_ids() {
                [] => prop_assert!(delta.raw().is_none()),
                ids => prop_assert_eq!(&delta, &deltas[ids[0] as usize]),
            }
        }
    }

    #[test]
    fn a_piece_that_trim_leaves_alone_is_the_piece_that_came(words in prop::collection::vec("[ \n]?[aé.]{1,3}", 1..12)) {
        let delta = |(i, text): (usize, &String)| TextDelta::new(text.as_str()).with_token_ids(&[i as u32]);
        let deltas: Vec<_> = words.iter().enumerate().map(delta).collect();
        let out = run(&PostStage::new().trim(), &deltas);
        prop_assert_eq!(out.len(), deltas.len() + 1);
        for (event, delta) in out.iter().zip(&deltas).skip(1) {
            prop_assert_eq!(event, &TokenEvent::Text(delta.clone()));
        }
    }

    #[test]
    fn a_filter_sees_all_text_in_order(deltas in pieces()) {
        let whole: String = deltas.iter().map(TextDelta::text).collect();
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = seen.clone();
        let stage = PostStage::new().filter(Lag::default).map_text(move |text| {
            sink.lock().expect("no panic").push_str(text);
            text.into()
        });
        prop_assert_eq!(joined(&run(&stage, &deltas)), whole.clone());
        let seen = seen.lock().expect("no panic").clone();
        prop_assert_eq!(seen, whole);
    }
}
