//! The worker against a server that answers what vLLM 0.32.0 was recorded to answer.

mod health;
mod options;
mod recorded;
mod refusals;
mod replay;
mod resume;
#[path = "../../../workers-openai/tests/common/traces.rs"]
mod traces;
