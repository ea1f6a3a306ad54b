//! An answer as a stream of words.

use orchestrator_core::error::WorkerError;
use orchestrator_core::request::{Message, Sampling};
use orchestrator_core::token::{FinishReason, TokenEvent, Usage};

/// The events of an answer: one for each word, then the terminal one.
///
/// A word takes the white space in front of it along, as the tokens of most models do.
#[derive(Debug)]
pub(super) struct Words {
    text: String,
    /// How much of the text has been said.
    said: usize,
    words: u64,
    most: u64,
    prompt_words: u64,
    finished: bool,
}

impl Words {
    pub(super) fn new(mut text: String, sampling: &Sampling, prompt_words: u64) -> Self {
        if let Some(stop) = sampling.stop.iter().filter_map(|stop| text.find(stop)).min() {
            text.truncate(stop);
        }
        text.truncate(text.trim_end().len());
        let most = sampling.max_tokens.map_or(u64::MAX, |most| most.get().into());
        Self { text, said: 0, words: 0, most, prompt_words, finished: false }
    }

    fn finish(&self) -> TokenEvent {
        let reason = if self.said < self.text.len() { FinishReason::Length } else { FinishReason::Stop };
        TokenEvent::finish(reason, Usage::new(self.prompt_words, self.words))
    }
}

impl Iterator for Words {
    type Item = Result<TokenEvent, WorkerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let rest = &self.text[self.said..];
        if rest.is_empty() || self.words == self.most {
            self.finished = true;
            return Some(Ok(self.finish()));
        }
        let begin = rest.len() - rest.trim_start().len();
        let end = rest[begin..].find(char::is_whitespace).map_or(rest.len(), |end| begin + end);
        let word = TokenEvent::text_delta(&rest[..end]);
        self.said += end;
        self.words += 1;
        Some(Ok(word))
    }
}

/// Counts the words of a prompt.
pub(super) fn count(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.text().split_whitespace().count() as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn say(text: &str, most: Option<u32>, stop: &[&str]) -> (Vec<String>, TokenEvent) {
        let mut sampling = Sampling::default();
        sampling.max_tokens = most.and_then(NonZeroU32::new);
        sampling.stop = stop.iter().map(ToString::to_string).collect();
        let mut events: Vec<_> = Words::new(text.to_owned(), &sampling, 5).map(|e| e.expect("no error")).collect();
        let last = events.pop().expect("a terminal event");
        (events.iter().map(|event| event.text().to_owned()).collect(), last)
    }

    fn finish(reason: FinishReason, words: u64) -> TokenEvent {
        TokenEvent::finish(reason, Usage::new(5, words))
    }

    #[test]
    fn an_answer_is_said_word_by_word() {
        let (words, last) = say("To be. [1]", None, &[]);
        assert_eq!(words, ["To", " be.", " [1]"]);
        assert_eq!(last, finish(FinishReason::Stop, 3));
    }

    #[test]
    fn it_ends_early_only_if_something_is_left() {
        let (words, last) = say("To be. [1]", Some(2), &[]);
        assert_eq!((words.concat().as_str(), last), ("To be.", finish(FinishReason::Length, 2)));
        let (words, last) = say("To be. [1]", Some(3), &[]);
        assert_eq!((words.concat().as_str(), last), ("To be. [1]", finish(FinishReason::Stop, 3)));
    }

    #[test]
    fn it_ends_at_the_first_stop_text() {
        let (words, last) = say("To be or not", None, &["not", "e o", "absent"]);
        assert_eq!((words.concat().as_str(), last), ("To b", finish(FinishReason::Stop, 2)));
        let (words, last) = say("To be or not", Some(1), &["or"]);
        assert_eq!((words.concat().as_str(), last), ("To", finish(FinishReason::Length, 1)));
        let (words, last) = say("To be or not", None, &["be"]);
        assert_eq!((words.concat().as_str(), last), ("To", finish(FinishReason::Stop, 1)));
        let (words, last) = say("To be", None, &["T"]);
        assert_eq!((words.len(), last), (0, finish(FinishReason::Stop, 0)));
    }

    #[test]
    fn the_words_of_all_messages_count() {
        assert_eq!(count(&[Message::system("Be brief. "), Message::user("To be\nor").part(" not?")]), 6);
    }
}
