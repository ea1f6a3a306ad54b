use std::io;
use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{ParserConfig, Status};

use super::framing::{Framing, not_http};

/// How many headers are taken.
const HEADERS: usize = 100;

/// How long a head may be.
const LONGEST: usize = 128 * 1024;

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the server keeps the connection behind the body.
    pub(super) keeps: bool,
}

impl Head {
    /// Takes the head of the final response, if it has come; interim ones before it are passed over.
    ///
    /// # Errors
    ///
    /// Invalid data, where it is none, or too long.
    pub(super) fn take(received: &mut BytesMut) -> io::Result<Option<Self>> {
        while !received.is_empty() {
            let Some((length, head)) = parse(received)? else { return Ok(None) };
            received.advance(length);
            match head.status {
                StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(not_http("another protocol, which nobody has asked for"));
                }
                status if status.is_informational() => {}
                _ => return Ok(Some(head)),
            }
        }
        Ok(None)
    }
}

/// Reads a head; returns how long it is as well.
fn parse(received: &[u8]) -> io::Result<Option<(usize, Head)>> {
    let mut room = [MaybeUninit::uninit(); HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, received, &mut room);
    match parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
        Status::Complete(length) => Ok(Some((length, read(&response)?))),
        Status::Partial if received.len() > LONGEST => Err(not_http("a head that is too long")),
        Status::Partial => Ok(None),
    }
}

fn read(response: &httparse::Response<'_, '_>) -> io::Result<Head> {
    let invalid = |_| not_http("a head that cannot be");
    let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| not_http("no status"))?;
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in &*response.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| not_http("a header without a name"))?;
        headers.append(name, HeaderValue::from_bytes(header.value).map_err(invalid)?);
    }
    let is_old = response.version == Some(0);
    let framing = framing(status, &headers)?;
    let keeps = !matches!(framing, Framing::Closing) && keeps(&headers, is_old);
    Ok(Head { status, headers, framing, keeps })
}

/// How the body's end is told, of an answer to a `GET` or a `POST`.
fn framing(status: StatusCode, headers: &HeaderMap) -> io::Result<Framing> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        // None but that one was asked for.
        let mut codings = tokens(headers, &TRANSFER_ENCODING);
        let is_chunked = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        return if is_chunked && codings.next().is_none() {
            Ok(Framing::chunked())
        } else {
            Err(not_http("a transfer coding that is not known"))
        };
    }
    let mut lengths = tokens(headers, &CONTENT_LENGTH);
    let Some(length) = lengths.next() else { return Ok(Framing::Closing) };
    if lengths.any(|other| other != length) {
        return Err(not_http("two lengths of one body"));
    }
    decimal(length).map(Framing::Length).ok_or_else(|| not_http("a length that is no number"))
}

fn keeps(headers: &HeaderMap, is_old: bool) -> bool {
    let says = |what: &str| tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(what.as_bytes()));
    // A body with two ends is one to be careful with.
    let is_doubtful = headers.contains_key(TRANSFER_ENCODING) && (is_old || headers.contains_key(CONTENT_LENGTH));
    !is_doubtful && !says("close") && (!is_old || says("keep-alive"))
}

/// The items of a list that may be spread over several headers.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(wire: &str) -> io::Result<Option<Head>> {
        Head::take(&mut wire.replace('\n', "\r\n").as_bytes().into())
    }

    #[track_caller]
    fn told(wire: &str) -> (Framing, bool) {
        let head = head(wire).expect("HTTP").expect("a whole head");
        (head.framing, head.keeps)
    }

    #[test]
    fn the_end_of_the_body_is_told_in_several_ways() {
        let length = |length| Framing::Length(length);
        assert_eq!(told("HTTP/1.1 200 OK\ncontent-length: 12\n\n"), (length(12), true));
        assert_eq!(told("HTTP/1.1 200 OK\nContent-Length: 12, 12\ncontent-length:12\n\n"), (length(12), true));
        assert_eq!(told("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n"), (Framing::chunked(), true));
        assert_eq!(told("HTTP/1.1 200\n\n"), (Framing::Closing, false));
        assert_eq!(told("HTTP/1.1 204 No Content\ntransfer-encoding: chunked\n\n"), (length(0), true));
        assert_eq!(told("HTTP/1.1 304 Not Modified\ncontent-length: 9\n\n"), (length(0), true));
    }

    #[test]
    fn a_connection_is_kept_as_its_version_has_it() {
        let keeps = |wire| told(wire).1;
        assert!(!keeps("HTTP/1.1 200 OK\ncontent-length: 0\nconnection: x, Close\n\n"));
        assert!(!keeps("HTTP/1.0 200 OK\ncontent-length: 0\n\n"));
        assert!(keeps("HTTP/1.0 200 OK\ncontent-length: 0\nconnection: Keep-Alive\n\n"));
        let two_ends = "HTTP/1.1 200 OK\ncontent-length: 1\ntransfer-encoding: chunked\n\n";
        assert_eq!(told(two_ends), (Framing::chunked(), false));
        let old = "HTTP/1.0 200 OK\nconnection: keep-alive\ntransfer-encoding: chunked\n\n";
        assert_eq!(told(old), (Framing::chunked(), false));
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let wire =
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: x\n\nHTTP/1.1 503 No\ncontent-length: 1\n\n";
        let head = head(wire).expect("HTTP").expect("a head");
        assert_eq!((head.status, head.headers.len()), (StatusCode::SERVICE_UNAVAILABLE, 1));
        assert!(super::Head::take(&mut "HTTP/1.1 100 Continue\r\n\r\nHTT".as_bytes().into()).expect("HTTP").is_none());
    }

    #[test]
    fn what_is_no_head_is_an_error() {
        let many = "a: b\n".repeat(HEADERS + 1);
        let bad = [
            "HTTP/1.1 200 OK\ncontent-length: 1, 2\n\n",
            "HTTP/1.1 200 OK\ncontent-length: 1\ncontent-length: 2\n\n",
            "HTTP/1.1 200 OK\ncontent-length: +1\n\n",
            "HTTP/1.1 200 OK\ncontent-length:\n\n",
            "HTTP/1.1 200 OK\ncontent-length: 18446744073709551616\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntransfer-encoding: chunked\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: identity\n\n",
            "HTTP/1.1 101 Switching Protocols\nupgrade: x\n\n",
            "HTTP/2.0 200 OK\n\n",
            "HTTP/1.1 20 OK\n\n",
            "220 mail.example ESMTP\n\n",
            "HTTP/1.1 200 OK\nno colon\n\n",
            &format!("HTTP/1.1 200 OK\n{many}\n"),
            &format!("HTTP/1.1 200 OK\na: {}", "b".repeat(LONGEST)),
        ];
        for wire in bad {
            assert_eq!(head(wire).expect_err(wire).kind(), io::ErrorKind::InvalidData, "{wire}");
        }
    }

    #[test]
    fn a_head_may_come_in_any_pieces() {
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nx: y\r\n\r\n";
        for end in 0..wire.len() {
            assert!(Head::take(&mut wire[..end].into()).expect("HTTP").is_none(), "{end}");
        }
    }
}
