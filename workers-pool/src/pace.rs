use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Attempt, Attempts};
use tokio::time::Instant;

use crate::consequence::{Again, Consequence};

/// How many attempts a request may make, and how far apart; for [`Retry`](crate::Retry) and fail-over alike.
///
/// A request's attempts are counted together, whoever makes them: wrappers around wrappers don't multiply them.
///
/// | setting | unless set |
/// |---|---|
/// | attempts, the first one among them | 6 |
/// | pause before the second attempt: by chance, up to | 500 ms, and twice as much before each further one |
/// | longest such pause | 10 s |
/// | attempts in the first 1.5 s after the first one began | 2 |
/// | longest pause that a server may ask for (`Retry-After`) | 30 s; who asks for more is not waited for |
/// | while breakers are open, or a pool is full, and no server is asked | comes again for up to 30 s; that is no attempt |
///
/// The pauses are "full jitter", as Marc Brooker describes and measures it in "Exponential Backoff And Jitter" (AWS
/// Architecture Blog, 2015): of all ways to spread retries it costs the least work on both sides. Where another worker can be
/// asked, there is no pause; where several asked for one, the shortest counts. Nothing is tried that could only begin after the
/// request's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Pace {
    attempts: usize,
    base: Duration,
    longest: Duration,
}

/// How long after a request's first attempt it makes no more than [`AT_FIRST`].
const QUIET: Duration = Duration::from_millis(1_500);

/// How many attempts a request makes at first.
const AT_FIRST: usize = 2;

/// How long a server may be waited for that says when to come back.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for Pace {
    fn default() -> Self {
        Self { attempts: 6, base: Duration::from_millis(500), longest: Duration::from_secs(10) }
    }
}

impl Pace {
    /// Takes what is set unless it is told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many attempts a request may make in all; with 0 or 1 there is no second one.
    pub const fn attempts(mut self, most: usize) -> Self {
        self.attempts = most;
        self
    }

    /// Sets up to how long the first pause may be, and the longest, which is a day at most.
    pub fn backoff(mut self, base: Duration, longest: Duration) -> Self {
        self.base = base;
        self.longest = longest.min(Duration::from_secs(24 * 60 * 60));
        self
    }

    /// Returns in how long the next attempt of a request may begin, whose last one failed with `error`; `None` where it may not
    /// be made. Zero where another worker can be asked at once.
    pub(crate) fn next(&self, attempts: &Attempts, error: &WorkerError, context: &Context) -> Option<Duration> {
        let made = attempts.len();
        if made >= self.attempts || error.is_unsent() {
            return None;
        }
        let now = Instant::now();
        let mut begins = now.checked_add(self.pause(attempts, error)?)?;
        if made >= AT_FIRST {
            begins = begins.max(attempts.all().first().map_or(now, |first| first.at + QUIET));
        }
        let in_time = context.deadline().is_none_or(|deadline| begins < deadline);
        in_time.then(|| begins - now)
    }

    /// Returns in how long to come again to whoever refused without asking a server; `None` where it did ask one, or has
    /// refused for too long, `since` when it did first.
    pub(crate) fn wait(&self, since: Instant, error: &WorkerError, context: &Context) -> Option<Duration> {
        if !error.is_unsent() {
            return None;
        }
        let now = Instant::now();
        let pause = self.not_all_at_once(error.retry_after().unwrap_or(self.base));
        let comes = now.checked_add(pause)?;
        let in_time = comes <= since + PATIENCE && context.deadline().is_none_or(|deadline| comes < deadline);
        in_time.then_some(pause)
    }

    /// The pause until the first of the workers may be asked again; `None` where none may be.
    fn pause(&self, attempts: &Attempts, error: &WorkerError) -> Option<Duration> {
        if goes_elsewhere(attempts, error) {
            return Some(Duration::ZERO);
        }
        let Consequence { again, elsewhere, .. } = Consequence::of(error.kind());
        let same = if again == Again::No { None } else { self.pause_of_last(attempts, error) };
        let other = if elsewhere { self.pause_of_others(&attempts.all()) } else { None };
        same.into_iter().chain(other).min()
    }

