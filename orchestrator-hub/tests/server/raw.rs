//! A client that sends bytes as they are.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("the server listens"))
    }

    /// Connects with little room for what the server sends.
    pub(crate) async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        Self(socket.connect(address).await.expect("the server listens"))
    }

    /// Sends bytes; a server that has closed the connection already does not mind.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        // A connection that was reset has ended, too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut read)).await.expect("the server closes the connection");
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads the head of a response, and what has come of its body with it.
    pub(crate) async fn head(&mut self) -> String {
        let mut read = Vec::with_capacity(4096);
        while !read.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            let more = timeout(PATIENCE, self.0.read_buf(&mut read)).await.expect("the server answers");
            assert!(more.is_ok_and(|more| more > 0), "the connection ended: {:?}", String::from_utf8_lossy(&read));
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Whether nothing comes, and the connection stays, for so long.
    pub(crate) async fn is_quiet(&mut self, time: Duration) -> bool {
        timeout(time, self.0.readable()).await.is_err()
    }
}

/// The status of a response, 0 where there is none.
pub(crate) fn status(response: &str) -> u16 {
    response.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

/// A request with a body.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One without.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}
