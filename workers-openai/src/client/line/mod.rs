//! Connections without TLS to one server, over HTTP/1.1.
//!
//! A connection has no task of its own: whoever waits for an answer reads it off the socket. So what comes of the network wakes
//! the reader and nobody else, and an event of a stream costs one read and no hop. What is spoken here is what a client of
//! `GET` and `POST` needs, read as RFC 9112 has it, and strictly.

mod body;
mod connection;
mod framing;
mod head;
mod lines;

pub(super) use body::LineBody;
pub(super) use connection::LineError;
pub(super) use lines::Lines;

use bytes::Bytes;

/// A request, as it goes over the wire; it may hold a key, so nothing prints it.
#[derive(Clone)]
pub(super) struct Sent {
    /// Its head and its body.
    pub(super) wire: Bytes,
    /// Whether the connection may be used again, as far as the request says.
    pub(super) keeps: bool,
}
