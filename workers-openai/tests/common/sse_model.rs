//! What an event stream means, as naively as the specification says it, and what must hold of the decoder.
//!
//! Tests and the fuzz target share this file.
#![allow(dead_code, reason = "each user needs some of it")]

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use workers_openai::sse::SseDecoder;

/// Data, name and last id of an event.
pub(crate) type Event = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);

/// What comes out of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) retry: Option<Duration>,
    /// Whether the limit was passed.
    pub(crate) failed: bool,
}

/// What the decoder makes of these chunks.
pub(crate) fn decoded(chunks: impl IntoIterator<Item = Bytes>, limit: NonZeroUsize) -> Outcome {
    let mut decoder = SseDecoder::with_limit(limit);
    let mut outcome = Outcome::default();
    for chunk in chunks {
        decoder.push(chunk);
        drain(&mut decoder, &mut outcome);
    }
    decoder.finish();
    drain(&mut decoder, &mut outcome);
    outcome.retry = decoder.retry();
    outcome
}

fn drain(decoder: &mut SseDecoder, outcome: &mut Outcome) {
    while let Some(next) = decoder.next_event() {
        assert!(!outcome.failed, "something comes after an error");
        match next {
            Ok(event) => {
                let owned = |bytes: &Bytes| bytes.to_vec();
                outcome.events.push((event.data().to_vec(), event.name().map(owned), event.id().map(owned)));
            }
            Err(error) => {
                assert!(error.limit().get() > 0);
                outcome.failed = true;
            }
        }
    }
}

/// What the specification makes of these bytes, with an unfinished event at the end handed out.
pub(crate) fn expected(stream: &[u8], limit: NonZeroUsize) -> Outcome {
    let mut outcome = Outcome::default();
    let (mut data, mut name, mut id) = (Vec::new(), Vec::new(), Vec::new());
    let lines = lines(stream);
    for (number, line) in lines.iter().enumerate() {
        if line.len() > limit.get() {
            outcome.failed = true;
            return outcome;
        }
        let line = if number == 0 { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) } else { line };
        if line.is_empty() {
            dispatch(&mut outcome, &mut data, &mut name, &id);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => data.extend([value, b"\n"].concat()),
            b"event" => name = value.to_vec(),
            b"id" if !value.contains(&0) => id = value.to_vec(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let number = std::str::from_utf8(value).expect("digits").parse();
                outcome.retry = number.ok().map(Duration::from_millis).or(outcome.retry);
            }
            _ => {}
        }
        if data.len().saturating_sub(1) > limit.get() {
            outcome.failed = true;
            return outcome;
        }
    }
    dispatch(&mut outcome, &mut data, &mut name, &id);
    outcome
}

fn dispatch(outcome: &mut Outcome, data: &mut Vec<u8>, name: &mut Vec<u8>, id: &[u8]) {
    let (mut data, name) = (std::mem::take(data), std::mem::take(name));
    if data.pop().is_some() {
        let filled = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
        outcome.events.push((data, filled(&name), filled(id)));
    }
}

/// The lines without their ends; the last is what no end follows, if anything.
fn lines(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("one").push(other),
        }
    }
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines
}

/// Cuts a stream into chunks of these lengths, over and over; each chunk has bytes of its own.
pub(crate) fn cut(mut stream: &[u8], lengths: &[usize]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut lengths = lengths.iter().cycle();
    // Without a length above zero the stream would never end.
    while !stream.is_empty() {
        let length = lengths.next().map_or(stream.len(), |length| *length).min(stream.len());
        let (chunk, rest) = stream.split_at(length);
        chunks.push(Bytes::copy_from_slice(chunk));
        stream = rest;
    }
    chunks
}

/// Holds the decoder to the specification: whole, byte by byte, cut like this, and pushed all at once without a look.
pub(crate) fn check(stream: &[u8], lengths: &[usize], limit: NonZeroUsize) {
    let expected = expected(stream, limit);
    for lengths in [&[] as &[usize], &[1], lengths] {
        assert_eq!(decoded(cut(stream, lengths), limit), expected, "cut by {lengths:?}");
    }
    let mut decoder = SseDecoder::with_limit(limit);
    cut(stream, lengths).into_iter().for_each(|chunk| decoder.push(chunk));
    let mut outcome = Outcome::default();
    drain(&mut decoder, &mut outcome);
    decoder.finish();
    drain(&mut decoder, &mut outcome);
    outcome.retry = decoder.retry();
    assert_eq!(outcome, expected, "pushed at once");
}

/// Reads a limit, lengths and a stream out of a fuzzer's bytes, and checks them.
pub(crate) fn check_input(input: &[u8]) {
    let Some(([limit, count], rest)) = input.split_first_chunk() else { return };
    // Small, so that it is met; or none to speak of.
    let limit = NonZeroUsize::new(usize::from(*limit)).unwrap_or(NonZeroUsize::MAX);
    let Some((lengths, stream)) = rest.split_at_checked(usize::from(*count % 16)) else { return };
    // Above zero, now and then an empty chunk.
    let lengths: Vec<usize> = lengths.iter().flat_map(|l| [usize::from(*l), usize::from(*l % 7) + 1]).collect();
    check(stream, &lengths, limit);
}