    fn pause_of_last(&self, attempts: &Attempts, error: &WorkerError) -> Option<Duration> {
        match error.retry_after() {
            Some(after) => (after <= PATIENCE).then(|| self.not_all_at_once(after)),
            None => Some(by_chance(self.most(attempts.len()))),
        }
    }

    /// The pause until the first of those may be asked that failed before the last one, and said when they may be.
    fn pause_of_others(&self, failed: &[Attempt]) -> Option<Duration> {
        let now = Instant::now();
        let pauses = failed.iter().enumerate().filter_map(|(place, attempt)| {
            let was_asked_since = failed[place + 1..].iter().any(|later| is_same(later, attempt));
            let said_no = || failed.iter().any(|any| is_same(any, attempt) && is_no(any));
            let after = attempt.retry_after.filter(|after| *after <= PATIENCE && !was_asked_since && !said_no())?;
            Some((attempt.at + attempt.took + after).saturating_duration_since(now))
        });
        pauses.min().map(|pause| self.not_all_at_once(pause))
    }

    /// Not sooner than the server says, and not all who were told the same at once.
    fn not_all_at_once(&self, after: Duration) -> Duration {
        after + by_chance(self.most(1))
    }

    /// The longest pause behind so many attempts.
    fn most(&self, made: usize) -> Duration {
        let doublings = u32::try_from(made.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest)
    }
}

/// Whether the next attempt goes to somebody else, whom the last failure says nothing about.
pub(crate) fn goes_elsewhere(attempts: &Attempts, error: &WorkerError) -> bool {
    Consequence::of(error.kind()).elsewhere && attempts.last().is_some_and(|last| last.elsewhere)
}

fn is_same(one: &Attempt, other: &Attempt) -> bool {
    one.worker == other.worker && one.members == other.members
}

/// Whether whoever failed so is not asked again for the same request.
fn is_no(attempt: &Attempt) -> bool {
    Consequence::of(attempt.kind).again == Again::No
}

