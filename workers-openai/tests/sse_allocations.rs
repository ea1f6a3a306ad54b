//! What the decoder allocates.

use std::alloc::System;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use workers_openai::sse::SseDecoder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Chunks that share their bytes already, as those of an HTTP client do.
fn chunks(stream: &str, length: usize) -> Vec<Bytes> {
    let stream = Bytes::from(stream.to_owned());
    (0..stream.len()).step_by(length).map(|at| stream.slice(at..(at + length).min(stream.len()))).collect()
}

/// Returns the number of events and of allocations.
fn decode(decoder: &mut SseDecoder, chunks: Vec<Bytes>) -> (usize, usize) {
    let region = Region::new(ALLOCATOR);
    let mut events = 0;
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(event) = decoder.next_event() {
            assert!(!event.expect("no limit is near").data().is_empty());
            events += 1;
        }
    }
    (events, region.change().allocations)
}

// One test, as tests beside it would be counted.
#[test]
fn only_the_text_of_events_that_are_split_or_have_several_lines_is_allocated() {
    let event = "event: delta\nid: 7\ndata: {\"text\":\"the quick brown fox\"}\n\n";
    let mut decoder = SseDecoder::new();

    assert_eq!(decode(&mut decoder, chunks(&event.repeat(1_000), event.len())), (1_000, 0), "an event a chunk");
    assert_eq!(decode(&mut decoder, chunks(&event.repeat(1_000), 100 * event.len())), (1_000, 0), "100 events a chunk");

    // Each chunk ends in a data line: the first grows the buffers, then every event costs its text.
    let split = chunks(&event.repeat(1_000), event.len());
    let halves = || split.iter().flat_map(|chunk| [chunk.slice(..40), chunk.slice(40..)]).collect();
    assert_eq!(decode(&mut decoder, halves()).0, 1_000);
    assert_eq!(decode(&mut decoder, halves()), (1_000, 1_000), "a split event");

    let lines = "data: the quick\ndata: brown fox\n\n";
    assert_eq!(decode(&mut decoder, chunks(&lines.repeat(1_000), 10 * lines.len())), (1_000, 1_000), "two lines");
}
