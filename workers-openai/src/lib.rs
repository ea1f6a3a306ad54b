//! The wire format of OpenAI's API, which most model servers speak: [`wire`] has its types, [`sse`] decodes its streams.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the client reads streams with it"))]
mod chunk;
pub mod sse;
pub mod wire;
