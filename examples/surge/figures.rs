//! What a run comes to: goodput, waits, refusals; on the whole, by the part of the requests, and over time.
//!
//! Times are in seconds of the workload, before they are scaled, and counted from when a request was meant to come.
//! A request is useful if it was served, and got its slot within the longest useful wait.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contender::End;
use super::run::{Record, Run};
use super::workload::Workload;

/// How long one step of the figures over time is, in seconds.
pub(crate) const BIN: f64 = 0.1;
/// Over how many of those a share is taken, so that chance makes less of a difference.
const SMOOTH: usize = 5;

/// What the run of one contender came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) workload: String,
    pub(crate) contender: &'static str,
    pub(crate) load: f64,
    pub(crate) slots: f64,
    /// The longest wait for a slot that is useful.
    pub(crate) max_wait: f64,
    /// For how long requests of which it is told by part came.
    pub(crate) counted: f64,
    /// Requests per second that came.
    pub(crate) offered: f64,
    /// Requests per second that the slots could serve: slots by the mean time that one took in this run.
    pub(crate) capacity: f64,
    /// Useful requests per second; one counts by the part of its service that lies in the time that is looked at.
    pub(crate) goodput: f64,
    /// The goodput as a share of what came or could be served, whichever is less. All three in slot-seconds, so that
    /// serving the small ones only does not look good, and what the sizes happen to be makes no difference.
    pub(crate) share: f64,
    /// The same counted in requests, where one that is short is worth as much as one that is long.
    pub(crate) share_of_requests: f64,
    /// Waits for a slot of those let in: until they had one, until they knew that they get none, or until the end.
    pub(crate) wait_p50: f64,
    pub(crate) wait_p99: f64,
    /// Turned away at the door, by reason.
    pub(crate) refused: BTreeMap<&'static str, usize>,
    /// Turned away later, by reason.
    pub(crate) dropped: BTreeMap<&'static str, usize>,
    /// Of all requests, those turned away, at the door or later.
    pub(crate) turned_away: f64,
    /// Of those let in whose end is known, those turned away later.
    pub(crate) dropped_of_admitted: f64,
    /// When those turned away knew, the median.
    pub(crate) told_p50: Option<f64>,
    /// How late requests were sent: what the machine could not do.
    pub(crate) sent_late_p99: f64,
    /// By class and tenant, where there are several.
    pub(crate) parts: BTreeMap<String, Part>,
    /// Over time, where the load changes.
    pub(crate) series: Vec<Point>,
    /// After each change of the load, how long the goodput was below 95 % of what it could be.
    pub(crate) recovery: Vec<f64>,
}

/// Some of the requests of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Part {
    pub(crate) requests: usize,
    /// How many of them were useful.
    pub(crate) useful: usize,
    /// Slot-seconds that they would have taken.
    pub(crate) asked: f64,
    /// Slot-seconds of the useful ones.
    pub(crate) served: f64,
}

/// A moment of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    /// The middle of it.
    pub(crate) at: f64,
    /// Requests per second, as in [`Figures`].
    pub(crate) offered: f64,
    pub(crate) goodput: f64,
    /// The same from here on for half a second.
    pub(crate) share: f64,
    pub(crate) turned_away: f64,
    /// Of those who got their slot in it.
    pub(crate) wait_p99: Option<f64>,
}

/// What lies between two moments.
#[derive(Clone, Default)]
struct Bin {
    came: usize,
    /// Slot-seconds of those who came.
    asked: f64,
    turned_away: usize,
    /// Slot-seconds of useful requests.
    useful: f64,
    /// Of those who got their slot.
    waits: Vec<f64>,
}

/// What the server did in a run.
struct Pace {
    /// How many slot-seconds it has in a second.
    slots: f64,
    /// The mean time for which a slot was taken.
    mean: f64,
    /// That as a multiple of what it was to be: timers are exact to a millisecond, and tasks have to be woken.
    stretch: f64,
}

/// A request in seconds since the start of its run.
struct Seen<'a> {
    at: f64,
    record: &'a Record,
    /// From when until when it had a slot.
    turn: Option<(f64, f64)>,
    useful: bool,
    /// When it knew that it had been turned away.
    told: Option<f64>,
}

