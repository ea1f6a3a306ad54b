//! One test for each rule of the specification, and for where this decoder differs.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;

use super::{SseDecoder, SseError, SseEvent};

/// What comes out of these chunks, without an end of the stream.
fn events(decoder: &mut SseDecoder, chunks: &[&'static [u8]]) -> Vec<Result<SseEvent, SseError>> {
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::from_static(chunk));
        events.extend(std::iter::from_fn(|| decoder.next_event()));
    }
    events
}

/// The data of what comes out.
fn data(chunks: &[&'static [u8]]) -> Vec<Bytes> {
    let events = events(&mut SseDecoder::new(), chunks);
    events.into_iter().map(|event| event.expect("no limit is near").into_data()).collect()
}

/// The data of what comes out when the stream ends.
fn rest(chunks: &[&'static [u8]]) -> Option<Bytes> {
    let mut decoder = SseDecoder::new();
    assert_eq!(events(&mut decoder, chunks), []);
    decoder.finish();
    let rest = decoder.next_event().map(|event| event.expect("no limit is near").into_data());
    assert_eq!(decoder.next_event(), None);
    rest
}

#[test]
fn lines_end_with_lf_cr_or_both() {
    assert_eq!(data(&[b"data: a\n\ndata: b\r\rdata: c\r\n\r\ndata: d\r\n\n"]), ["a", "b", "c", "d"]);
}

#[test]
fn an_event_ends_with_a_cr_before_it_is_known_whether_an_lf_follows() {
    assert_eq!(data(&[b"data: a\r\r"]), ["a"]);
    // The LF belongs to the CR of the chunk before: it is no blank line of its own.
    assert_eq!(data(&[b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n"]), ["a\nb"]);
}

#[test]
fn the_lines_of_data_are_joined_by_line_feeds() {
    assert_eq!(data(&[b"data: YHOO\ndata: +2\ndata: 10\n\n"]), ["YHOO\n+2\n10"]);
    assert_eq!(data(&[b"data: a\n", b"data: b", b"c\n\ndata: d\n\n"]), ["a\nbc", "d"]);
}

#[test]
fn empty_data_is_an_event_and_no_data_is_none() {
    assert_eq!(data(&[b"data\n\ndata\ndata\n\ndata:\n\nevent: x\n\nid: 1\n\n\n\n"]), ["", "\n", ""]);
}

#[test]
fn one_space_after_the_colon_is_dropped() {
    assert_eq!(data(&[b"data:a\n\ndata: a\n\ndata:  a\n\ndata:\ta\n\n"]), ["a", "a", " a", "\ta"]);
}

#[test]
fn comments_and_unknown_fields_are_ignored() {
    assert_eq!(data(&[b": keep-alive\n\n:\ndata: a\nfoo: b\n Data: c\ndata : d\n: e\n\n"]), ["a"]);
}

#[test]
fn a_byte_order_mark_is_dropped_at_the_start_only() {
    assert_eq!(data(&[b"\xEF\xBB\xBFdata: a\n\n"]), ["a"]);
    assert_eq!(data(&[b"\xEF", b"\xBB", b"\xBFdata: a\n\n"]), ["a"]);
    assert_eq!(data(&[b"\n\xEF\xBB\xBFdata: a\n\n"]), Vec::<Bytes>::new());
    assert_eq!(data(&[b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n"]), Vec::<Bytes>::new());
}

#[test]
fn a_name_is_of_its_own_event_only() {
    let events =
        events(&mut SseDecoder::new(), &[b"event: a\nevent: ping\ndata\n\ndata\n\nevent: b\n\nevent:\ndata\n\n"]);
    let names: Vec<_> = events.iter().map(|event| event.as_ref().expect("an event").name()).collect();
    assert_eq!(names, [Some(&Bytes::from("ping")), None, None]);
}

#[test]
fn an_id_stays_until_the_next() {
    let stream = b"data\n\nid: 1\ndata\n\ndata\n\nid: a\0b\ndata\n\nid: 2\n\ndata\n\nid\ndata\n\n";
    let events = events(&mut SseDecoder::new(), &[stream]);
    let ids: Vec<_> = events.iter().map(|event| event.as_ref().expect("an event").id().cloned()).collect();
    let [one, two] = ["1", "2"].map(|id| Some(Bytes::from(id)));
    // One with a NUL is ignored, and an empty one takes the id away.
    assert_eq!(ids, [None, one.clone(), one.clone(), one, two, None]);
}

#[test]
fn the_time_to_wait_is_digits() {
    let mut decoder = SseDecoder::new();
    events(&mut decoder, &[b"retry: 1x\nretry: +3\nretry:\nretry: 99999999999999999999\n"]);
    assert_eq!(decoder.retry(), None);
    events(&mut decoder, &[b"retry: 3000\nretry: -1\n"]);
    assert_eq!(decoder.retry(), Some(Duration::from_secs(3)));
}

#[test]
fn data_in_one_chunk_is_a_slice_of_it() {
    let chunk: &'static [u8] = b"event: a\ndata: fox\n\ndata: quick\n\n";
    let events = events(&mut SseDecoder::new(), &[chunk]);
    for event in events.into_iter().map(|event| event.expect("an event")) {
        assert!(chunk.as_ptr_range().contains(&event.data().as_ptr()), "{event:?}");
    }
    // An event may lie in several chunks, as long as its line of data doesn't.
    let chunk: &'static [u8] = b"data: fox\n";
    assert_eq!(data(&[b"event: a\n", chunk, b"\n"])[0].as_ptr(), chunk[6..].as_ptr());
}

#[test]
fn what_the_end_cuts_off_is_handed_out_if_it_has_data() {
    assert_eq!(rest(&[b"data: a"]).expect("one"), "a");
    assert_eq!(rest(&[b"data: a\n"]).expect("one"), "a");
    assert_eq!(rest(&[b"data: a\nda"]).expect("one"), "a");
    assert_eq!(rest(&[b"da", b"ta: a\r"]).expect("one"), "a");
    assert_eq!(rest(&[b"data"]).expect("one"), "");
    assert_eq!(rest(&[b"event: a\nid: 1\ndat"]), None);
    assert_eq!(rest(&[b"\xEF\xBB\xBF"]), None);
    assert_eq!(rest(&[]), None);
}

#[test]
fn nothing_is_taken_after_the_end() {
    let mut decoder = SseDecoder::new();
    decoder.push(Bytes::from_static(b"data: a\n\ndata: b"));
    decoder.finish();
    decoder.push(Bytes::from_static(b"c\n\n"));
    let events: Vec<_> =
        std::iter::from_fn(|| decoder.next_event()).map(|event| event.expect("one").into_data()).collect();
    assert_eq!(events, ["a", "b"]);
}

#[test]
fn chunks_may_be_pushed_before_events_are_taken() {
    let mut decoder = SseDecoder::new();
    for chunk in [&b"data: a\n\nda"[..], b"ta: b\r", b"\n\r\n"] {
        decoder.push(Bytes::from_static(chunk));
    }
    let events: Vec<_> =
        std::iter::from_fn(|| decoder.next_event()).map(|event| event.expect("one").into_data()).collect();
    assert_eq!(events, ["a", "b"]);
}

/// What comes out with a limit of eight bytes: data, or the limit that was passed.
fn limited(chunks: &[&'static [u8]]) -> Vec<Result<Bytes, usize>> {
    let mut decoder = SseDecoder::with_limit(NonZeroUsize::new(8).expect("not zero"));
    let mut events = events(&mut decoder, chunks);
    decoder.finish();
    events.extend(std::iter::from_fn(|| decoder.next_event()));
    events.into_iter().map(|event| event.map(SseEvent::into_data).map_err(|error| error.limit().get())).collect()
}

#[test]
fn a_line_above_the_limit_ends_the_stream() {
    assert_eq!(limited(&[b"data: ab\n\ndata: abc\n\ndata: d\n\n"]), [Ok(Bytes::from("ab")), Err(8)]);
    assert_eq!(limited(&[b"data", b": ab", b"\n\n", b"data: ", b"ab", b"c", b"\n\n"]), [Ok(Bytes::from("ab")), Err(8)]);
    // Before its end has come, whether it is a comment or anything else.
    assert_eq!(limited(&[b": 345678", b"9"]), [Err(8)]);
}

#[test]
fn data_above_the_limit_ends_the_stream() {
    assert_eq!(limited(&[b"data:12\ndata:34\ndata:56\n\n"]), [Ok(Bytes::from("12\n34\n56"))]);
    assert_eq!(limited(&[b"data:12\ndata:34\ndata:567\n\n"]), [Err(8)]);
    assert_eq!(limited(&[b"data:12\ndata:34\n", b"data:567"]), [Err(8)]);
    assert_eq!(limited(&[&b"data\n".repeat(9).leak()[..]]), [Ok(Bytes::from("\n".repeat(8)))]);
    assert_eq!(limited(&[&b"data\n".repeat(10).leak()[..]]), [Err(8)]);
}

#[test]
fn comments_without_end_are_no_event_that_grows() {
    assert_eq!(limited(&[b": beat\n".repeat(100).leak(), b"data: a\n\n"]), [Ok(Bytes::from("a"))]);
}

#[test]
fn the_error_names_the_limit() {
    let mut decoder = SseDecoder::with_limit(NonZeroUsize::MIN);
    decoder.push(Bytes::from_static(b"data"));
    let error = decoder.next_event().expect("an error").expect_err("above the limit");
    assert_eq!(error.to_string(), "event exceeds the limit of 1 bytes");
}
