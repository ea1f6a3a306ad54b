//! The wire format of OpenAI's API, which most model servers speak: [`sse`] decodes its streams.

pub mod sse;
