//! From chunks to lines.

use std::num::NonZeroUsize;

use bytes::{Bytes, BytesMut};

use super::SseError;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A line, without its end.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// The chunk that the line lies in, unless it came in several.
    pub(super) chunk: Option<&'a Bytes>,
}

/// Cuts chunks into lines. A line that lies in one chunk is not copied.
#[derive(Debug)]
pub(super) struct Lines {
    chunk: Bytes,
    /// Where in the chunk the next line begins.
    at: usize,
    /// What earlier chunks hold of that line.
    carried: Vec<u8>,
    /// Whether `carried` is a whole line, which has been handed out.
    spent: bool,
    /// Whether the last line ended with a CR: a LF behind it belongs to that end.
    after_cr: bool,
    /// Whether a line has been handed out, so that no byte order mark can come.
    started: bool,
    limit: NonZeroUsize,
}

impl Lines {
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self { chunk: Bytes::new(), at: 0, carried: Vec::new(), spent: false, after_cr: false, started: false, limit }
    }

    /// Takes a chunk. What is left of the one before is put in front of it.
    pub(super) fn push(&mut self, chunk: Bytes) {
        let left = &self.chunk[self.at..];
        self.chunk = if left.is_empty() { chunk } else { joined(left, &chunk) };
        self.at = 0;
    }

    /// Returns the next line whose end has come; keeps the beginning of one that has none yet.
    #[inline]
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, SseError> {
        self.begin();
        let start = self.at;
        let rest = &self.chunk[start..];
        let end = line_end(rest);
        let length = end.unwrap_or(rest.len());
        if self.carried.len() + length > self.limit.get() {
            return Err(SseError { limit: self.limit });
        }
        let Some(length) = end else {
            self.carried.extend_from_slice(rest);
            self.release();
            return Ok(None);
        };
        self.after_cr = rest[length] == b'\r';
        self.at = start + length + 1;
        Ok(Some(self.hand_out(start, length)))
    }

    /// Returns the line that the end of the stream cuts off, if one has begun. To be called when `next_line` has no more.
    pub(super) fn unfinished(&mut self) -> Option<Line<'_>> {
        self.begin();
        let line = self.hand_out(self.at, 0);
        (!line.bytes.is_empty()).then_some(line)
    }

    /// Lets go of the chunk.
    pub(super) fn release(&mut self) {
        self.chunk = Bytes::new();
        self.at = 0;
    }

    /// Forgets the line before, and the second byte of its end.
    #[inline]
    fn begin(&mut self) {
        if self.spent {
            self.carried.clear();
            self.spent = false;
        }
        if self.after_cr && self.at < self.chunk.len() {
            self.at += usize::from(self.chunk[self.at] == b'\n');
            self.after_cr = false;
        }
    }

    /// Makes a line of what is carried and `length` bytes of the chunk.
    #[inline]
    fn hand_out(&mut self, start: usize, length: usize) -> Line<'_> {
        let here = &self.chunk[start..start + length];
        let line = if self.carried.is_empty() {
            Line { bytes: here, chunk: Some(&self.chunk) }
        } else {
            self.carried.extend_from_slice(here);
            self.spent = true;
            Line { bytes: &self.carried, chunk: None }
        };
        if std::mem::replace(&mut self.started, true) { line } else { line.without_bom() }
    }
}

impl Line<'_> {
    fn without_bom(self) -> Self {
        Self { bytes: self.bytes.strip_prefix(BOM).unwrap_or(self.bytes), ..self }
    }
}

/// Finds the CR or LF that ends the first line.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        // Every other line is blank: the search need not even start.
        b'\n' | b'\r' => Some(0),
        _ => memchr::memchr2(b'\n', b'\r', bytes),
    }
}

fn joined(left: &[u8], chunk: &[u8]) -> Bytes {
    let mut both = BytesMut::with_capacity(left.len() + chunk.len());
    both.extend_from_slice(left);
    both.extend_from_slice(chunk);
    both.freeze()
}
