//! What tenants are entitled to: their share of a class, and how much they may ask for.
//!
//! A [`Tenants`] is a table that a pipeline's door looks requests up in, before anything is spent on them. It counts what
//! was asked for; how the shares are kept is the queues' business.

mod accounts;
mod limit;
mod meter;
mod rate;
mod table;
#[cfg(test)]
mod tests;

pub use limit::Limit;
pub(crate) use meter::OverLimit;
pub use table::Tenants;
