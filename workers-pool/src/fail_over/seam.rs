//! The place where one call ends and the next goes on.

use orchestrator_core::request::Sampling;
use orchestrator_core::token::TokenEvent;

/// Looks for a stop text that began before the seam: the server that goes on looks only at what it adds.
///
/// Most servers hold back what may become a stop text, so that it does not stand before a seam. Where one did not, what it may
/// become is held back here until it is clear. Empty where no stop text can have begun.
#[derive(Debug, Default)]
pub(super) struct Seam {
    /// What is missing of each stop text that may have begun.
    rests: Vec<String>,
    /// What came meanwhile.
    held: Vec<TokenEvent>,
}

/// What is known behind an event.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// Not yet whether it stops there.
    Nothing,
    /// A stop text is complete: the answer ended before it.
    Stops,
    /// It does not; what was held.
    GoesOn(Vec<TokenEvent>),
}

impl Seam {
    /// Looks at the end of what was delivered.
    pub(super) fn behind(delivered: &str, sampling: &Sampling) -> Self {
        let rests = stops(sampling).flat_map(|stop| rests(delivered, stop)).map(str::to_owned).collect();
        Self { rests, held: Vec::new() }
    }

    pub(super) const fn is_clear(&self) -> bool {
        self.rests.is_empty()
    }

    /// Takes an event of the call that goes on.
    pub(super) fn take(&mut self, event: TokenEvent) -> Known {
        let text = event.text();
        if self.rests.iter().any(|rest| !text.is_empty() && text.starts_with(rest)) {
            return Known::Stops;
        }
        self.rests = self.rests.iter().filter_map(|rest| rest.strip_prefix(text)).map(str::to_owned).collect();
        let is_over = self.is_clear() || event.is_terminal();
        self.held.push(event);
        if !is_over {
            return Known::Nothing;
        }
        self.rests.clear();
        Known::GoesOn(std::mem::take(&mut self.held))
    }
}

/// What is missing of a stop text, for each of its beginnings that `delivered` ends with.
fn rests<'a>(delivered: &str, stop: &'a str) -> impl Iterator<Item = &'a str> {
    let halves = stop.char_indices().skip(1).map(|(at, _)| stop.split_at(at));
    halves.filter(move |(begun, _)| delivered.ends_with(begun)).map(|(_, rest)| rest)
}

/// The stop texts; what has a type in core goes before a vendor's field.
fn stops(sampling: &Sampling) -> impl Iterator<Item = &str> {
    let of_vendor = sampling.vendor.get("stop").filter(|_| sampling.stop.is_empty());
    let one = of_vendor.and_then(|stop| stop.as_str());
    let several = of_vendor.and_then(|stop| stop.as_array()).into_iter().flatten().filter_map(|stop| stop.as_str());
    sampling.stop.iter().map(String::as_str).chain(one).chain(several)
}

#[cfg(test)]
mod tests {
    use orchestrator_core::prelude::*;
    use orchestrator_core::request::PromptRequest;

    use super::*;

    fn seam(delivered: &str, prompt: PromptRequest) -> Seam {
        let request = InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()));
        Seam::behind(delivered, &request.sampling)
    }

    fn words(events: &[TokenEvent]) -> Vec<&str> {
        events.iter().map(TokenEvent::text).collect()
    }

    #[test]
    fn where_no_stop_text_has_begun_nothing_is_held() {
        let stop = || PromptRequest::new("?").stop("###").stop("END");
        assert!(seam("abc", stop()).is_clear());
        assert!(seam("abc###", stop()).rests.iter().all(|rest| rest.len() < 3), "a whole one is the server's");
        assert!(!seam("abcE", stop()).is_clear());
        assert!(!seam("é", PromptRequest::new("?").stop("éé")).is_clear());
    }

    #[test]
    fn a_stop_text_across_the_seam_ends_the_answer() {
        for pieces in [&["ND"][..], &["N", "D"], &["N", "", "D and more"]] {
            let mut seam = seam("the E", PromptRequest::new("?").stop("END"));
            let mut known: Vec<_> = pieces.iter().map(|piece| seam.take(TokenEvent::text_delta(*piece))).collect();
            assert_eq!(known.pop(), Some(Known::Stops), "{pieces:?}");
            assert!(known.iter().all(|known| *known == Known::Nothing));
        }
    }

    #[test]
    fn what_was_none_is_handed_on_in_order() {
        let mut seam = seam("aa", PromptRequest::new("?").vendor("stop", vec!["aab", "ac--"]));
        assert_eq!(seam.take(TokenEvent::text_delta("c")), Known::Nothing);
        let Known::GoesOn(held) = seam.take(TokenEvent::text_delta("-x")) else { panic!("it is no stop text") };
        assert_eq!(words(&held), ["c", "-x"]);
        assert!(seam.is_clear());
    }

    #[test]
    fn the_end_of_the_answer_clears_it() {
        let mut seam = seam("E", PromptRequest::new("?").vendor("stop", "END"));
        assert_eq!(seam.take(TokenEvent::text_delta("N")), Known::Nothing);
        let end = TokenEvent::finish(FinishReason::Stop, Usage::new(1, 1));
        let Known::GoesOn(held) = seam.take(end) else { panic!("nothing more comes") };
        assert_eq!((words(&held), held.len()), (vec!["N", ""], 2));
    }
}
