//! Clients that ask again as soon as they have their answer.

mod body;
mod connection;
mod window;

pub(crate) use self::body::Body;
use self::connection::Connection;
pub(crate) use self::window::{Load, Seen};
