//! What stands between HTTP and the pipelines: who asks, what for, and in whose words the answer is.

mod asked;
mod caller;
mod figures;
mod front;
mod journal;
mod reply;
pub(crate) mod routes;
mod site;
mod text;

pub(crate) use asked::Asked;
pub(crate) use caller::{Caller, session};
pub use front::Gateway;
pub(crate) use reply::object;
pub use routes::Figures;
#[cfg(test)]
pub(crate) use routes::paths;
pub(crate) use site::Site;
pub(crate) use text::{Terms, TextRoute, text};
