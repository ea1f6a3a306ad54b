//! The wire format of OpenAI's API, which most model servers speak: [`wire`] has its types, [`sse`] decodes its streams.

pub mod sse;
pub mod wire;
