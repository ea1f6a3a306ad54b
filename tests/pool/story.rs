//! What a worker may do to a call, and what a story of a fault promises.

use std::time::Duration;

use prompt_orchestrator::error::WorkerErrorKind;

/// How many words a whole answer has; each is one event and one token.
pub(crate) const WORDS: usize = 60;

/// How many tokens the prompt has, as all servers count it.
pub(crate) const PROMPT_TOKENS: u64 = 10;

/// The word of a place.
pub(crate) fn word(place: usize) -> String {
    format!("w{place} ")
}

/// The whole answer.
pub(crate) fn whole() -> String {
    (0..WORDS).map(word).collect()
}

/// What a worker does to a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    /// Says all there is.
    Answers,
    /// 429, with a `Retry-After` of so many seconds.
    Limited(Option<u64>),
    /// Another status.
    Status(u16),
    /// Resets the connection in place of an answer.
    Resets,
    /// Says nothing, ever.
    Silent,
    /// Says the first word behind twenty seconds.
    Late,
    /// Closes the connection behind so many words of the answer.
    CutAfter(usize),
    /// Falls silent behind so many words of the answer.
    StallsAfter(usize),
    /// Sends what means nothing behind so many words of the answer.
    MalformedAfter(usize),
    /// Says all there is, and closes the connection without saying that this was all.
    Unfinished,
    /// Says why it has finished, and leaves out the mark behind that.
    WithoutMark,
    /// The prompt is too long for it.
    TooLong,
    /// Its filter minds the prompt.
    Filtered,
}

/// What the fallback makes of an answer that was begun elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Begun {
    /// Goes on with it.
    GoesOn,
    /// Says beforehand that it cannot, as the worker of OpenAI's API does.
    Cannot,
    /// Refuses it when it is asked.
    Refuses,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ends {
    /// With the whole answer, which this one brought to its end.
    Whole(&'static str),
    /// With one error of this kind.
    Fails(WorkerErrorKind),
}

/// A fault, and what a caller is promised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Story {
    pub(crate) fault: &'static str,
    /// What the primary does at its first call, its second, and so on; the last for ever.
    pub(crate) primary: &'static [Act],
    pub(crate) fallback: &'static [Act],
    pub(crate) ends: Ends,
    /// How it ends where nobody goes on with what the reader has, if that is another end.
    pub(crate) broken: Option<WorkerErrorKind>,
    /// How often the two are called; `None` where it is as often as may be, whoever of them.
    pub(crate) calls: Option<[usize; 2]>,
    /// The earliest and the latest end in life.
    pub(crate) between: [Duration; 2],
}

/// With which kind of error a cut stream ends.
pub(crate) const CUT: WorkerErrorKind = WorkerErrorKind::StreamCut;

/// A context that is too short; the numbers differ from server to server.
pub(crate) const TOO_LONG: WorkerErrorKind = WorkerErrorKind::ContextLength { prompt_tokens: None, limit: None };

impl Story {
    /// A fault of the primary, while the fallback is well and answers at once.
    pub(crate) const fn of(fault: &'static str, primary: &'static [Act]) -> Self {
        Self {
            fault,
            primary,
            fallback: &[Act::Answers],
            ends: Ends::Whole("fallback"),
            broken: None,
            calls: Some([1, 1]),
            between: [Duration::ZERO, Duration::from_millis(10)],
        }
    }

    /// What the fallback does.
    pub(crate) const fn fallback(mut self, acts: &'static [Act]) -> Self {
        self.fallback = acts;
        self
    }

    /// It is the primary that answers.
    pub(crate) const fn answered_by_primary(mut self) -> Self {
        self.ends = Ends::Whole("primary");
        self
    }

    /// It fails, whatever is tried.
    pub(crate) const fn fails(mut self, kind: WorkerErrorKind) -> Self {
        self.ends = Ends::Fails(kind);
        self
    }

    /// It breaks off in the middle: where nobody goes on it fails.
    pub(crate) const fn breaks(mut self, kind: WorkerErrorKind) -> Self {
        self.broken = Some(kind);
        self
    }

    pub(crate) const fn calls(mut self, primary: usize, fallback: usize) -> Self {
        self.calls = Some([primary, fallback]);
        self
    }

    /// Both do it for ever: it is tried as often as may be, and fails.
    pub(crate) const fn for_ever(mut self, kind: WorkerErrorKind) -> Self {
        self.fallback = self.primary;
        self.calls = None;
        self.fails(kind)
    }

    /// It ends between these, in seconds.
    pub(crate) const fn between(mut self, earliest: f32, latest: f32) -> Self {
        self.between = [Duration::from_millis((earliest * 1e3) as u64), Duration::from_millis((latest * 1e3) as u64)];
        self
    }

    /// How it ends with a fallback that makes that of begun answers.
    pub(crate) fn ends(&self, begun: Begun) -> Ends {
        match self.broken {
            Some(kind) if begun != Begun::GoesOn => Ends::Fails(kind),
            _ => self.ends,
        }
    }

    /// How often the two are called then.
    pub(crate) fn calls_with(&self, begun: Begun) -> Option<[usize; 2]> {
        match (self.broken, begun) {
            (Some(_), Begun::Cannot) => Some([1, 0]),
            (Some(_), Begun::Refuses) => Some([1, 1]),
            _ => self.calls,
        }
    }
}
