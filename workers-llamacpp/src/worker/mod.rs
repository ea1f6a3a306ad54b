//! What users hold: the worker, its builder, and the choice of the route.

mod builder;
mod chat;
mod llamacpp;
mod recall;
mod route;

pub use builder::LlamaCppBuilder;
pub use llamacpp::LlamaCpp;
pub use route::Route;
