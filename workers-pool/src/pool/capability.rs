use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::worker::Attempt;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::breaker::{BreakerState, PROBED};
use crate::consequence::{Again, Consequence};
use crate::pool::needs::{Begun, Needs};
use crate::pool::roster::Entry;

/// Members that are left.
pub(super) type Left<'a> = SmallVec<[Seen<'a>; 8]>;

/// A member, with its breaker as it was when it was looked at.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) entry: &'a Arc<Entry>,
    pub(super) standing: Standing,
    breaker: BreakerState,
}

/// What a member has done about a request; who is better is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing yet.
    Fresh,
    /// It failed, and may be asked again.
    Failed,
    /// It kept silent, and nobody else takes requests now.
    Silent,
}

/// Finds the members that a request may be given to, now or when they take requests again.
///
/// # Errors
///
/// Says what is missing, where none of them can take it or none takes anything now.
pub(super) fn askable<'a>(
    entries: &'a [Arc<Entry>],
    needs: &Needs,
    failed: &[Attempt],
    now: Instant,
) -> Result<Left<'a>, WorkerError> {
    let mut left: Left<'_> = entries.iter().filter(|entry| !entry.draining).map(Seen::new).collect();
    if left.is_empty() {
        return Err(nobody_now(None));
    }
    keep_capable(&mut left, needs)?;
    keep_long_enough(&mut left, needs, failed)?;
    if !failed.is_empty() {
        keep_untold(&mut left, needs, failed)?;
    }
    if !left.iter().any(|seen| seen.opens_in(now).is_none()) {
        return Err(nobody_takes(&left, now));
    }
    if !failed.is_empty() {
        rank(&mut left, failed, now);
    }
    Ok(left)
}

fn keep<'a>(
    left: &mut Left<'a>,
    fits: impl Fn(&Seen<'_>) -> bool,
    nobody: impl FnOnce(&Left<'a>) -> WorkerError,
) -> Result<(), WorkerError> {
    if left.iter().all(&fits) {
        return Ok(());
    }
    if !left.iter().any(&fits) {
        return Err(nobody(left));
    }
    left.retain(|seen| fits(seen));
    Ok(())
}

fn keep_capable(left: &mut Left<'_>, needs: &Needs) -> Result<(), WorkerError> {
    if let Some(model) = &needs.model {
        keep(left, |entry| entry.has(model), |all| no_such_model(model, all))?;
    }
    if needs.tools {
        keep(left, |entry| entry.info.tools != Some(false), |_| invalid("no member that could answer takes tools"))?;
    }
    if needs.images {
        keep(
            left,
            |entry| entry.info.images != Some(false),
            |_| invalid("no member that could answer takes pictures"),
        )?;
    }
    if let Some(begun) = &needs.begun {
        keep(left, |entry| entry.goes_on(begun), |_| invalid("no member can go on with the begun answer"))?;
    }
    Ok(())
}

/// Keeps those whose context is long enough. As tokens are estimated, those with the longest stay where none seems to be; but
/// none that is no longer than one that proved too short.
fn keep_long_enough(left: &mut Left<'_>, needs: &Needs, failed: &[Attempt]) -> Result<(), WorkerError> {
    if let Some((attempt, limit)) = proved_too_short(left, failed) {
        let longer = |entry: &Seen<'_>| entry.info.context_length.zip(limit).is_none_or(|(has, limit)| has > limit);
        keep(left, longer, |_| WorkerError::new(attempt.kind, "the prompt is too long for every member"))?;
    }
    let tokens = needs.tokens();
    let fits = |entry: &Seen<'_>| entry.info.context_length.is_none_or(|limit| limit >= tokens);
    let longest = left.iter().map(|entry| entry.info.context_length).max().flatten();
    if left.iter().any(fits) {
        left.retain(|entry| fits(entry));
    } else {
        left.retain(|entry| entry.info.context_length == longest);
    }
    Ok(())
}

/// The longest context that the prompt did not fit into, where that is known, and the attempt that showed it.
fn proved_too_short<'f>(left: &Left<'_>, failed: &'f [Attempt]) -> Option<(&'f Attempt, Option<u64>)> {
    let limit_of = |attempt: &Attempt| match attempt.kind {
        WorkerErrorKind::ContextLength { limit, .. } => {
            let of_member = || left.iter().find(|entry| entry.made(attempt))?.info.context_length;
            Some(limit.or_else(of_member))
        }
        _ => None,
    };
    failed.iter().filter_map(|attempt| Some((attempt, limit_of(attempt)?))).max_by_key(|(_, limit)| *limit)
}

