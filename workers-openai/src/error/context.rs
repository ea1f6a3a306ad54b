//! Prompts that are too long, which most servers only say in words.

use super::said::Said;

/// How servers call it, where they have a name for it.
const NAMES: &[&str] = &["context_length_exceeded", "exceed_context_size_error", "model_max_prompt_tokens_exceeded"];

/// How servers word it. All that is compared is in lower case.
const WORDS: &[&str] = &[
    // OpenAI, vLLM, Mistral
    "maximum context length",
    "context length exceeded",
    "exceeds the model's context",
    "maximum model length",
    // llama.cpp, LM Studio
    "exceeds the available context size",
    "greater than the context length",
    "context window",
    // vLLM, of older versions
    "is longer than the maximum model length",
    // TGI
    "`inputs` must have less than",
    "`inputs` tokens + `max_new_tokens` must be",
    // Anthropic, through gateways
    "prompt is too long",
];

/// What stands before the number of the prompt's tokens.
const BEFORE_PROMPT: &[&str] =
    &["contains at least ", "resulted in ", "prompt contains ", "given: ", "too long: ", "request ("];

/// What stands behind it.
const BEHIND_PROMPT: &[&str] = &[" in the messages", " in the prompt", " in your prompt"];

/// What stands before the number of tokens that fit.
const BEFORE_LIMIT: &[&str] = &[
    "context length is only ",
    "context length is ",
    "context length of only ",
    "context length of ",
    "context size (",
    "maximum model length of ",
    "must have less than ",
    "must be <= ",
    "tokens > ",
    "model with ",
];

/// Reads whether the prompt is too long: `Some` with the tokens of the prompt and those that fit, as far as they are told.
pub(super) fn too_long(said: &Said) -> Option<(Option<u64>, Option<u64>)> {
    let text = said.message.to_ascii_lowercase();
    let named = said.is_named(NAMES);
    if !named && !WORDS.iter().any(|words| text.contains(words)) {
        return None;
    }
    let behind = || BEHIND_PROMPT.iter().find_map(|words| number_before(&text, words));
    let prompt = said.prompt_tokens.or_else(|| first_after(&text, BEFORE_PROMPT)).or_else(behind);
    let limit = said.limit.or_else(|| first_after(&text, BEFORE_LIMIT));
    Some((prompt, limit))
}

fn first_after(text: &str, words: &[&str]) -> Option<u64> {
    words.iter().find_map(|words| number(text.split_once(words)?.1))
}

/// The number that a text begins with; thousands may be set off by commas.
fn number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    text[..end].replace(',', "").parse().ok()
}

fn number_before(text: &str, words: &str) -> Option<u64> {
    let text = text.split_once(words)?.0;
    let text = text.strip_suffix(" tokens").unwrap_or(text);
    let start = text.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    text.get(start..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Option<(Option<u64>, Option<u64>)> {
        too_long(&Said { message: message.to_owned(), ..Said::default() })
    }

    #[test]
    fn sizes_are_read_out_of_the_words_of_each_server() {
        let worded = [
            (
                "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 input tokens, \
                 which exceeds this limit even without any output tokens. (parameter=input_tokens, value=2049)",
                (Some(2049), Some(2048)),
            ),
            (
                "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (4500 in the messages, \
                 500 in the completion). Please reduce the length of the messages or completion.",
                (Some(4500), Some(4097)),
            ),
            (
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 130,019 tokens.",
                (Some(130_019), Some(128_000)),
            ),
            (
                "request (3001 tokens) exceeds the available context size (2048 tokens), try increasing it",
                (Some(3001), Some(2048)),
            ),
            ("Input validation error: `inputs` must have less than 1024 tokens. Given: 3001", (Some(3001), Some(1024))),
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` tokens and 20 \
                 `max_new_tokens`",
                (Some(3000), Some(2048)),
            ),
            (
                "Prompt contains 40960 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
                (Some(40_960), Some(32_768)),
            ),
            ("prompt is too long: 208310 tokens > 200000 maximum", (Some(208_310), Some(200_000))),
            (
                "Trying to keep the first 9000 tokens when context the overflows: greater than the context length",
                (None, None),
            ),
        ];
        for (message, sizes) in worded {
            assert_eq!(read(message), Some(sizes), "{message}");
        }
    }

    #[test]
    fn other_refusals_are_not_taken_for_long_prompts() {
        for message in
            ["max_tokens=100000 cannot be greater than max_model_len=2048.", "temperature must be positive", ""]
        {
            assert_eq!(read(message), None, "{message}");
        }
    }

    #[test]
    fn a_number_that_is_too_large_is_not_told() {
        assert_eq!(read("maximum context length is 99999999999999999999999 tokens"), Some((None, None)));
    }
}
