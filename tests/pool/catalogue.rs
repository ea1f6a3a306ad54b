//! The faults that providers really have, one story each.

use prompt_orchestrator::error::{Phase, WorkerErrorKind as Kind};

use crate::story::{Act, CUT, Story, TOO_LONG};

/// Each with what a caller is promised. Nobody is asked more than twice in the first 1.5 s, or more than six times in all.
pub(crate) const CATALOGUE: &[Story] = &[
    Story::of("429 with a Retry-After of 2 s", &[Act::Limited(Some(2)), Act::Answers]),
    Story::of("429 with a Retry-After of 2 s from both", &[Act::Limited(Some(2)), Act::Answers])
        .fallback(&[Act::Limited(Some(2)), Act::Answers])
        .answered_by_primary()
        .calls(2, 1)
        .between(2.0, 2.6),
    Story::of("429 for ever, without a Retry-After", &[Act::Limited(None)]),
    Story::of("429 for ever from both", &[Act::Limited(None)]).for_ever(Kind::RateLimited).between(1.5, 17.0),
    Story::of("one 500", &[Act::Status(500), Act::Answers]),
    Story::of("one 500 from both", &[Act::Status(500), Act::Answers])
        .fallback(&[Act::Status(500), Act::Answers])
        .answered_by_primary()
        .calls(2, 1)
        .between(1.5, 1.6),
    Story::of("503 for ever", &[Act::Status(503)]),
    Story::of("503 for ever from both", &[Act::Status(503)]).for_ever(Kind::Overloaded).between(1.5, 17.0),
    Story::of("reset before headers", &[Act::Resets]),
    Story::of("reset before headers by both", &[Act::Resets]).for_ever(Kind::Transient).between(1.5, 17.0),
    Story::of("no response at all", &[Act::Silent]).between(10.0, 10.1),
    Story::of("no response from either", &[Act::Silent]).for_ever(Kind::Timeout(Phase::FirstToken)).between(60.0, 77.0),
    Story::of("first token after 20 s", &[Act::Late]).between(10.0, 10.1),
    Story::of("cut after 40 of 60", &[Act::CutAfter(40)]).breaks(CUT),
    Story::of("cut, and the next one too", &[Act::CutAfter(40)])
        .fallback(&[Act::CutAfter(50), Act::Answers])
        .breaks(CUT)
        .calls(1, 2)
        .between(1.5, 1.6),
    Story::of("stall after 20", &[Act::StallsAfter(20)]).breaks(Kind::Timeout(Phase::BetweenTokens)).between(5.0, 5.1),
    Story::of("malformed chunk", &[Act::MalformedAfter(10)]).breaks(Kind::Protocol),
    Story::of("malformed first chunk", &[Act::MalformedAfter(0)]),
    Story::of("complete, and no word of its end", &[Act::Unfinished]).breaks(CUT),
    Story::of("complete, and no terminal sentinel", &[Act::WithoutMark]).answered_by_primary().calls(1, 0),
    Story::of("context length exceeded", &[Act::TooLong]),
    Story::of("context length exceeded at both", &[Act::TooLong]).fallback(&[Act::TooLong]).fails(TOO_LONG),
    Story::of("content filter", &[Act::Filtered]).fails(Kind::ContentFilter).calls(1, 0),
];