/// Drops those that have told already that they won't answer this request. Who only refused to go on may answer it anew.
fn keep_untold(left: &mut Left<'_>, needs: &Needs, failed: &[Attempt]) -> Result<(), WorkerError> {
    let is_anew = needs.begun.is_none();
    let only_goes_on_no_further =
        |attempt: &Attempt| attempt.goes_on && attempt.kind == WorkerErrorKind::InvalidRequest;
    let told = |entry: &Seen<'_>| {
        let mut own = failed.iter().filter(|attempt| entry.made(attempt));
        own.any(|attempt| {
            !(is_anew && only_goes_on_no_further(attempt)) && Consequence::of(attempt.kind).again == Again::No
        })
    };
    let nobody = |_: &Left<'_>| match failed.last() {
        Some(last) => WorkerError::new(last.kind, format!("nobody else could answer: {}", last.message)),
        None => nobody_now(None),
    };
    keep(left, |entry| !told(entry), nobody)
}

/// Says that nobody takes requests now, and when somebody may.
pub(super) fn nobody_takes(left: &Left<'_>, now: Instant) -> WorkerError {
    let pauses = left.iter().map(|seen| seen.opens_in(now).max(Some(seen.seat.behind().opens_in())));
    nobody_now(pauses.flatten().filter(|pause| !pause.is_zero()).min())
}

/// Says what each has done about the request, and drops who kept silent, if another takes requests now.
fn rank(left: &mut Left<'_>, failed: &[Attempt], now: Instant) {
    for seen in left.iter_mut() {
        let own = failed.iter().filter(|attempt| seen.entry.made(attempt));
        let standing = own.map(|attempt| match Consequence::of(attempt.kind).again {
            Again::Alone => Standing::Silent,
            Again::Yes | Again::No => Standing::Failed,
        });
        seen.standing = standing.max().unwrap_or(Standing::Fresh);
    }
    if left.iter().any(|seen| seen.standing < Standing::Silent && seen.takes(now)) {
        left.retain(|seen| seen.standing < Standing::Silent);
    }
}

impl Entry {
    /// Whether requests for this model are for it.
    fn has(&self, model: &str) -> bool {
        match &self.model {
            Some(own) => **own == *model || self.serves(model),
            None => self.seat.serves.is_empty() || self.serves(model),
        }
    }

    fn serves(&self, model: &str) -> bool {
        self.seat.serves.iter().any(|other| other == model)
    }

    fn goes_on(&self, begun: &Begun) -> bool {
        let other_model = begun.model.is_some() && self.model.is_some() && !self.is_of_model(begun.model.as_deref());
        self.info.continues && !other_model && (begun.has_text || self.is_of_model(begun.model.as_deref()))
    }

    /// Whether an attempt was one of it.
    pub(super) fn made(&self, attempt: &Attempt) -> bool {
        attempt.members.contains(&self.seat.id)
    }
}

impl<'a> Seen<'a> {
    pub(super) fn new(entry: &'a Arc<Entry>) -> Self {
        Self { entry, standing: Standing::Fresh, breaker: entry.seat.worker.state() }
    }

    /// Whether its breaker would take a call for its probe.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.breaker, BreakerState::Open { probe_at } if probe_at <= now)
    }

    /// Whether it takes requests, if not now then when one of its slots is free.
    pub(super) fn takes(&self, now: Instant) -> bool {
        self.opens_in(now).is_none() && self.seat.behind().total() > 0
    }

    /// How long it takes nothing from now on; `None` where it takes requests, be it one that probes it.
    pub(super) fn opens_in(&self, now: Instant) -> Option<Duration> {
        let breaker = match self.breaker {
            BreakerState::Closed => None,
            BreakerState::Resting { until: at } | BreakerState::Open { probe_at: at } => (at > now).then(|| at - now),
            BreakerState::HalfOpen => Some(PROBED),
        };
        breaker.max(self.entry.rests_until(now).map(|until| until - now))
    }
}

impl Deref for Seen<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry
    }
}

fn no_such_model(model: &str, all: &Left<'_>) -> WorkerError {
    let names = all
        .iter()
        .flat_map(|entry| entry.model.as_deref().into_iter().chain(entry.seat.serves.iter().map(String::as_str)));
    let known: std::collections::BTreeSet<&str> = names.collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    WorkerError::new(WorkerErrorKind::NotFound, format!("no member has the model `{model}`; there are: {known}"))
}

fn invalid(message: &str) -> WorkerError {
    WorkerError::new(WorkerErrorKind::InvalidRequest, message)
}

fn nobody_now(opens_in: Option<Duration>) -> WorkerError {
    let error = WorkerError::new(WorkerErrorKind::Overloaded, "no member takes requests now").unsent();
    match opens_in {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    }
}
