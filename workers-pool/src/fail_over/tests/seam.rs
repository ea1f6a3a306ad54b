use orchestrator_core::token::TextDelta;
use proptest::prelude::*;

use super::model::{Fault, Model};
use super::*;
use crate::FailOver;

/// Deltas of one or several tokens, and tokens whose text comes with the next.
fn deltas() -> impl Strategy<Value = Vec<TextDelta>> {
    let text = proptest::sample::select(vec!["a", "b ", "é", "🦊", " \n", "ab", ""]);
    let delta = (text, proptest::collection::vec(0..9_u32, 1..4));
    let made = |(text, ids): (&str, Vec<u32>)| TextDelta::new(text).with_token_ids(&ids);
    proptest::collection::vec(delta.prop_map(made), 1..12)
}

/// Each token of an answer has its own number, so that a place is known by the ids before it.
fn numbered(deltas: Vec<TextDelta>, tells_ids: bool) -> Vec<TextDelta> {
    let mut next = 0;
    let mut number = |delta: TextDelta| {
        let count = delta.token_ids().len() as u32;
        next += count;
        let ids: Vec<_> = (next - count..next).collect();
        TextDelta::new(delta.text()).with_token_ids(if tells_ids { &ids } else { &[] })
    };
    deltas.into_iter().map(&mut number).collect()
}

proptest! {
    #[test]
    fn no_token_is_lost_or_doubled_wherever_it_breaks(
        deltas in deltas(),
        cuts in proptest::collection::vec(0..12_usize, 0..6),
        tells_ids: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let faults: Vec<_> = cuts.iter().map(|after| Fault::After(*after, Some(stalled()))).collect();
            let model = Model::saying(numbered(deltas, tells_ids)).faults(faults);
            let read = ask(&FailOver::new(model.clone()), plain()).await;
            prop_assert_eq!(&read.text, &model.text());
            prop_assert!(read.end.is_ok());
            Ok(())
        })?;
    }
}
