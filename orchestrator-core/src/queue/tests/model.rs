//! The queue as one would write it without a thought for its speed: plain vectors, searched from the front.

use super::rig::{Item, Script, ids};
use crate::queue::{CoDelTicks, LANES, NEVER, Rules, Take, Turns};
use crate::stage::ShedPolicy::{self, Backpressure, RejectNew};

/// What an operation did, by the numbers of the entries.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) tickets: Vec<u32>,
    pub(super) evicted: Vec<u32>,
    pub(super) rejected: Vec<u32>,
    pub(super) dead: Vec<u32>,
    pub(super) expired: Vec<u32>,
    pub(super) late: Vec<u32>,
    pub(super) expired_waiting: Vec<u32>,
}

/// What a [`Queue`](crate::queue::Queue) holds, and what its last operation did.
pub(super) struct Model {
    pub(super) rules: Rules,
    pub(super) closed: bool,
    pub(super) admitted: [Vec<Item>; LANES],
    /// With their tickets.
    pub(super) waiting: [Vec<(Item, u32)>; LANES],
    /// The flows that are in each lane, in the order in which they came; by age until turns are asked for.
    flows: [Vec<u32>; LANES],
    asked: bool,
    /// Whether what was handed out last went before its turn.
    rushed: bool,
    /// When something left the queue, and whether it had waited for longer than the target; an empty queue has not.
    past: Vec<(u64, bool)>,
    pub(super) pushed_ever: u64,
    pub(super) admitted_ever: u64,
    /// The most entries that were inside at once.
    pub(super) peak: usize,
    pub(super) outcome: Outcome,
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            closed: false,
            admitted: Default::default(),
            waiting: Default::default(),
            flows: Default::default(),
            asked: false,
            rushed: false,
            past: Vec::new(),
            pushed_ever: 0,
            admitted_ever: 0,
            peak: 0,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn admitted(&self) -> usize {
        self.admitted.iter().map(Vec::len).sum()
    }

    /// Entries that could be popped from the first `lanes` lanes.
    pub(super) fn ready(&self, lanes: usize) -> usize {
        self.admitted[..lanes].iter().map(Vec::len).sum()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.closed && self.admitted() + self.waiting() == 0
    }

    /// When an admitted entry expires.
    pub(super) fn end_of(&self, item: &Item) -> u64 {
        item.0.deadline.min(item.0.since.saturating_add(self.rules.max_wait))
    }

    pub(super) fn earliest(&self) -> u64 {
        let waiting = self.waiting.iter().flatten().map(|(item, _)| item.0.deadline);
        self.admitted.iter().flatten().map(|item| self.end_of(item)).chain(waiting).min().unwrap_or(NEVER)
    }

    fn admit(&mut self, item: Item) {
        self.admitted_ever += 1;
        self.admitted[item.0.lane].push(item);
        self.note_flows();
    }

    /// Forgets flows that have left, and learns of new ones.
    fn note_flows(&mut self) {
        for (flows, lane) in self.flows.iter_mut().zip(&self.admitted) {
            flows.retain(|flow| self.asked && lane.iter().any(|item| item.0.flow == *flow));
            for item in lane {
                if !flows.contains(&item.0.flow) {
                    flows.push(item.0.flow);
                }
            }
        }
    }

    /// Notes whether the queue is empty between two operations.
    pub(super) fn note_empty(&mut self) {
        if self.admitted() + self.waiting() == 0 {
            self.past.push((0, false));
        }
    }

