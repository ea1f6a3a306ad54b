//! A client that knows just enough HTTP/1.1 to ask, to read what comes event by event, and to leave in every way.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// How a client goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Leaving {
    /// The connection is reset.
    Reset,
    /// The socket is closed.
    Close,
    /// The client says that it sends nothing more, and that is all that the service hears of it.
    HalfClose,
}

impl Leaving {
    pub(crate) const ALL: [Self; 3] = [Self::Reset, Self::Close, Self::HalfClose];
}

/// One event of a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Status and headers, which have lower-case names.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
}

pub(crate) struct Client {
    socket: TcpStream,
    /// Received and not looked at.
    raw: Vec<u8>,
    /// The body so far as chunks had it, and not taken as an event.
    body: Vec<u8>,
    /// Comments between the events.
    pub(crate) comments: usize,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = soon(TcpStream::connect(address)).await.expect("the service listens");
        Self { socket, raw: Vec::new(), body: Vec::new(), comments: 0 }
    }

    pub(crate) async fn get(address: SocketAddr, path: &str) -> Self {
        let mut client = Self::connect(address).await;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n").as_bytes()).await;
        client
    }

    pub(crate) async fn post(address: SocketAddr, path: &str, body: &Value) -> Self {
        let mut client = Self::connect(address).await;
        client.send(&request(path, body)).await;
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("the service takes it");
    }

    /// Reads status and headers.
    pub(crate) async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(end) = position(&self.raw, b"\r\n\r\n") {
                break end;
            }
            assert!(self.receive().await, "closed before the head");
        };
        let text = String::from_utf8(self.raw.drain(..end + 4).collect()).expect("a head is text");
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Head {
            status: status.parse().expect("a number"),
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        }
    }

    /// Reads the head and a body of known length, which is JSON.
    pub(crate) async fn reply(&mut self) -> (Head, Value) {
        let head = self.head().await;
        let length: usize = head.headers.get("content-length").expect("not chunked").parse().expect("a number");
        while self.raw.len() < length {
            assert!(self.receive().await, "closed inside the body");
        }
        let body: Vec<u8> = self.raw.drain(..length).collect();
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (head, value)
    }

    /// Reads the next event; `None` at the end of the body, which a connection that is cut does not come to.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = position(&self.body, b"\n\n") {
                let text = String::from_utf8(self.body.drain(..end + 2).collect()).expect("an event is text");
                match parse(&text) {
                    Some(event) => return Some(event),
                    None => self.comments += 1,
                }
            } else if !self.chunk().await {
                return None;
            }
        }
    }

    /// Reads all events up to the end.
    pub(crate) async fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }

    /// Goes; what is returned keeps the line as it is now.
    pub(crate) async fn leave(mut self, how: Leaving) -> Option<Self> {
        match how {
            Leaving::Reset => self.socket.set_zero_linger().expect("a socket can be reset"),
            Leaving::Close => {}
            Leaving::HalfClose => {
                // Where the service has closed already, there is nobody to tell.
                drop(self.socket.shutdown().await);
                return Some(self);
            }
        }
        None
    }

    /// Adds a chunk to the body; false behind the last one.
    async fn chunk(&mut self) -> bool {
        let line = loop {
            if let Some(line) = position(&self.raw, b"\r\n") {
                break line;
            }
            assert!(self.receive().await, "closed inside the body");
        };
        let size = std::str::from_utf8(&self.raw[..line]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size is a number");
        let end = line + 2 + size;
        while self.raw.len() < end + 2 {
            assert!(self.receive().await, "closed inside a chunk");
        }
        self.body.extend_from_slice(&self.raw[line + 2..end]);
        self.raw.drain(..end + 2);
        size > 0
    }

    /// Receives something; false where the service has closed the connection.
    async fn receive(&mut self) -> bool {
        let read = soon(self.socket.read_buf(&mut self.raw)).await;
        read.expect("the service does not reset") > 0
    }
}

/// The bytes of a question.
pub(crate) fn request(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n");
    format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Reads an event; `None` of a comment.
fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).expect("our events are JSON");
    Some(Event { name: field("event").expect("our events have names").to_owned(), data })
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
