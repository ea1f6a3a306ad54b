use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Body;

/// Events of a stream before the one with its first token: the one that says who speaks.
const WITHOUT_TOKENS: usize = 1;

/// A connection that is used again for one request after the other.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request, and reads its answer to the end; `seen` is told each time how many events have come. Returns how long
    /// it took to the first token, or to the end where there is none.
    ///
    /// # Errors
    ///
    /// Any status but 200, an answer that ends early, and one of fewer events than there must be.
    pub(crate) async fn ask(
        &mut self,
        request: &[u8],
        least: usize,
        mut seen: impl FnMut(usize),
    ) -> io::Result<Duration> {
        let asked = Instant::now();
        self.received.clear();
        self.stream.write_all(request).await?;
        let (mut body, head) = self.head().await?;
        body.take(&self.received[head..])?;
        let mut first = None;
        let mut told = 0;
        loop {
            if body.events() > told {
                if body.events() > WITHOUT_TOKENS {
                    first.get_or_insert_with(|| asked.elapsed());
                }
                seen(body.events() - told);
                told = body.events();
            }
            if body.is_over() {
                break;
            }
            self.received.clear();
            self.read().await?;
            body.take(&self.received)?;
        }
        if told < least {
            return Err(io::Error::other(format!("an answer of {told} events, where there are {least} at least")));
        }
        Ok(first.unwrap_or_else(|| asked.elapsed()))
    }

    async fn head(&mut self) -> io::Result<(Body, usize)> {
        loop {
            self.read().await?;
            if let Some(head) = parse(&self.received)? {
                return Ok(head);
            }
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Reads the head of an answer, if it is whole, and returns the body that is to come and where that begins.
fn parse(received: &[u8]) -> io::Result<Option<(Body, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(received).map_err(io::Error::other)? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    if response.code != Some(200) {
        let text = String::from_utf8_lossy(received);
        return Err(io::Error::other(format!("the answer is not 200: {text}")));
    }
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| str::from_utf8(header.value).ok()?.parse().ok());
    Ok(Some((length.map_or_else(Body::chunked, Body::of_length), head)))
}
