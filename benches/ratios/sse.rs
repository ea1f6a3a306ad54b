//! The decoder of event streams on a recorded stream, in the chunks that the server sent.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventsource_stream::Eventsource as _;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use workers_openai::sse::SseDecoder;

use crate::harness::{Goal, Harness, median};
use crate::traces;

/// Number of events, and bytes of their data.
type Read = (usize, usize);

fn ours(chunks: &[Bytes]) -> Read {
    let mut decoder = SseDecoder::new();
    let mut read = (0, 0);
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(event) = decoder.next_event() {
            read.0 += 1;
            read.1 += std::hint::black_box(event.expect("no limit is near")).data().len();
        }
    }
    read
}

fn theirs(chunks: &[Bytes]) -> Read {
    let events = stream::iter(chunks).map(|chunk| Ok::<_, Infallible>(chunk.clone())).eventsource();
    let sum = events.fold((0, 0), async |read, event| {
        (read.0 + 1, read.1 + std::hint::black_box(event.expect("UTF-8")).data.len())
    });
    sum.now_or_never().expect("everything is ready")
}

/// Bytes per second.
fn speed(time: Duration, chunks: &[Bytes], read: fn(&[Bytes]) -> Read) -> f64 {
    let length: usize = chunks.iter().map(Bytes::len).sum();
    let started = Instant::now();
    let mut bytes = 0;
    while started.elapsed() < time {
        read(chunks);
        bytes += length;
    }
    bytes as f64 / started.elapsed().as_secs_f64()
}

pub(crate) fn run(harness: &mut Harness) {
    if !harness.wants("sse/") {
        return;
    }
    let chunks = traces::load("vllm/long_stream_full").chunks;
    let read = ours(&chunks);
    assert!(read.0 > 1_000, "{} events", read.0);
    assert_eq!(read, theirs(&chunks));

    let time = harness.round_time() / 4;
    let pairs = harness.pairs(|| speed(time, &chunks, theirs), || speed(time, &chunks, ours));
    harness.ratio(
        "sse/against eventsource-stream",
        Goal::AtLeast(5.0),
        pairs.iter().map(|(theirs, ours)| ours / theirs),
    );
    let mut speeds: Vec<f64> = pairs.iter().map(|(_, ours)| ours / 1e9).collect();
    harness.line("sse/GB per s", median(&mut speeds), Goal::AtLeast(1.0), pairs.len());
}
