//! The queue as one would write it without a thought for its speed: plain vectors, searched from the front.

use super::rig::{Item, ids};
use crate::queue::{LANES, NEVER};
use crate::stage::ShedPolicy::{self, Backpressure, RejectNew};

/// What an operation did, by the numbers of the entries.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) tickets: Vec<u32>,
    pub(super) evicted: Vec<u32>,
    pub(super) rejected: Vec<u32>,
    pub(super) dead: Vec<u32>,
    pub(super) expired: Vec<u32>,
    pub(super) expired_waiting: Vec<u32>,
}

/// What a [`Queue`](crate::queue::Queue) holds, and what its last operation did.
pub(super) struct Model {
    pub(super) depth: usize,
    pub(super) closed: bool,
    pub(super) admitted: [Vec<Item>; LANES],
    /// With their tickets.
    pub(super) waiting: [Vec<(Item, u32)>; LANES],
    pub(super) pushed_ever: u64,
    pub(super) admitted_ever: u64,
    /// The most entries that were inside at once.
    pub(super) peak: usize,
    pub(super) outcome: Outcome,
}

impl Model {
    pub(super) fn new(depth: usize) -> Self {
        Self {
            depth,
            closed: false,
            admitted: Default::default(),
            waiting: Default::default(),
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

    pub(super) fn earliest(&self) -> u64 {
        let waiting = self.waiting.iter().flatten().map(|(item, _)| item);
        self.admitted.iter().flatten().chain(waiting).map(|i| i.0.deadline).min().unwrap_or(NEVER)
    }

    fn admit(&mut self, item: Item) {
        self.admitted_ever += 1;
        self.admitted[item.0.lane].push(item);
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
        let pushed = if self.admitted() < self.depth && self.waiting() == 0 {
            self.admit(item.clone());
            "admitted"
        } else if full == Backpressure {
            self.waiting[item.0.lane].push((item.clone(), item.id()));
            "waiting"
        } else if full == RejectNew {
            "full"
        } else if let Some(lowest) = (item.0.lane..LANES).rev().find(|l| !self.admitted[*l].is_empty()) {
            let victim = self.admitted[lowest].remove(0);
            self.outcome.evicted.push(victim.id());
            self.admit(item.clone());
            "admitted"
        } else {
            "full"
        };
        self.peak = self.peak.max(self.admitted() + self.waiting());
        pushed
    }

    pub(super) fn pop(&mut self, limit: usize, lanes: usize) -> Vec<u32> {
        let mut popped = Vec::new();
        for lane in &mut self.admitted[..lanes] {
            let count = lane.len().min(limit - popped.len());
            popped.extend(ids(lane.drain(..count)));
        }
        self.move_up();
        popped
    }

    pub(super) fn move_up(&mut self) {
        while self.admitted() < self.depth {
            let Some(lane) = self.waiting.iter_mut().find(|l| !l.is_empty()) else { return };
            let (item, ticket) = lane.remove(0);
            self.outcome.tickets.push(ticket);
            if item.0.dead.get() {
                self.outcome.dead.push(item.id());
            } else {
                self.admit(item);
            }
        }
    }

    pub(super) fn take_admitted(&mut self, which: impl Fn(&Item) -> bool) -> Vec<u32> {
        self.admitted.iter_mut().flat_map(|lane| ids(lane.extract_if(.., |item| which(item)))).collect()
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
