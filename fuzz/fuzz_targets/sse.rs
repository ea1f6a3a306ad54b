//! The decoder of event streams: never panics, and reads any bytes, however they are cut, as the specification says.

#![no_main]

#[path = "../../workers-openai/tests/common/sse_model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|input: &[u8]| model::check_input(input));
