//! What is asked on `/v1/completions`: a text that is gone on with as it is.
//!
//! [`request`] makes what is sent. It is sent with [`Client::stream`](crate::client::Client::stream), and its answer read by
//! [`answer::tokens`](crate::answer::tokens).

mod request;

pub use request::request;