fn by_chance(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use orchestrator_core::error::{Phase, WorkerErrorKind};
    use orchestrator_core::request::RequestOptions;
    use orchestrator_core::worker::Attempt;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn error(kind: WorkerErrorKind) -> WorkerError {
        WorkerError::new(kind, "no")
    }

    fn anybody() -> Context {
        Context::standalone(RequestOptions::new())
    }

    /// So many attempts, the first of which began a minute ago.
    fn failed(times: u64, elsewhere: bool) -> Attempts {
        let attempts = Attempts::default();
        let of = |seconds| Attempt::new("mac", None, &error(WorkerErrorKind::Transient), Duration::from_secs(seconds));
        (0..times).for_each(|made| attempts.push(of(60 - made).elsewhere(elsewhere)));
        attempts
    }

    fn next(attempts: &Attempts, error: &WorkerError) -> Option<Duration> {
        Pace::new().next(attempts, error, &anybody())
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_are_by_chance_below_a_limit_that_doubles() {
        fastrand::seed(6);
        tokio::time::advance(Duration::from_secs(60)).await;
        for (made, most) in [(1, 500), (2, 1_000), (3, 2_000), (4, 4_000), (5, 8_000)] {
            let pauses: Vec<_> =
                (0..1_000).filter_map(|_| next(&failed(made, false), &error(WorkerErrorKind::Transient))).collect();
            let (least, longest) = (pauses.iter().min().expect("some"), pauses.iter().max().expect("some"));
            assert!(*longest <= MILLI * most && *longest > MILLI * most * 9 / 10, "{made}: {longest:?}");
            assert!(*least < MILLI * most / 10, "{made}: {least:?}");
            assert_eq!(pauses.len(), 1_000);
        }
        let patient = Pace::new().attempts(20);
        let longest =
            (0..1_000).filter_map(|_| patient.next(&failed(12, false), &error(WorkerErrorKind::Transient), &anybody()));
        assert!(longest.max().expect("some") <= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_tried_again_where() {
        use WorkerErrorKind as K;
        let table = [
            (K::Transient, true, true),
            (K::Overloaded, true, true),
            (K::RateLimited, true, true),
            (K::StreamCut, true, true),
            (K::Timeout(Phase::Connect), true, true),
            (K::Timeout(Phase::FirstToken), true, true),
            (K::Timeout(Phase::BetweenTokens), true, true),
            (K::Timeout(Phase::Total), false, false),
            (K::Protocol, false, true),
            (K::Auth, false, true),
            (K::NotFound, false, true),
            (K::ContextLength { prompt_tokens: None, limit: None }, false, true),
            (K::InvalidRequest, false, false),
            (K::ContentFilter, false, false),
        ];
        for (kind, alone, elsewhere) in table {
            assert_eq!(next(&failed(1, false), &error(kind)).is_some(), alone, "{kind:?}, nobody else");
            let pause = elsewhere.then_some(Duration::ZERO);
            assert_eq!(next(&failed(1, true), &error(kind)), pause, "{kind:?}, with another");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_says_when_the_same_worker_may_be_asked() {
        let after = |seconds| error(WorkerErrorKind::RateLimited).with_retry_after(Duration::from_secs(seconds));
        for _ in 0..100 {
            let pause = next(&failed(1, false), &after(2)).expect("tried again");
            assert!(pause >= Duration::from_secs(2) && pause <= MILLI * 2_500, "{pause:?}");
        }
        assert_eq!(next(&failed(1, true), &after(2)), Some(Duration::ZERO), "somebody else did not ask for it");
        assert_eq!(next(&failed(1, false), &after(31)), None, "that is for the caller to wait");
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_that_say_when_the_first_is_waited_for() {
        use WorkerErrorKind as K;
        let after = |seconds| error(K::RateLimited).with_retry_after(Duration::from_secs(seconds));
        let next = |failed: &[(&str, &WorkerError)]| {
            let attempts = Attempts::default();
            failed.iter().for_each(|(by, error)| attempts.push(Attempt::new(*by, None, error, Duration::ZERO)));
            let last = failed.last().expect("some").1;
            Pace::new().backoff(Duration::ZERO, Duration::ZERO).next(&attempts, last, &anybody())
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        // The second attempt makes it 1.5 s at least.
        assert_eq!(next(&[("a", &after(2)), ("b", &after(20))]), seconds(2));
        assert_eq!(next(&[("a", &after(20)), ("b", &after(2))]), seconds(2));
        assert_eq!(next(&[("a", &after(2)), ("b", &after(60))]), seconds(2), "b is not waited for");
        assert_eq!(next(&[("a", &after(2)), ("b", &error(K::Auth))]), seconds(2), "b never answers");
        assert_eq!(next(&[("a", &after(60)), ("b", &after(20))]), seconds(20), "a is not waited for");
        assert_eq!(next(&[("a", &after(2)), ("a", &after(20))]), seconds(20), "that is its last word");
        assert_eq!(next(&[("a", &after(2)), ("a", &error(K::Auth)), ("b", &after(20))]), seconds(20));
        assert_eq!(next(&[("a", &after(2)), ("b", &error(K::ContentFilter))]), None, "for nobody");
        assert_eq!(next(&[("a", &after(60)), ("b", &after(60))]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_two_attempts_at_first_and_six_in_all() {
        tokio::time::advance(Duration::from_secs(60)).await;
        let attempts = Attempts::default();
        let transient = error(WorkerErrorKind::Transient);
        let fail = || attempts.push(Attempt::new("mac", None, &transient, 100 * MILLI).elsewhere(true));
        tokio::time::advance(100 * MILLI).await;
        fail();
        assert_eq!(next(&attempts, &transient), Some(Duration::ZERO));
        tokio::time::advance(100 * MILLI).await;
        fail();
        assert_eq!(next(&attempts, &transient), Some(1_300 * MILLI));
        tokio::time::advance(1_300 * MILLI).await;
        for made in 2..6 {
            assert_eq!(next(&attempts, &transient), Some(Duration::ZERO), "after {made}");
            fail();
        }
        assert_eq!(next(&attempts, &transient), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_that_could_only_begin_after_the_deadline() {
        let deadline = |at| Context::standalone(RequestOptions::new().deadline(Instant::now() + at));
        let limited = error(WorkerErrorKind::RateLimited).with_retry_after(Duration::from_secs(2));
        let pace = Pace::new().backoff(Duration::ZERO, Duration::ZERO);
        let next = |at| pace.next(&failed(1, false), &limited, &deadline(at));
        assert_eq!(next(2_000 * MILLI), None);
        assert_eq!(next(2_001 * MILLI), Some(Duration::from_secs(2)));
    }
}
