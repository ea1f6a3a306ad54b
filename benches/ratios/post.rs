//! What the filters of the post stage cost: per token where they change nothing, per byte where they look for secrets.

use std::task::Poll;
use std::time::Instant;

use futures_util::FutureExt as _;
use prompt_orchestrator::post::Redaction;
use prompt_orchestrator::prelude::*;

use crate::harness::{Goal, Harness, median};

/// English prose with some numbers, an address and a telephone number.
const PROSE: &str = "\
The archive was moved to its present building in 1931, when the old mill by the river could no longer hold it. Three floors \
of shelves take up some 4,200 metres; the reading room has 36 desks, each with a lamp of its own. Whoever wants to see a \
document fills in a slip, and waits, on most days, for less than a quarter of an hour.\n\n\
What is kept there? Above all the papers of the town: tax rolls since 1642, the minutes of the council, plans of streets that \
were never built. A second part came from families who had no room, or no heirs. The catalogue lists 118,904 items, and its \
editors believe that one in twenty is still missing from it. Questions are answered by post or under archive@example.org, \
not on the telephone (030 5550 1234), which is answered between 9:30 and 11:00 only.\n\n\
In 2019 a pipe burst on the second floor. Water ran down 14 shelves before anybody noticed; of the 2,317 volumes that were \
soaked, all but 12 were frozen within two days, dried over the following 18 months, and put back. The cost came to 1.3 \
million, most of which the insurance paid. Since then every room has a sensor, and a list on its door that says what is \
to be carried out first.\n\n";

const BYTES: usize = 4 << 20;

/// The prose, again and again, in pieces of the sizes that `size` tells, cut between characters.
fn pieces(size: impl Fn(usize) -> usize) -> Vec<&'static str> {
    let mut pieces = Vec::new();
    let mut bytes = 0;
    while bytes < BYTES {
        let mut rest = PROSE;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(size(pieces.len()).min(rest.len()));
            pieces.push(piece);
            bytes += piece.len();
            rest = behind;
        }
    }
    pieces
}

/// Like the tokens of a model: 4 to 8 bytes.
fn tokens() -> Vec<&'static str> {
    pieces(|number| 4 + number * 7 % 5)
}

fn source(pieces: &'static [&'static str]) -> TokenStream {
    let mut rest = pieces.iter();
    let mut over = false;
    TokenStream::from_stream(futures_util::stream::poll_fn(move |_| {
        Poll::Ready(match rest.next() {
            Some(piece) => Some(Ok(TokenEvent::text_delta(*piece))),
            None if over => None,
            None => {
                over = true;
                Some(Ok(TokenEvent::finish(FinishReason::Stop, Usage::default())))
            }
        })
    }))
}

/// Seconds to read the pieces, through the stage if there is one.
fn read(pieces: &'static [&'static str], stage: Option<&PostStage>) -> f64 {
    let started = Instant::now();
    let mut stream = source(pieces);
    if let Some(stage) = stage {
        let cx = Context::standalone(RequestOptions::new());
        stream = stage.run(&cx, stream).now_or_never().expect("it does not wait").expect("it does not fail");
    }
    let mut bytes = 0;
    while let Some(event) = stream.next().now_or_never().expect("everything is ready") {
        bytes += std::hint::black_box(event.expect("no error").text().len());
    }
    assert!(bytes > BYTES / 2, "the text comes out");
    started.elapsed().as_secs_f64()
}

pub(crate) fn run(harness: &mut Harness) {
    let pieces: &'static [&'static str] = tokens().leak();
    if harness.wants("post/unchanged") {
        let stage = PostStage::new().stop_sequences(["<|im_end|>", "\n\nHuman:"]).max_bytes(usize::MAX);
        let pairs = harness.pairs(|| read(pieces, None), || read(pieces, Some(&stage)));
        let mut added: Vec<f64> = pairs.iter().map(|(bare, ours)| (ours - bare) * 1e9 / pieces.len() as f64).collect();
        let added = median(&mut added);
        harness.line("post/unchanged ns per token", added, Goal::AtMost(120.0), pairs.len());
    }
    let large: &'static [&'static str] = self::pieces(|_| 1024).leak();
    let eight = || {
        // One for addresses, three for telephone numbers, one for cards, and three of our own.
        Redaction::new()
            .emails()
            .phones()
            .cards()
            .pattern("customer", "CUST-[0-9]{6}")
            .pattern("account", "[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}")
            .pattern("ticket", "#[0-9]{4,9}")
    };
    redact(harness, "post/redact 1 KiB MB/s", eight(), large, Goal::AtLeast(100.0));
    // In small pieces most of the time is what each event costs, whatever is looked for.
    redact(harness, "post/redact tokens MB/s", eight(), pieces, Goal::None);
    redact(harness, "post/redact all presets MB/s", Redaction::all(), pieces, Goal::None);
}

/// How much text a second redaction looks through: by the time that it adds to the bare stream.
fn redact(harness: &mut Harness, name: &str, rules: Redaction, pieces: &'static [&'static str], goal: Goal) {
    if !harness.wants(name) {
        return;
    }
    let stage = PostStage::new().redact(rules);
    let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
    let pairs = harness.pairs(|| read(pieces, None), || read(pieces, Some(&stage)));
    let mut rates: Vec<f64> = pairs.iter().map(|(bare, ours)| bytes as f64 / (ours - bare) / 1e6).collect();
    let rate = median(&mut rates);
    harness.line(name, rate, goal, pairs.len());
}
