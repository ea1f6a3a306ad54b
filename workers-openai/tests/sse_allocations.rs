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
fn decode(decoder: &mut SseDecoder, chunks: &[Bytes]) -> (usize, usize) {
    let region = Region::new(ALLOCATOR);
    let mut events = 0;
    for chunk in chunks {
        decoder.push(chunk.clone());
        while let Some(event) = decoder.next_event() {
            assert!(!event.expect("no limit is near").data().is_empty());
            events += 1;
        }
    }
    (events, region.change().allocations)
}

/// Returns the number of events, and the fewest allocations in several goes.
///
/// The test harness has a thread of its own, whose allocations are counted as well. And the first go grows the buffers.
fn fewest(chunks: &[Bytes]) -> (usize, usize) {
    let mut decoder = SseDecoder::new();
    (0..10).map(|_| decode(&mut decoder, chunks)).min_by_key(|(_, allocations)| *allocations).expect("ten goes")
}

// One test, as tests beside it would be counted.
#[test]
fn only_the_text_of_events_that_are_split_or_have_several_lines_is_allocated() {
    let event = "event: delta\nid: 7\ndata: {\"text\":\"the quick brown fox\"}\n\n";
    let whole = chunks(&event.repeat(1_000), event.len());
    assert_eq!(fewest(&whole), (1_000, 0), "an event a chunk");
    assert_eq!(fewest(&chunks(&event.repeat(1_000), 100 * event.len())), (1_000, 0), "100 events a chunk");

    let halves: Vec<_> = whole.iter().flat_map(|chunk| [chunk.slice(..40), chunk.slice(40..)]).collect();
    assert_eq!(fewest(&halves), (1_000, 1_000), "a split event");

    let lines = "data: the quick\ndata: brown fox\n\n";
    assert_eq!(fewest(&chunks(&lines.repeat(1_000), 10 * lines.len())), (1_000, 1_000), "two lines");
}
