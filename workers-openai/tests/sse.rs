//! The decoder against the specification, on recorded streams and on soup.

#[path = "common/sse_model.rs"]
mod model;
#[path = "common/traces.rs"]
mod traces;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;

use model::{check, check_input, cut, decoded, expected};

const NO_LIMIT: NonZeroUsize = NonZeroUsize::MAX;

/// The bodies of all recorded streams.
static STREAMS: LazyLock<Vec<(String, Bytes)>> = LazyLock::new(|| {
    let streams = traces::all().into_iter().filter(|trace| trace.event_stream);
    streams.map(|trace| (trace.name.clone(), trace.response())).collect()
});

#[test]
fn every_recorded_stream_is_read_as_the_specification_says_however_it_is_cut() {
    for (name, stream) in &*STREAMS {
        let events = expected(stream, NO_LIMIT).events;
        assert!(events.len() > 4, "{name} has {} events", events.len());
        check(stream, &[1460], NO_LIMIT);
    }
}

#[test]
fn every_recorded_stream_is_read_as_its_server_sent_it() {
    for trace in traces::all().into_iter().filter(|trace| trace.event_stream) {
        assert_eq!(decoded(trace.chunks.clone(), NO_LIMIT), expected(&trace.response(), NO_LIMIT), "{}", trace.name);
    }
}

#[test]
fn every_cut_in_two_gives_the_same_events() {
    let short = STREAMS.iter().filter(|(_, stream)| stream.len() < 3_000);
    let mut count = 0;
    for (name, stream) in short {
        let expected = expected(stream, NO_LIMIT);
        for at in 1..stream.len() {
            let halves = [stream.slice(..at), stream.slice(at..)];
            assert_eq!(decoded(halves, NO_LIMIT), expected, "{name} cut at {at}");
        }
        count += 1;
    }
    assert!(count > 5, "{count} short streams");
}

#[test]
fn what_the_fuzzer_found_worth_keeping_still_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sse");
    let mut count = 0;
    for file in std::fs::read_dir(corpus).expect("the corpus") {
        check_input(&std::fs::read(file.expect("a file").path()).expect("an input"));
        count += 1;
    }
    assert!(count > 200, "{count} inputs");
}

/// Pieces that mean something to the decoder, and some that don't.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\n"[..]), 2 => Just(&b"\r"[..]), 2 => Just(&b"\r\n"[..]),
        3 => Just(&b"data"[..]), 2 => Just(&b"data: "[..]), 1 => Just(&b"event"[..]), 1 => Just(&b"id"[..]),
        1 => Just(&b"retry: 12"[..]), 1 => Just(&b"retry"[..]), 2 => Just(&b":"[..]), 2 => Just(&b" "[..]),
        1 => Just(&b"\0"[..]), 1 => Just(&b"\xEF\xBB\xBF"[..]), 1 => Just(&b"\xEF\xBB"[..]), 1 => Just(&b"\xBF"[..]),
        2 => Just(&b"{\"a\":1}"[..]), 1 => Just(&b"99999999999999999999"[..]), 1 => Just(&b"+1"[..]),
        1 => Just(&b"Data"[..]), 1 => Just(&b"\x80"[..]),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Lengths of chunks, some of them empty.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    (proptest::collection::vec(0usize..20, 0..8), 1usize..20).prop_map(|(mut lengths, last)| {
        lengths.push(last);
        lengths
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn soup_is_read_as_the_specification_says(stream in soup(), lengths in lengths()) {
        check(&stream, &lengths, NO_LIMIT);
    }

    #[test]
    fn the_limit_is_met_at_the_same_place_however_the_stream_is_cut(
        stream in soup(), lengths in lengths(), limit in 1usize..40,
    ) {
        check(&stream, &lengths, NonZeroUsize::new(limit).expect("not zero"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn recorded_streams_cut_anywhere_give_the_same_events(
        which in any::<prop::sample::Index>(), lengths in proptest::collection::vec(1usize..2_000, 1..40),
    ) {
        let (name, stream) = which.get(&STREAMS);
        prop_assert_eq!(decoded(cut(stream, &lengths), NO_LIMIT), expected(stream, NO_LIMIT), "{}", name);
    }
}
