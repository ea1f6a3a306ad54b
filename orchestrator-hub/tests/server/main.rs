//! What a server does with clients that are slow, silent, wrong or gone, and how it ends.
//!
//! Real sockets and the running clock: limits that shall pass are a few hundred milliseconds, and those that shall not are many
//! seconds.
//!
//! - `http2`: a client that speaks HTTP/2;
//! - `silent`: connections on which nothing comes, or too slowly;
//! - `unread`: clients that do not read what they are sent;
//! - `writes`: how answers leave;
//! - `forms`: requests that are wrong, or more than one server could read in more than one way;
//! - `bodies`: what fuzzing of the parsers of requests begins with;
//! - `leaving`: clients that leave;
//! - `ending`: a server that is told to end;
//! - `faults`: what model servers do to a request, with a fallback and without.

mod bodies;
mod ending;
mod faults;
mod forms;
mod http2;
mod leaving;
mod silent;
mod unread;
mod writes;