    /// Returns the name of the [`Pushed`] that is to be expected.
    pub(super) fn push(&mut self, item: &Item, full: ShedPolicy) -> &'static str {
        self.pushed_ever += 1;
        if self.closed {
            return "closed";
        }
        if item.0.dead.get() {
            return "dead";
        }
        let pushed = if self.admitted() < self.rules.depth && self.waiting() == 0 {
            self.admit(item.clone());
            "admitted"
        } else if full == Backpressure {
            self.waiting[item.0.lane].push((item.clone(), item.id()));
            "waiting"
        } else if full == RejectNew {
            "full"
        } else if let Some(lowest) = (item.0.lane..LANES).rev().find(|l| !self.admitted[*l].is_empty()) {
            let victim = self.admitted[lowest].remove(0);
            self.note_flows();
            self.outcome.evicted.push(victim.id());
            self.admit(item.clone());
            "admitted"
        } else {
            "full"
        };
        self.peak = self.peak.max(self.admitted() + self.waiting());
        pushed
    }

    /// Returns what is popped, and whether it was too little.
    pub(super) fn pop(&mut self, take: Take, mut turns: Option<&mut Script>) -> (Vec<u32>, bool) {
        self.asked |= turns.is_some();
        self.note_flows();
        let mut popped = Vec::new();
        while popped.is_empty() {
            let ready = self.ready(take.lanes);
            if ready == 0 || ready < take.least || take.limit == 0 {
                return (popped, ready > 0 && ready < take.least);
            }
            while popped.len() < take.limit
                && let Some(by_turn) = self.next_by_turn(take, turns.as_deref_mut())
            {
                let overdue = self.overdue(take).filter(|_| !self.rushed);
                let (lane, index) = overdue.unwrap_or(by_turn);
                let item = self.admitted[lane].remove(index);
                self.note_flows();
                if self.end_of(&item) <= take.now {
                    self.outcome.expired.push(item.id());
                } else if self.is_late(&item, take.now) {
                    self.outcome.late.push(item.id());
                } else {
                    self.rushed = (lane, index) != by_turn;
                    turns.iter_mut().for_each(|turns| turns.served(&item));
                    popped.push(item.id());
                }
            }
            self.move_up(Some(take.now));
        }
        (popped, false)
    }

    /// The lane of the entry that has waited longest of those that are overdue, and its place there.
    fn overdue(&self, take: Take) -> Option<(usize, usize)> {
        let age = |lane: usize| self.rules.aging.saturating_mul(lane as u64);
        // The first of a lane is its oldest, but for what came under another policy while older ones waited.
        let first = |lane: usize| self.admitted[lane].first().map(|item| (lane, item.0.since));
        let lower = (1..take.lanes).filter_map(first);
        let overdue = lower.filter(|(lane, since)| since.saturating_add(age(*lane)) <= take.now);
        overdue.min_by_key(|(_, since)| *since).map(|(lane, _)| (lane, 0))
    }

    /// The lane of the entry whose turn it is, and its place there.
    fn next_by_turn(&self, take: Take, turns: Option<&mut Script>) -> Option<(usize, usize)> {
        let lane = (0..take.lanes).find(|lane| !self.admitted[*lane].is_empty())?;
        let flows = &self.flows[lane];
        let index = match turns {
            Some(turns) if flows.len() > 1 => {
                let flow = flows[turns.next(flows)];
                self.admitted[lane].iter().position(|item| item.0.flow == flow)?
            }
            _ => 0,
        };
        Some((lane, index))
    }

    fn is_late(&mut self, item: &Item, now: u64) -> bool {
        let Some(CoDelTicks { target, interval }) = self.rules.codel else { return false };
        self.past.push((now, now - item.0.since > target));
        let long = self.past.iter().rev().take_while(|(_, long)| *long);
        long.last().is_some_and(|(first, _)| now - first >= interval)
    }

    pub(super) fn move_up(&mut self, now: Option<u64>) {
        let has_passed = |end| now.is_some_and(|now| end <= now);
        while self.admitted() < self.rules.depth {
            let Some(lane) = self.waiting.iter_mut().find(|l| !l.is_empty()) else { return };
            let (item, ticket) = lane.remove(0);
            self.outcome.tickets.push(ticket);
            if item.0.dead.get() {
                self.outcome.dead.push(item.id());
            } else if has_passed(item.0.deadline) {
                self.outcome.expired_waiting.push(item.id());
            } else {
                self.admit(item.clone());
                if has_passed(self.end_of(&item)) {
                    let expired = self.take_admitted(|i| i.is(&item));
                    self.outcome.expired.extend(expired);
                }
            }
        }
    }

    pub(super) fn take_admitted(&mut self, which: impl Fn(&Item) -> bool) -> Vec<u32> {
        let taken = self.admitted.iter_mut().flat_map(|lane| ids(lane.extract_if(.., |item| which(item)))).collect();
        self.note_flows();
        taken
    }

    pub(super) fn take_waiting(&mut self, which: impl Fn(&Item) -> bool) -> Vec<u32> {
        let mut taken = Vec::new();
        for (item, ticket) in self.waiting.iter_mut().flat_map(|lane| lane.extract_if(.., |(item, _)| which(item))) {
            taken.push(item.id());
            self.outcome.tickets.push(ticket);
        }
        taken
    }

    pub(super) fn take(&mut self, which: impl Fn(&Item) -> bool) -> Vec<u32> {
        [self.take_admitted(&which), self.take_waiting(&which)].concat()
    }
}
