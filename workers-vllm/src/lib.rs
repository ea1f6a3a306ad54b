//! The worker of vLLM: `ModelWorker` behind its OpenAI-compatible server, with what is particular to it.
//!
//! [`Vllm`] asks chat completions and completions, always as streams, and knows beyond what every server of that kind does:
//!
//! - the model and its length, read from the server ([`Vllm::connect`]);
//! - the ids of the tokens, so that another worker can go on with an answer, and it with another's;
//! - vLLM's scheduling by priority, and a prefix cache that tenants don't share ([`VllmBuilder`]);
//! - the server's load, in `health()`, and its tokenizer, as a `TokenCounter`.
//!
//! The wire format itself, errors and streams are the business of `workers-openai`.
//!
//! # What was seen, and what was read
//!
//! Tests of this crate replay what vLLM 0.32.0 sent and compare with what it was sent; there is no vLLM in them, whose
//! environment takes 6 GB. These were read in its sources and not seen: the ids of tokens in streams (0.10.2 and later send
//! them), `continue_final_message`, `/tokenize` with messages, the answer to a priority without priority scheduling (400), and
//! the 503 of a full queue.

mod builder;
mod counter;
mod discovery;
mod fields;
mod health;
mod request_id;
mod resume;
mod salt;
#[cfg(test)]
mod tests;
mod tokenize;
mod vllm;

pub use builder::VllmBuilder;
pub use vllm::Vllm;
