//! Redaction: secrets and personal data do not leave.

mod digits;
mod escapes;
mod filter;
mod presets;
mod rules;
#[cfg(test)]
mod tests;

pub(crate) use filter::Redact;
pub use rules::Redaction;
pub(crate) use rules::Rules;
