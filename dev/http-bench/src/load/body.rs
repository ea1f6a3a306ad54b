use std::io;

/// Reads the body of an answer as it comes, and counts the events of a stream: empty lines in what the chunks hold.
#[derive(Debug)]
pub(crate) struct Body {
    rest: Rest,
    events: usize,
    /// The last byte of the stream was the end of a line.
    line_ended: bool,
}

/// What is to come.
#[derive(Debug)]
enum Rest {
    /// So many bytes.
    Length(usize),
    /// The length of a chunk, of which this has come.
    Size(usize),
    /// What is left of the line that says the length of a chunk.
    Extension(usize),
    /// So many bytes of a chunk.
    Chunk(usize),
    /// The end of a chunk's line.
    ChunkEnd,
    /// The line behind the last chunk, with so many bytes in it so far.
    Trailer(usize),
    Nothing,
}

impl Body {
    pub(crate) const fn chunked() -> Self {
        Self { rest: Rest::Size(0), events: 0, line_ended: false }
    }

    pub(super) const fn of_length(length: usize) -> Self {
        let rest = if length == 0 { Rest::Nothing } else { Rest::Length(length) };
        Self { rest, events: 0, line_ended: false }
    }

    /// Events so far.
    pub(crate) const fn events(&self) -> usize {
        self.events
    }

    /// Whether all has come.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Takes what has come; fails where that is no chunk, or where more has come than there ought to be.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = self.step(bytes)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn step(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.rest {
            Rest::Length(left) => Ok(self.content(bytes, left, Rest::Length, Rest::Nothing)),
            Rest::Chunk(left) => Ok(self.content(bytes, left, Rest::Chunk, Rest::ChunkEnd)),
            Rest::Nothing => Err(io::Error::other("more came than the answer has")),
            _ => self.framing(bytes[0]).map(|()| 1),
        }
    }

    fn content(&mut self, bytes: &[u8], left: usize, more: fn(usize) -> Rest, then: Rest) -> usize {
        let taken = left.min(bytes.len());
        self.count(&bytes[..taken]);
        self.rest = if taken == left { then } else { more(left - taken) };
        taken
    }

    /// Counts line ends right behind line ends.
    fn count(&mut self, content: &[u8]) {
        let mut line = 0;
        for end in memchr::memchr_iter(b'\n', content) {
            let empty = end == line && (line > 0 || self.line_ended);
            self.events += usize::from(empty);
            line = end + 1;
        }
        self.line_ended = content.last() == Some(&b'\n');
    }

    fn framing(&mut self, byte: u8) -> io::Result<()> {
        self.rest = match (&self.rest, byte) {
            (Rest::Size(0) | Rest::Extension(0), b'\n') => Rest::Trailer(0),
            (Rest::Size(size) | Rest::Extension(size), b'\n') => Rest::Chunk(*size),
            (Rest::Size(size), b'\r' | b';') | (Rest::Extension(size), _) => Rest::Extension(*size),
            (Rest::Size(size), digit) => Rest::Size(size * 16 + hex(digit)?),
            (Rest::ChunkEnd, b'\n') => Rest::Size(0),
            (Rest::ChunkEnd, _) => Rest::ChunkEnd,
            (Rest::Trailer(0), b'\n') => Rest::Nothing,
            (Rest::Trailer(_), b'\n') => Rest::Trailer(0),
            (Rest::Trailer(length), b'\r') => Rest::Trailer(*length),
            (Rest::Trailer(length), _) => Rest::Trailer(length + 1),
            (Rest::Length(_) | Rest::Chunk(_) | Rest::Nothing, _) => return Err(io::Error::other("not framing")),
        };
        Ok(())
    }
}

fn hex(digit: u8) -> io::Result<usize> {
    let digit = char::from(digit).to_digit(16).ok_or_else(|| io::Error::other("the length of a chunk is no number"))?;
    Ok(digit as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &[u8] = b"b\r\ndata: one\n\n\r\n5;x=1\r\ndata:\r\n7\r\n two\n\nd\r\n4\r\nata\n\r\n1\r\n\n\r\n0\r\n\r\n";

    #[test]
    fn events_are_counted_however_the_stream_is_cut() {
        for size in 1..WIRE.len() {
            let mut body = Body::chunked();
            for piece in WIRE.chunks(size) {
                assert!(!body.is_over());
                body.take(piece).expect("chunks");
            }
            assert!(body.is_over());
            assert_eq!(body.events(), 3, "in pieces of {size}");
        }
    }

    #[test]
    fn a_body_of_a_length_is_over_with_it() {
        let mut body = Body::of_length(4);
        body.take(b"{\n\n").expect("a part");
        assert!(!body.is_over());
        body.take(b"}").expect("the rest");
        assert!(body.is_over());
        assert!(body.take(b" ").is_err());
        assert!(Body::of_length(0).is_over());
    }

    #[test]
    fn a_length_that_is_no_number_is_refused() {
        assert!(Body::chunked().take(b"data").is_err());
    }
}
