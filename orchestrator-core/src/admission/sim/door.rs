use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::load::Job;
use super::tally::{Outcome, Tally};
use super::{Ask, Key, Ledger, Supply};
use crate::queue::{LANES, NEVER};

const SECOND: f64 = 1e9;

/// The server, and how requests are treated; all times in seconds.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) slots: usize,
    pub(super) max_wait: f64,
    /// `None`: classes do not age.
    pub(super) aging: Option<f64>,
    pub(super) expected: Option<f64>,
    /// The time that the stage before is thought to take.
    pub(super) before: f64,
    /// The answer is of use for so long after the arrival.
    pub(super) deadline: Option<f64>,
    /// From, to, and the part of its speed that the server has in between.
    pub(super) slow: Vec<(f64, f64, f64)>,
    /// From and to: no slot can be used.
    pub(super) down: Vec<(f64, f64)>,
    /// From when on there are how many slots.
    pub(super) resized: Vec<(f64, usize)>,
    /// Requests of this class are let in whatever the ledger says.
    pub(super) unasked: Option<usize>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            slots: 8,
            max_wait: 2.0,
            aging: None,
            expected: None,
            before: 0.0,
            deadline: None,
            slow: Vec::new(),
            down: Vec::new(),
            resized: Vec::new(),
            unasked: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Finishes(usize),
    Arrives(usize),
    Comes(usize),
    Changes,
}

/// A job in the queue.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    job: usize,
    key: Key,
    since: u64,
}

/// The simulation.
pub(super) struct Door {
    rules: Rules,
    jobs: Vec<(Job, Outcome)>,
    keys: Vec<Option<Key>>,
    ledger: Ledger,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    lanes: [Vec<Waiting>; LANES],
    running: usize,
    /// Whether the last one went before its turn.
    rushed: bool,
}

fn ticks(seconds: f64) -> u64 {
    (seconds * SECOND) as u64
}

impl Door {
    /// Runs `jobs` through a new ledger.
    pub(super) fn run(rules: Rules, jobs: Vec<Job>) -> Tally {
        let mut door = Self::new(rules, jobs);
        while let Some(Reverse((now, event))) = door.events.pop() {
            door.handle(event, now);
            door.serve(now);
        }
        assert!(door.ledger.is_sound() && door.ledger.is_blank(), "nothing is left behind");
        Tally { slots: door.rules.slots, jobs: door.jobs }
    }

    fn new(rules: Rules, jobs: Vec<Job>) -> Self {
        let arrivals = jobs.iter().enumerate().map(|(i, job)| Reverse((ticks(job.at), Event::Arrives(i))));
        let changes = rules.down.iter().map(|(_, to)| *to).chain(rules.resized.iter().map(|(from, _)| *from));
        let changes = changes.map(|at| Reverse((ticks(at), Event::Changes)));
        let events = arrivals.chain(changes).collect();
        let keys = vec![None; jobs.len()];
        let jobs = jobs.into_iter().map(|job| (job, Outcome::Open)).collect();
        let (ledger, lanes, running, rushed) = (Ledger::new(), Default::default(), 0, false);
        Self { rules, jobs, keys, ledger, events, lanes, running, rushed }
    }

    fn handle(&mut self, event: Event, now: u64) {
        match event {
            Event::Arrives(job) => self.arrive(job, now),
            Event::Comes(job) => self.come(job, now),
            Event::Finishes(job) => self.finish(job, now),
            Event::Changes => {}
        }
    }

    fn supply(&self, now: u64) -> Supply {
        let down = self.rules.down.iter().find(|(from, to)| (ticks(*from)..ticks(*to)).contains(&now));
        let resized = self.rules.resized.iter().rfind(|(from, _)| ticks(*from) <= now);
        let slots = resized.map_or(self.rules.slots, |(_, slots)| *slots);
        down.map_or(Supply { slots, probe: 0.0 }, |(_, to)| Supply { slots: 0, probe: to - now as f64 / SECOND })
    }

