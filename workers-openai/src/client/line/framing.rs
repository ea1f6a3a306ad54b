use std::io;

use bytes::{Buf, Bytes, BytesMut};

/// How the end of a body is told, and how far it has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// By the end of the connection.
    Closing,
}

/// What comes next of a body in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// The line that tells the length of a chunk.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The end of its line.
    DataEnd,
    /// The lines behind the last chunk, which may be so long together.
    Trailers(usize),
    Nothing,
}

/// What was taken of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A slice of what has come; never empty.
    Data(Bytes),
    /// More has to come first.
    Missing,
    /// The body is over; what else has come is no part of it.
    End,
}

/// How long a line may be that tells the length of a chunk; what stands behind the length means nothing to us.
const SIZE_LINE: usize = 4 * 1024;

/// How long all trailers may be together, of which none is needed.
const TRAILERS: usize = 16 * 1024;

impl Framing {
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunked::Size)
    }

    /// Takes what comes next.
    ///
    /// # Errors
    ///
    /// Invalid data, where it is no chunk.
    pub(super) fn take(&mut self, received: &mut BytesMut) -> io::Result<Piece> {
        match self {
            Self::Length(0) => Ok(Piece::End),
            Self::Length(left) => Ok(part(left, received)),
            Self::Chunked(chunked) => chunked.take(received),
            Self::Closing if received.is_empty() => Ok(Piece::Missing),
            Self::Closing => Ok(Piece::Data(received.split().freeze())),
        }
    }
}

impl Chunked {
    fn take(&mut self, received: &mut BytesMut) -> io::Result<Piece> {
        loop {
            match self {
                Self::Size => {
                    let Some(end) = line(received, SIZE_LINE)? else { return Ok(Piece::Missing) };
                    let size = size(&received[..end])?;
                    received.advance(end + 2);
                    *self = if size == 0 { Self::Trailers(TRAILERS) } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let piece = part(left, received);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(piece);
                }
                Self::DataEnd => {
                    let Some(end) = received.get(..2) else { return Ok(Piece::Missing) };
                    if end != b"\r\n" {
                        return Err(not_http("a chunk that is longer than it says"));
                    }
                    received.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers(most) => {
                    let Some(end) = line(received, *most)? else { return Ok(Piece::Missing) };
                    received.advance(end + 2);
                    *self = if end == 0 { Self::Nothing } else { Self::Trailers(most.saturating_sub(end)) };
                }
                Self::Nothing => return Ok(Piece::End),
            }
        }
    }
}

/// Takes what has come of so many bytes, and counts it off.
fn part(left: &mut u64, received: &mut BytesMut) -> Piece {
    if received.is_empty() {
        return Piece::Missing;
    }
    let most = usize::try_from(*left).unwrap_or(usize::MAX);
    let data = received.split_to(most.min(received.len())).freeze();
    *left -= data.len() as u64;
    Piece::Data(data)
}

/// Returns how long the next line is, without its end, if that has come.
fn line(received: &[u8], most: usize) -> io::Result<Option<usize>> {
    match memchr::memchr(b'\n', &received[..received.len().min(most + 2)]) {
        Some(at) if at > 0 && received[at - 1] == b'\r' => Ok(Some(at - 1)),
        Some(_) => Err(not_http("a line without its end")),
        None if received.len() > most + 1 => Err(not_http("a line that is too long")),
        None => Ok(None),
    }
}

/// Reads the length of a chunk; extensions behind it are passed over.
fn size(line: &[u8]) -> io::Result<u64> {
    let digits = line.iter().position(|&byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at(digits);
    let has_end = matches!(rest.trim_ascii_start().first(), None | Some(b';'));
    let significant = digits.iter().skip_while(|&&digit| digit == b'0').count();
    if digits.is_empty() || significant > 15 || !has_end {
        return Err(not_http("a chunk without a length"));
    }
    Ok(digits.iter().fold(0, |size, &digit| size << 4 | u64::from(nibble(digit))))
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        // The letters' upper and lower forms differ in one bit above the four.
        _ => (digit & 0xf) + 9,
    }
}

/// Makes the error of what is not HTTP.
pub(super) fn not_http(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a body that comes in pieces; returns it, and what has come behind it.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let (mut received, mut body) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            received.extend_from_slice(piece);
            loop {
                match framing.take(&mut received)? {
                    Piece::Data(data) => {
                        assert!(!data.is_empty());
                        body.extend_from_slice(&data);
                    }
                    Piece::Missing => break,
                    Piece::End => return Ok(Some((body, received.to_vec()))),
                }
            }
        }
        Ok(None)
    }

    fn chunks(wire: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        read(Framing::chunked(), &[wire])
    }

    #[test]
    fn a_length_ends_a_body() {
        let read = |pieces| read(Framing::Length(5), pieces).expect("a body");
        assert_eq!(read(&[b"abc", b"defg"]), Some((b"abcde".into(), b"fg".into())));
        assert_eq!(read(&[b"abcd"]), None);
        assert_eq!(super::tests::read(Framing::Closing, &[b"abcd", b"e"]).expect("a body"), None);
    }

    #[test]
    fn lengths_of_chunks_are_hexadecimal_with_whatever_behind_them() {
        let body = |text: &str| Some((text.into(), Vec::new()));
        assert_eq!(chunks(b"1\r\na\r\n0\r\n\r\n").expect("chunks"), body("a"));
        assert_eq!(chunks(b"00a;x=\"y\"\r\n0123456789\r\n0;z\r\n\r\n").expect("chunks"), body("0123456789"));
        assert_eq!(chunks(b"A \r\n0123456789\r\n000\r\na: b\r\nc: d\r\n\r\n").expect("chunks"), body("0123456789"));
        assert_eq!(chunks(b"00000000000000001\r\na\r\n0\r\n\r\n").expect("chunks"), body("a"));
        assert_eq!(chunks(b"0\r\n\r\nrest").expect("chunks"), Some((Vec::new(), b"rest".into())));
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        let long = [b"1;", &[b'x'; SIZE_LINE][..]].concat();
        let trailers = [b"0\r\n", "a: b\r\n".repeat(TRAILERS).as_bytes()].concat();
        let bad: [&[u8]; 11] = [
            b"\r\n",
            b"g\r\n",
            b"-1\r\na\r\n",
            b"0x1\r\na\r\n",
            b"1 1\r\na\r\n",
            b"1\na\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n0\r\n\r\n",
            b"1000000000000000\r\n",
            &long,
            &trailers,
        ];
        for wire in bad {
            let kind = chunks(wire).expect_err("no chunks").kind();
            assert_eq!(kind, io::ErrorKind::InvalidData, "{}", wire.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn a_body_is_the_same_however_it_is_cut(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            rest in prop::collection::vec(any::<u8>(), 0..5),
            cut in 1..9usize,
        ) {
            let mut wire = Vec::new();
            for part in &parts {
                wire.extend(format!("{:X};e\r\n", part.len()).bytes());
                wire.extend(part);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\nt: u\r\n\r\n");
            let end = wire.len();
            wire.extend(&rest);
            let pieces: Vec<&[u8]> = wire.chunks(cut).collect();
            let (body, behind) = read(Framing::chunked(), &pieces).expect("chunks").expect("an end");
            prop_assert_eq!(body, parts.concat());
            prop_assert!(wire[end..].starts_with(&behind));
            prop_assert_eq!(read(Framing::chunked(), &[&wire[..end - 1]]).expect("chunks"), None);
        }

        #[test]
        fn nothing_that_comes_is_too_much(wire in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = chunks(&wire);
            let _ = super::super::head::Head::take(&mut wire[..].into());
        }
    }
}
