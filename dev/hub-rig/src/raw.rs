use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::PATIENCE;

/// A client that sends bytes as they are, on one connection. It panics where the server lets it wait longer than [`PATIENCE`].
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    behind: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("the server listens"), behind: Vec::new() }
    }

    /// Connects with little room for what the server sends.
    pub async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        Self { stream: socket.connect(address).await.expect("the server listens"), behind: Vec::new() }
    }

    /// Sends bytes; a server that has closed the connection already does not mind.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Reads until the server closes the connection.
    pub async fn rest(&mut self) -> String {
        let mut read = std::mem::take(&mut self.behind);
        // A connection that was reset has ended, too.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut read)).await.expect("the server closes the connection");
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads the head of a response, and what has come of its body with it.
    pub async fn head(&mut self) -> String {
        let mut read = Vec::with_capacity(4096);
        while !read.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            let more = timeout(PATIENCE, self.stream.read_buf(&mut read)).await.expect("the server answers");
            assert!(more.is_ok_and(|more| more > 0), "the connection ended: {:?}", String::from_utf8_lossy(&read));
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Says that nothing more is sent.
    pub async fn stop_writing(&mut self) {
        // Where the connection is gone, it has ended anyway.
        let _ = self.stream.shutdown().await;
    }

    /// Reads one response as far as its length says, and keeps what comes behind it. Empty where there is none.
    pub async fn whole(&mut self) -> String {
        loop {
            if let Some(end) = end_of_response(&self.behind) {
                let rest = self.behind.split_off(end);
                let response = std::mem::replace(&mut self.behind, rest);
                return String::from_utf8_lossy(&response).into_owned();
            }
            let more = timeout(PATIENCE, self.stream.read_buf(&mut self.behind)).await.expect("the server answers");
            if !more.is_ok_and(|more| more > 0) {
                return String::new();
            }
        }
    }

    /// Whether nothing comes, and the connection stays, for so long.
    pub async fn is_quiet(&mut self, time: Duration) -> bool {
        timeout(time, self.stream.readable()).await.is_err()
    }
}

/// The status of a response, 0 where there is none.
pub fn status(response: &str) -> u16 {
    response
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0)
}

/// A request with a body.
pub fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One without.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

/// Where the first response ends, if all of it is there.
fn end_of_response(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    Some(head + length.unwrap_or(0)).filter(|end| *end <= bytes.len())
}
