//! Puts members out for a while that do much worse than the others, though their breaker lets calls through: every call of a
//! member may succeed, and take five times as long.
//!
//! A member whose breaker is not closed is not judged: that keeps it from requests already, and knows when it is back.
//!
//! The rules are those of Envoy's outlier detection: members are measured against each other, whoever is put out stays out a
//! time longer each time in a row, and never so many that the others could not carry the load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::BreakerState;
use crate::pool::roster::Entry;
use crate::pool::seat::Record;

/// How often it is looked.
const EACH: Duration = Duration::from_secs(1);

/// A member whose first tokens take so many times the median of the others'.
const TIMES_SLOWER: f64 = 5.0;

/// First tokens are compared of members that were measured in this time. What is older says how it was, not how it is; and
/// means that fall while nobody asks, as [`FirstToken`](super::first_token::FirstToken)'s do, would make an idle member a fast
/// one.
const MEASURED: Duration = Duration::from_secs(10);

/// First tokens that come sooner than this are nobody's reason to be put out.
const SOON: Duration = Duration::from_millis(500);

/// A member whose share of failed calls is so far above that of the others together.
const FAILS_MORE: f64 = 0.3;

/// Members with fewer calls in the last minute are not judged.
const LEAST_CALLS: u32 = 10;

/// How long a member is put out the first time; twice as long the second time in a row, and so on.
const OUT: Duration = Duration::from_secs(10);

/// The longest.
const LONGEST: Duration = Duration::from_secs(300);

/// A member that was not put out for so long begins anew.
const FORGIVEN: Duration = Duration::from_secs(300);

/// When it is looked next.
pub(super) struct Outliers {
    since: Instant,
    /// Nanoseconds from then.
    next: AtomicU64,
}

impl Outliers {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, next: AtomicU64::new(0) }
    }

    /// Whether it is time to look; for one of those who ask at once.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.since).as_nanos() as u64;
        let next = self.next.load(Ordering::Relaxed);
        let then = now + EACH.as_nanos() as u64;
        now >= next && self.next.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A member's last minute.
struct Lately {
    place: usize,
    /// In seconds, where it is known how it is now.
    first_token: Option<f64>,
    ended: u32,
    failed: u32,
}

/// Puts out one that does much worse than the others; returns its name and for how long, if there is one.
pub(super) fn judge(entries: &mut [Arc<Entry>], now: Instant) -> Option<(String, Duration)> {
    let out = entries.iter().filter(|entry| entry.ejected.is_some_and(|until| until > now)).count();
    if 2 * (out + 1) > entries.len() {
        return None;
    }
    let lately: Vec<_> =
        entries.iter().enumerate().filter_map(|(place, entry)| Lately::of(place, entry, now)).collect();
    let outlier = lately.iter().find(|one| one.fails_more(&lately) || one.is_slower(&lately))?;
    let entry = &mut entries[outlier.place];
    let until = put_out(entry, now);
    Some((entry.seat.name.clone(), until - now))
}

fn put_out(entry: &mut Arc<Entry>, now: Instant) -> Instant {
    let entry = Arc::make_mut(entry);
    let until = entry.seat.record(|record| {
        let before = record.ejections.filter(|(_, until)| *until + FORGIVEN > now);
        let times = before.map_or(0, |(times, _)| times) + 1;
        let until = now + (OUT * times).min(LONGEST);
        record.ejections = Some((times, until));
        record.forgive();
        until
    });
    entry.ejected = Some(until);
    until
}

impl Lately {
    fn of(place: usize, entry: &Entry, now: Instant) -> Option<Self> {
        if entry.draining || entry.rests_until(now).is_some() {
            return None;
        }
        // What a breaker has seen is its business, and done with when it closes.
        if entry.seat.worker.state() != BreakerState::Closed {
            entry.seat.record(Record::forgive);
            return None;
        }
        let counts = entry.seat.recent(now);
        let measured = entry.seat.record(|record| record.first_token.measured_within(MEASURED, now));
        let first_token = measured.map(|time| time.as_secs_f64());
        Some(Self { place, first_token, ended: counts.ended, failed: counts.failed })
    }

    fn is_judged(&self) -> bool {
        self.ended >= LEAST_CALLS
    }

    fn others<'a>(&self, all: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        let place = self.place;
        all.iter().filter(move |other| other.place != place && other.is_judged())
    }

    fn fails_more(&self, all: &[Self]) -> bool {
        let (ended, failed) =
            self.others(all).fold((0, 0), |(ended, failed), other| (ended + other.ended, failed + other.failed));
        let rate = |failed: u32, ended: u32| f64::from(failed) / f64::from(ended.max(1));
        self.is_judged() && ended > 0 && rate(self.failed, self.ended) >= rate(failed, ended) + FAILS_MORE
    }

    fn is_slower(&self, all: &[Self]) -> bool {
        let mut others: Vec<_> = self.others(all).filter_map(|other| other.first_token).collect();
        others.sort_by(f64::total_cmp);
        let median = others.get(others.len().saturating_sub(1) / 2);
        let own = self.first_token.filter(|time| self.is_judged() && *time > SOON.as_secs_f64());
        own.zip(median).is_some_and(|(own, median)| own > TIMES_SLOWER * median)
    }
}