impl Figures {
    pub(crate) fn of(workload: &Workload, contender: &'static str, run: &Run) -> Self {
        let seen: Vec<_> = run.records.iter().map(|record| see(workload, run, record)).collect();
        let counted: Vec<_> = seen.iter().filter(|seen| seen.at >= workload.warm_up).collect();
        let pace = Pace::of(workload, &seen);
        let whole = &bins(workload, &seen, workload.warm_up, workload.end, 1)[0];
        let time = workload.end - workload.warm_up;
        let (refused, dropped) = reasons(&counted);
        let served = counted.iter().filter(|seen| seen.turn.is_some()).count();
        let (at_door, later): (usize, usize) = (refused.values().sum(), dropped.values().sum());
        let useful = counted.iter().filter(|seen| seen.useful).count() as f64;
        let asked = pace.stretch * whole.asked / whole.came.max(1) as f64;
        let waits: Vec<_> = counted.iter().filter_map(|seen| seen.wait(workload.end)).collect();
        let series = series(workload, &seen, &pace);
        Self {
            workload: workload.name.clone(),
            contender,
            load: workload.load,
            slots: pace.slots,
            max_wait: workload.max_wait,
            counted: time - workload.max_wait,
            offered: whole.came as f64 / time,
            capacity: pace.slots / pace.mean,
            goodput: whole.useful / pace.mean / time,
            share: pace.share(std::slice::from_ref(whole), time),
            share_of_requests: useful / (whole.came as f64).min(pace.slots * time / asked),
            wait_p50: quantile(waits.clone(), 0.5).unwrap_or_default(),
            wait_p99: quantile(waits, 0.99).unwrap_or_default(),
            turned_away: (at_door + later) as f64 / counted.len().max(1) as f64,
            dropped_of_admitted: later as f64 / (served + later).max(1) as f64,
            refused,
            dropped,
            told_p50: quantile(counted.iter().filter_map(|seen| Some(seen.told? - seen.at)).collect(), 0.5),
            sent_late_p99: quantile(counted.iter().map(|seen| seen.late(workload, run)).collect(), 0.99)
                .unwrap_or_default(),
            parts: parts(workload, &counted),
            recovery: workload.steps.iter().map(|&step| recovery(workload, &series, step)).collect(),
            series,
        }
    }
}

impl Seen<'_> {
    /// How long it waited for a slot, got one or not; `None` where it was not let in.
    fn wait(&self, end: f64) -> Option<f64> {
        if let Some((End::Refused(_), _)) = self.record.end {
            return None;
        }
        let until = self.turn.map(|(from, _)| from).or(self.told).unwrap_or(end);
        Some(until - self.at)
    }

    fn late(&self, workload: &Workload, run: &Run) -> f64 {
        workload.seconds(self.record.sent.saturating_duration_since(run.started + self.record.arrival.at))
    }
}

fn see<'a>(workload: &Workload, run: &Run, record: &'a Record) -> Seen<'a> {
    let since = |at| workload.seconds(tokio::time::Instant::saturating_duration_since(&at, run.started));
    let at = workload.seconds(record.arrival.at);
    let (turn, told) = match &record.end {
        Some((End::Served(turn), _)) => (Some((since(turn.from), since(turn.to))), None),
        Some((End::Refused(_) | End::Dropped(_), told)) => (None, Some(since(*told))),
        None => (None, None),
    };
    // Tokio's timers are exact to a millisecond, and who got its slot so late was let have it.
    let latest = workload.max_wait + workload.seconds(std::time::Duration::from_millis(2));
    Seen { at, record, turn, useful: turn.is_some_and(|(from, _)| from - at <= latest), told }
}

