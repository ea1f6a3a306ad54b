//! What a server does with clients that are slow, silent, wrong or gone, and how it ends.
//!
//! Real sockets and the running clock: limits that shall pass are a few hundred milliseconds, and those that shall not are many
//! seconds.
//!
//! - `rig`: a server to be tested, and what is asked of it;
//! - `raw`: a client that sends bytes as they are;
//! - `silent`: connections on which nothing comes, or too slowly;
//! - `unread`: clients that do not read what they are sent.

mod raw;
mod rig;
mod silent;
mod unread;
