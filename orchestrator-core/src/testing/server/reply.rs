use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use crate::testing::server::Signal;

/// What the server does for one request, step by step.
///
/// [`json`](Self::json) and [`full`](Self::full) are whole replies. [`chunked`](Self::chunked) and
/// [`until_close`](Self::until_close) write a head, and [`raw`](Self::raw) nothing; the steps behind them write the rest. When
/// all steps are done the connection waits for the next request, unless the client or the reply has said otherwise.
///
/// Each step that writes is a write of its own to the system. What the client reads at once is up to the system; on a
/// single-threaded runtime [`pieces`](Self::pieces) lets it read in between.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::testing::server::Reply;
///
/// let slow_and_split = Reply::chunked(200, "text/event-stream")
///     .delay(Duration::from_millis(20))
///     .chunk("data: {\"te")
///     .chunk("xt\":\"a\"}\n\n")
///     .last_chunk();
/// let cut_in_a_chunk = Reply::chunked(200, "text/event-stream").bytes("ff\r\ndata: ").close();
/// let not_http = Reply::raw().bytes("220 mail.example ready\r\n").close();
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Reply {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(Bytes),
    /// The same bytes so many times.
    Flood(Bytes, usize),
    Yield,
    Delay(Duration),
    Until(Signal),
    Stall,
    Reset,
    Close,
}

impl Reply {
    /// Answers with a JSON text as a whole.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::full(status, &[("content-type", "application/json")], body)
    }

    /// Answers with a body of known length.
    pub fn full(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        all.push(("content-length", &length));
        // In one write: a client that reads the head has the body.
        Self::raw().bytes([head(status, &all).as_bytes(), body].concat())
    }

    /// Writes the head of a body in chunks, which follow as [`chunk`](Self::chunk)s.
    pub fn chunked(status: u16, content_type: &str) -> Self {
        Self::raw().bytes(head(status, &[("content-type", content_type), ("transfer-encoding", "chunked")]))
    }

    /// Writes the head of a body that ends with the connection; [`bytes`](Self::bytes) and [`close`](Self::close) follow.
    pub fn until_close(status: u16, content_type: &str) -> Self {
        Self::raw().bytes(head(status, &[("content-type", content_type), ("connection", "close")]))
    }

    /// Writes nothing by itself.
    pub const fn raw() -> Self {
        Self { steps: Vec::new() }
    }

    /// Writes bytes as they are.
    pub fn bytes(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Write(Bytes::copy_from_slice(bytes.as_ref())))
    }

    /// Writes bytes as they are, `size` at a time, and lets others run in between.
    ///
    /// # Panics
    ///
    /// Panics when `size` is zero.
    pub fn pieces(self, bytes: impl AsRef<[u8]>, size: usize) -> Self {
        bytes.as_ref().chunks(size).fold(self, |reply, piece| reply.bytes(piece).step(Step::Yield))
    }

    /// Writes bytes as a chunk of their own.
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes(chunk(bytes.as_ref()))
    }

    /// Writes bytes as a chunk of their own, so many times.
    pub fn flood(self, bytes: impl AsRef<[u8]>, times: usize) -> Self {
        self.step(Step::Flood(chunk(bytes.as_ref()).into(), times))
    }

    /// Writes the chunk that ends the body.
    pub fn last_chunk(self) -> Self {
        self.bytes("0\r\n\r\n")
    }

    /// Waits.
    pub fn delay(self, time: Duration) -> Self {
        self.step(Step::Delay(time))
    }

    /// Waits until the test raises a signal.
    pub fn until(self, signal: &Signal) -> Self {
        self.step(Step::Until(signal.clone()))
    }

    /// Waits until the client leaves.
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Resets the connection (RST); the client may lose bytes that were written before.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Closes the connection (FIN) behind what was written, wherever that stands.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> String {
    // Clients go by the number.
    let mut head = format!("HTTP/1.1 {status} scripted\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes everything");
    }
    head.push_str("\r\n");
    head
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
