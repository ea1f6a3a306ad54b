//! As much of HTTP as the chat worker of these tests needs.

use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{WorkerError, WorkerErrorKind as Kind};
use crate::testing::conformance::http_date::http_date;

/// Events of this size are nobody's.
const MAX_EVENT: usize = 64 * 1024;

/// An answer whose head has been read.
pub(super) struct Response {
    stream: TcpStream,
    buffer: BytesMut,
    pub(super) status: u16,
    headers: String,
    /// Bytes left in the current chunk.
    left: usize,
}

impl Response {
    pub(super) async fn ask(address: &str, key: &str, body: &str) -> Result<Self, WorkerError> {
        let broken = |error: std::io::Error| WorkerError::new(Kind::Transient, "no answer").with_source(error);
        let mut stream = TcpStream::connect(address).await.map_err(broken)?;
        let length = body.len();
        let head =
            format!("POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {key}\r\ncontent-length: {length}");
        stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await.map_err(broken)?;
        let mut buffer = BytesMut::new();
        let end = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await.map_err(broken)? == 0 {
                return Err(WorkerError::new(Kind::Transient, "the connection ended before the answer"));
            }
        };
        let headers = String::from_utf8_lossy(&buffer.split_to(end + 4)).into_owned();
        let status = headers.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| WorkerError::new(Kind::Protocol, "that is not HTTP"))?;
        Ok(Self { stream, buffer, status, headers, left: 0 })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The pause that the server asks for, in seconds or as a date.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?;
        let now = SystemTime::now();
        let by_date = || (0..=120).find(|seconds| http_date(now + Duration::from_secs(*seconds)) == value);
        value.parse().ok().or_else(by_date).map(Duration::from_secs)
    }

    /// The whole body of a short answer.
    pub(super) async fn body(mut self) -> String {
        let length = self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.buffer.len() < length && self.more().await.is_ok() {}
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// The data of the next event; `None` at the end of the body, wherever that is.
    pub(super) async fn event(&mut self, text: &mut BytesMut) -> Result<Option<Bytes>, WorkerError> {
        loop {
            if let Some(end) = find(text, b"\n\n") {
                let event = text.split_to(end + 2).freeze();
                if let Some(data) = event.strip_prefix(b"data: ") {
                    return Ok(Some(Bytes::copy_from_slice(data)));
                }
                continue;
            }
            if text.len() > MAX_EVENT {
                return Err(WorkerError::new(Kind::Protocol, "an event is too long"));
            }
            match self.data().await? {
                Some(data) => text.extend_from_slice(&data),
                None => return Ok(None),
            }
        }
    }

    async fn data(&mut self) -> Result<Option<BytesMut>, WorkerError> {
        if self.header("transfer-encoding").is_none() {
            if self.buffer.is_empty() && self.more().await.is_err() {
                return Ok(None);
            }
            return Ok(Some(self.buffer.split()));
        }
        if self.left == 0 {
            let line = self.line().await?;
            let size = usize::from_str_radix(&line, 16);
            self.left = size.map_err(|_| WorkerError::new(Kind::Protocol, "a chunk has no size"))?;
            if self.left == 0 {
                return Ok(None);
            }
        }
        if self.buffer.is_empty() {
            self.more().await?;
        }
        let data = self.buffer.split_to(self.left.min(self.buffer.len()));
        self.left -= data.len();
        if self.left == 0 {
            self.line().await?;
        }
        Ok(Some(data))
    }

    async fn line(&mut self) -> Result<String, WorkerError> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), WorkerError> {
        self.buffer.reserve(MAX_EVENT);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(1..) => Ok(()),
            Ok(0) => Err(WorkerError::stream_cut()),
            Err(error) => Err(WorkerError::stream_cut().with_source(error)),
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
