//! Connections without TLS to one server, over HTTP/1.1.
//!
//! A connection has no task of its own: whoever waits for an answer drives it. So what comes of the network wakes the reader and
//! nobody else, and what has come together is read together; with a task in between, each piece of a stream is a hop.

mod body;
mod connection;
mod lines;

pub(super) use connection::LineError;
pub(super) use lines::Lines;

/// What is sent: a whole body, or none.
type Sent = http::Request<http_body_util::Full<bytes::Bytes>>;