    fn arrive(&mut self, index: usize, now: u64) {
        let supply = self.supply(now);
        let (job, rules) = (&self.jobs[index].0, &self.rules);
        let ask = Ask {
            class: job.class,
            tenant: job.tenant,
            weight: 1.0,
            size: job.size,
            expected: rules.expected,
            deadline: rules.deadline.map_or(NEVER, |d| now + ticks(d)),
            max_wait: ticks(rules.max_wait),
            aging: rules.aging.map_or(NEVER, ticks),
            before: ticks(rules.before),
        };
        let asked = if rules.unasked == Some(job.class) {
            Ok(self.ledger.book(&ask, now))
        } else {
            self.ledger.ask(&ask, now, supply)
        };
        match asked {
            Ok(key) => {
                self.events.push(Reverse((now + ticks(job.before), Event::Comes(index))));
                self.keys[index] = Some(key);
            }
            Err(refusal) => self.jobs[index].1 = Outcome::Refused(refusal),
        }
    }

    fn come(&mut self, job: usize, now: u64) {
        let key = self.keys[job].expect("it was let in");
        self.lanes[self.jobs[job].0.class].push(Waiting { job, key, since: now });
        self.events.push(Reverse((now + ticks(self.rules.max_wait), Event::Changes)));
    }

    fn finish(&mut self, job: usize, now: u64) {
        let key = self.keys[job].expect("it was let in");
        if let Some(tokens) = self.jobs[job].0.tokens {
            self.ledger.measured(key, tokens);
        }
        self.ledger.finish(key, now, true);
        self.running -= 1;
    }

    fn serve(&mut self, now: u64) {
        self.expire(now);
        let slots = self.supply(now).slots;
        while self.running < slots {
            let Some(next) = self.pop(now) else { return };
            let least = ticks(self.ledger.least_service(next.key));
            if now + least > self.deadline(next.job) {
                self.drop_out(next, Outcome::TooLate);
            } else {
                self.start(next, now);
            }
        }
    }

    fn start(&mut self, next: Waiting, now: u64) {
        self.ledger.start(next.key, now);
        self.running += 1;
        let start = now as f64 / SECOND;
        let slow = self.rules.slow.iter().find(|(from, to, _)| (*from..*to).contains(&start));
        let end = start + self.jobs[next.job].0.service / slow.map_or(1.0, |s| s.2);
        self.jobs[next.job].1 = Outcome::Served(start, end, (now - next.since) as f64 / SECOND);
        self.events.push(Reverse((ticks(end), Event::Finishes(next.job))));
    }

    fn deadline(&self, job: usize) -> u64 {
        self.rules.deadline.map_or(NEVER, |d| ticks(self.jobs[job].0.at + d))
    }

    fn expire(&mut self, now: u64) {
        let longest = ticks(self.rules.max_wait);
        let late: Vec<_> = self.lanes.iter_mut().flat_map(|l| l.extract_if(.., |w| now - w.since >= longest)).collect();
        late.into_iter().for_each(|w| self.drop_out(w, Outcome::Expired));
    }

    fn drop_out(&mut self, waiting: Waiting, outcome: Outcome) {
        self.ledger.abandon(waiting.key);
        self.jobs[waiting.job].1 = outcome;
    }

    /// The next by class, then by tenant; every second time that which is overdue, if anything is.
    fn pop(&mut self, now: u64) -> Option<Waiting> {
        let by_turn = self.next_by_turn()?;
        let (class, at) = self.overdue(now).filter(|_| !self.rushed).unwrap_or(by_turn);
        self.rushed = (class, at) != by_turn;
        Some(self.lanes[class].remove(at))
    }

    fn next_by_turn(&self) -> Option<(usize, usize)> {
        let class = self.lanes.iter().position(|l| !l.is_empty())?;
        Some((class, self.turn(class)))
    }

    /// The oldest that is overdue.
    fn overdue(&self, now: u64) -> Option<(usize, usize)> {
        let aging = self.rules.aging.map_or(NEVER, ticks);
        let overdue = |class: &usize| {
            let first = self.lanes[*class].first();
            first.is_some_and(|w| now - w.since >= aging.saturating_mul(*class as u64))
        };
        (1..LANES).filter(overdue).min_by_key(|class| self.lanes[*class][0].since).map(|class| (class, 0))
    }

    /// The first in a class of the tenant whose turn it is.
    fn turn(&self, class: usize) -> usize {
        let mut tenants = Vec::new();
        let mut firsts = Vec::new();
        for (at, waiting) in self.lanes[class].iter().enumerate() {
            let tenant = self.ledger.tenant(waiting.key);
            if !tenants.contains(&tenant) {
                tenants.push(tenant);
                firsts.push(at);
            }
        }
        firsts[self.ledger.next(&tenants)]
    }
}