impl Pace {
    /// Looks at those served in the time that is counted.
    fn of(workload: &Workload, seen: &[Seen<'_>]) -> Self {
        let (mut count, mut took, mut planned) = (0.0, 0.0, 0.0);
        for seen in seen {
            let Some((from, to)) = seen.turn.filter(|&(from, to)| from < workload.end && to > workload.warm_up) else {
                continue;
            };
            count += 1.0;
            took += to - from;
            planned += workload.seconds(seen.record.arrival.service);
        }
        let slots = workload.slots as f64;
        if count == 0.0 {
            return Self { slots, mean: workload.mean, stretch: 1.0 };
        }
        Self { slots, mean: took / count, stretch: took / planned }
    }

    /// What was useful in times of `width` each, as a share of what came or could be served in each of them: that is one thing
    /// before a step, and another behind it.
    fn share(&self, bins: &[Bin], width: f64) -> f64 {
        let could = bins.iter().map(|bin| (self.stretch * bin.asked).min(self.slots * width)).sum::<f64>();
        bins.iter().map(|bin| bin.useful).sum::<f64>() / could
    }
}

/// Cuts the time into equal parts.
fn bins(workload: &Workload, seen: &[Seen<'_>], from: f64, to: f64, count: usize) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); count];
    let width = (to - from) / count as f64;
    let place = |at: f64| (at >= from && at < to).then(|| (((at - from) / width) as usize).min(count - 1));
    for seen in seen {
        if let Some(bin) = place(seen.at) {
            bins[bin].came += 1;
            bins[bin].asked += workload.seconds(seen.record.arrival.service);
        }
        if let Some(bin) = seen.told.and_then(place) {
            bins[bin].turned_away += 1;
        }
        let Some((start, end)) = seen.turn else { continue };
        if let Some(bin) = place(start) {
            bins[bin].waits.push(start - seen.at);
        }
        let (first, last) = (((start - from) / width).max(0.0) as usize, ((end - from) / width).max(0.0) as usize);
        for (number, bin) in bins.iter_mut().enumerate().take(last + 1).skip(first).filter(|_| seen.useful) {
            let left = from + number as f64 * width;
            bin.useful += (end.min(left + width) - start.max(left)).max(0.0);
        }
    }
    bins
}

fn series(workload: &Workload, seen: &[Seen<'_>], pace: &Pace) -> Vec<Point> {
    if workload.steps.is_empty() {
        return Vec::new();
    }
    let count = (workload.end / BIN).round() as usize;
    let bins = bins(workload, seen, 0.0, workload.end, count);
    let point = |(number, bin): (usize, &Bin)| Point {
        at: (number as f64 + 0.5) * BIN,
        offered: bin.came as f64 / BIN,
        goodput: bin.useful / pace.mean / BIN,
        share: pace.share(&bins[number..(number + SMOOTH).min(count)], BIN),
        turned_away: bin.turned_away as f64 / BIN,
        wait_p99: quantile(bin.waits.clone(), 0.99),
    };
    bins.iter().enumerate().map(point).collect()
}

/// How long after a step the goodput was for the last time below 95 % of what came or could be served, before the next.
fn recovery(workload: &Workload, series: &[Point], step: f64) -> f64 {
    let next = workload.steps.iter().copied().find(|&next| next > step).unwrap_or(workload.end);
    let whole = next - SMOOTH as f64 * BIN;
    let after: Vec<_> = series.iter().filter(|point| point.at > step && point.at < whole + BIN).collect();
    let last = after.iter().rposition(|point| point.share < 0.95);
    last.map_or(0.0, |point| (point + 1) as f64 * BIN)
}

type Reasons = BTreeMap<&'static str, usize>;

/// Counts by reason who was turned away at the door, and who later.
fn reasons(seen: &[&Seen<'_>]) -> (Reasons, Reasons) {
    let (mut refused, mut dropped) = (Reasons::new(), Reasons::new());
    for seen in seen {
        match &seen.record.end {
            Some((End::Refused(reason), _)) => *refused.entry(*reason).or_default() += 1,
            Some((End::Dropped(reason), _)) => *dropped.entry(*reason).or_default() += 1,
            _ => {}
        }
    }
    (refused, dropped)
}

/// The requests by class and tenant, where there are several; those that came too late to be told are left out.
fn parts(workload: &Workload, seen: &[&Seen<'_>]) -> BTreeMap<String, Part> {
    let mut parts = BTreeMap::<String, Part>::new();
    for seen in seen.iter().filter(|seen| seen.at < workload.end - workload.max_wait) {
        let arrival = &seen.record.arrival;
        let name = arrival.tenant.as_deref().unwrap_or(arrival.priority.as_str());
        let part = parts.entry(name.to_owned()).or_default();
        let work = workload.seconds(arrival.service);
        part.requests += 1;
        part.asked += work;
        if seen.useful {
            part.useful += 1;
            part.served += work;
        }
    }
    if parts.len() < 2 { BTreeMap::new() } else { parts }
}

/// Jain's index of how satisfied each part is that has an equal right to the slots: 1 where all are alike, 1/n at worst.
///
/// A part is satisfied when it got what it asked for, or its share of the slots, whichever is less. Not a number where nobody
/// got anything.
pub(crate) fn fairness<'a>(parts: impl Iterator<Item = &'a Part>, share: f64) -> f64 {
    let satisfied: Vec<_> = parts.map(|part| (part.served / part.asked.min(share)).min(1.0)).collect();
    let (sum, squares) = satisfied.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (satisfied.len() as f64 * squares)
}

/// The value that `part` of them do not exceed.
fn quantile(mut values: Vec<f64>, part: f64) -> Option<f64> {
    let place = ((values.len() as f64 * part).ceil() as usize).saturating_sub(1);
    if place >= values.len() {
        return None;
    }
    let (_, value, _) = values.select_nth_unstable_by(place, f64::total_cmp);
    Some(*value)
}
