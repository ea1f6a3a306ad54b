//! The types of llama.cpp's own routes as they are sent: `/completion`, `/props`, `/slots`, `/tokenize`, `/detokenize`,
//! `/apply-template` and `/health`.
//!
//! They keep the promise of [`workers_openai::wire`], whose [`Field`] they use: reading and writing again loses nothing.
//! Unknown fields are kept in `extra`, which is also where parameters of the server's go that have no field here.

mod completion;
mod props;
mod slots;
mod template;
mod tokenize;

pub use completion::{Completion, CompletionRequest, Prompt, PromptPart, Timings};
pub use props::{GenerationSettings, Health, Props};
pub use slots::Slot;
pub use template::{TemplateRequest, TemplateResponse};
pub use tokenize::{DetokenizeRequest, DetokenizeResponse, Token, TokenizeRequest, TokenizeResponse};

pub use workers_openai::wire::{Extra, Field, Float};
