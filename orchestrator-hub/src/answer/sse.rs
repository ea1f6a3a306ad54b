//! Events on the wire. What they hold cannot end them: JSON has no line breaks but escaped ones, and a frame is cut at its own.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

/// Writes an event.
pub(crate) fn data(data: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    serde_json::to_writer(out.writer(), data).expect("objects with text keys are JSON, and memory takes all of it");
    out.put_slice(b"\n\n");
}

/// Writes an event with a name, which has no line break.
pub(crate) fn named(name: &str, value: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\n");
    data(value, out);
}

/// Hands a server's frame on. One that was sent in several lines is sent so again: a line break would end it.
pub(crate) fn frame(raw: &[u8], out: &mut BytesMut) {
    out.reserve(raw.len() + 8);
    let mut rest = raw;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest);
        out.put_slice(b"data: ");
        out.put_slice(&rest[..end.unwrap_or(rest.len())]);
        out.put_slice(b"\n");
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => break,
        }
    }
    out.put_slice(b"\n");
}

/// Writes what a stream of OpenAI's ends with.
pub(crate) fn done(out: &mut BytesMut) {
    out.put_slice(b"data: [DONE]\n\n");
}
