//! The parsers of requests: whatever a body is, the response is an answer or a fault of the client's.

#![no_main]

#[path = "../../orchestrator-hub/tests/common/body_model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|input: &[u8]| model::check_input(input));
