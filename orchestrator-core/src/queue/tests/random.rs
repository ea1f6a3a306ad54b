//! The queue against the [`Model`], over random histories.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::model::{Model, Outcome};
use super::rig::{Bell, Item, QUEUE, Script, ids, plain};
use crate::queue::{CoDelTicks, Effects, LANES, NEVER, Popped, Pushed, Queue, Rules, Take, Turns};
use crate::stage::ShedPolicy::{self, Backpressure, DropOldest, RejectNew};

type Checked = Result<(), TestCaseError>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn behaves_like_the_model(rules in rules(), seeds in vec(any::<u32>(), 100)) {
        let mut trial = Trial::new(rules);
        for seed in seeds {
            trial.step(Dice(seed))?;
            trial.check()?;
        }
        trial.drain()?;
    }
}

/// Rules of which most ask for something beside a depth.
fn rules() -> impl Strategy<Value = Rules> {
    let sometimes = |ticks| prop_oneof![Just(NEVER), ticks];
    let codel = (0_u64..8, 1_u64..24).prop_map(|(target, interval)| CoDelTicks { target, interval });
    (1_usize..=4, sometimes(4_u64..40), sometimes(1_u64..20), option::of(codel))
        .prop_map(|(depth, max_wait, aging, codel)| Rules { max_wait, aging, codel, ..plain(depth) })
}

/// The random choices of one operation, cut from one number; `0` stands for the plainest of each.
struct Dice(u32);

impl Dice {
    fn below(&mut self, sides: u32) -> u32 {
        let rolled = self.0 % sides;
        self.0 /= sides;
        rolled
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == chances - 1
    }

    fn policy(&mut self) -> ShedPolicy {
        [Backpressure, Backpressure, RejectNew, DropOldest][self.below(4) as usize]
    }
}

/// A consumer that popped nothing and sleeps.
struct Parked {
    hungry: bool,
    bound: u64,
    finished: bool,
    bell: Arc<Bell>,
}

struct Trial {
    queue: Queue<Item, u32>,
    model: Model,
    effects: Effects<Item, u32>,
    /// All entries so far, by their numbers; most have left.
    items: Vec<Item>,
    now: u64,
    parked: Option<Parked>,
}

impl Trial {
    fn new(rules: Rules) -> Self {
        Self {
            queue: Queue::new(QUEUE, rules),
            model: Model::new(rules),
            effects: Effects::new(),
            items: Vec::new(),
            now: 0,
            parked: None,
        }
    }

    fn step(&mut self, mut dice: Dice) -> Checked {
        let mut admitted_before = self.model.admitted_ever;
        let mut all_over = false;
        match dice.below(16) {
            0 => self.queue.sync(),
            1..=4 => self.push(&mut dice)?,
            5 => self.push_all(&mut dice),
            6..=8 => {
                self.pop(&mut dice)?;
                // It is the consumer who pops, and who is told in another way what there is.
                admitted_before = self.model.admitted_ever;
            }
            9 | 10 => self.remove(&mut dice)?,
            11 => self.replace_ticket(&mut dice)?,
            12 => self.expire(&mut dice)?,
            13 | 14 => {
                if let Some(item) = self.recent(&mut dice) {
                    item.0.dead.set(true);
                }
            }
            _ => all_over = self.end(&mut dice),
        }
        self.model.note_empty();
        self.check_wake(self.model.admitted_ever > admitted_before, all_over)
    }

    fn new_item(&mut self, dice: &mut Dice) -> Item {
        let deadline = if dice.one_in(3) { NEVER } else { self.now + 1 + u64::from(dice.below(24)) };
        let (lane, flow) = (dice.below(3) as usize, dice.below(3));
        let item = Item::pushed_at(self.now, flow, self.items.len() as u32, lane, deadline);
        item.0.dead.set(dice.one_in(12));
        self.items.push(item.clone());
        item
    }

    /// One of the latest entries, inside or not.
    fn recent(&self, dice: &mut Dice) -> Option<Item> {
        let back = dice.below(12) as usize;
        self.items.len().checked_sub(back + 1).map(|index| self.items[index].clone())
    }

    fn push(&mut self, dice: &mut Dice) -> Checked {
        let item = self.new_item(dice);
        let full = dice.policy();
        let expected = self.model.push(&item, full);
        let (name, back) = match self.queue.push(item.clone(), full, Item::id, &mut self.effects.wake) {
            Pushed::Admitted => ("admitted", None),
            Pushed::Instead(victim) => {
                self.effects.evicted.push(victim);
                ("admitted", None)
            }
            Pushed::Waiting(key) => {
                prop_assert_eq!(key, item.key());
                ("waiting", None)
            }
            Pushed::Full(back) => ("full", Some(back)),
            Pushed::Closed(back) => ("closed", Some(back)),
            Pushed::Dead(back) => ("dead", Some(back)),
        };
        prop_assert_eq!(name, expected);
        prop_assert!(back.is_none_or(|back| back.is(&item)));
        Ok(())
    }

    fn push_all(&mut self, dice: &mut Dice) {
        let full = dice.policy();
        let count = dice.below(5);
        let mut items: Vec<_> = (0..count).map(|i| self.new_item(&mut Dice(dice.0.rotate_left(5 * i) ^ i))).collect();
        for item in &items {
            match self.model.push(item, full) {
                "full" => self.model.outcome.rejected.push(item.id()),
                "closed" | "dead" => self.model.outcome.dead.push(item.id()),
                _ => {}
            }
        }
        self.queue.push_all(&mut items, full, Item::id, &mut self.effects);
    }

    fn pop(&mut self, dice: &mut Dice) -> Checked {
        let limit = dice.below(4) as usize;
        let least = 1.max(limit - dice.below(4) as usize % (limit + 1));
        let lanes = LANES - dice.below(4) as usize;
        self.now += u64::from(dice.below(6));
        let take = Take { limit, least, lanes, now: self.now };
        let (hungry, anonymous) = (!dice.one_in(3), dice.one_in(4));
        // A new waker each time: it has to be the last one that is woken.
        let (bell, waker) = Bell::new();
        let kept = (!anonymous).then_some((&waker, hungry));
        let script = dice.one_in(2).then(|| Script::new([0, 1, 2].map(|_| dice.below(3) as usize)));
        let Popped { count, too_little, finished, bound } = self.pop_and_compare(take, kept, script)?;
        prop_assert_eq!(finished, self.model.is_finished());
        let dropped = self.effects.expired.len() + self.effects.late.len();
        if count == 0 && !anonymous && !too_little {
            self.parked = Some(Parked { hungry, bound, finished, bell });
        } else if count + dropped > 0 {
            self.parked = None;
        }
        Ok(())
    }

    fn pop_and_compare(
        &mut self,
        take: Take,
        waker: Option<(&Waker, bool)>,
        script: Option<Script>,
    ) -> Result<Popped, TestCaseError> {
        let mut out = VecDeque::new();
        let (mut turns, mut expected) = (script.clone(), script);
        let asked = turns.as_mut().map(|turns| turns as &mut dyn Turns<Item>);
        let popped = self.queue.pop(take, &mut out, waker, &mut self.effects, asked);
        prop_assert_eq!(popped.count, out.len());
        prop_assert_eq!((ids(out), popped.too_little), self.model.pop(take, expected.as_mut()));
        prop_assert_eq!(turns, expected);
        prop_assert!(popped.bound <= self.model.earliest());
        Ok(popped)
    }

    fn remove(&mut self, dice: &mut Dice) -> Checked {
        let Some(item) = self.recent(dice) else { return Ok(()) };
        let removed = self.queue.remove(item.key(), |found| found.is(&item), &mut self.effects);
        let expected = self.model.take(|i| i.is(&item));
        self.model.move_up(None);
        prop_assert_eq!(ids(removed), expected);
        Ok(())
    }

    fn replace_ticket(&mut self, dice: &mut Dice) -> Checked {
        let Some(item) = self.recent(dice) else { return Ok(()) };
        let new = 1_000 + dice.below(1_000);
        let replaced = self.queue.replace_ticket(item.key(), |found| found.is(&item), new);
        let mut expected = false;
        for (_, ticket) in self.model.waiting.iter_mut().flatten().filter(|(i, _)| i.is(&item)) {
            *ticket = new;
            expected = true;
        }
        prop_assert_eq!(replaced, expected);
        Ok(())
    }

    fn expire(&mut self, dice: &mut Dice) -> Checked {
        self.now += u64::from(dice.below(16));
        let now = self.now;
        self.queue.expire(now, &mut self.effects);
        let rules = self.model.rules;
        let end_of = |item: &Item| item.0.deadline.min(item.0.since.saturating_add(rules.max_wait));
        self.model.outcome.expired = self.model.take_admitted(|item| end_of(item) <= now);
        self.model.outcome.expired_waiting = self.model.take_waiting(|item| item.0.deadline <= now);
        self.model.move_up(Some(now));
        prop_assert!(self.queue.lock().bound > now, "the next look would come at once, and for nothing");
        // It is the consumer who calls it, and so is awake.
        self.parked = None;
        Ok(())
    }

    /// Closes or empties the queue; tells whether a consumer must hear of it in any case.
    fn end(&mut self, dice: &mut Dice) -> bool {
        match dice.below(8) {
            0 => {
                self.queue.close(&mut self.effects);
                self.model.closed = true;
                true
            }
            1..=4 => {
                self.queue.take_waiting(&mut self.effects);
                self.model.outcome.dead = self.model.take_waiting(|_| true);
                false
            }
            _ => {
                self.queue.take_all(&mut self.effects);
                self.model.outcome.dead = self.model.take(|_| true);
                true
            }
        }
    }

    fn check_wake(&mut self, admitted: bool, all_over: bool) -> Checked {
        let called = self.effects.wake.is_some();
        self.effects.wake();
        let Some(parked) = self.parked.take() else { return Ok(()) };
        let earlier = self.model.earliest() < parked.bound;
        let over = all_over || self.model.is_finished() && !parked.finished;
        if parked.hungry && admitted || earlier || over {
            prop_assert!(called, "admitted: {}, earlier: {}, over: {}", admitted, earlier, over);
        }
        if called {
            prop_assert_eq!(parked.bell.rings(), 1, "another waker than the last one was woken");
            // Something earlier may have come and gone within the operation.
            let may_be_earlier = self.queue.lock().bound < parked.bound;
            prop_assert!(parked.hungry || may_be_earlier || over || self.model.is_finished(), "woken for nothing");
        } else {
            self.parked = Some(parked);
        }
        Ok(())
    }

    /// Compares all that can be seen after an operation.
    fn check(&mut self) -> Checked {
        let numbers = |items: &mut Vec<Item>| {
            let mut numbers = ids(items.drain(..));
            numbers.sort_unstable();
            numbers
        };
        let effects = &mut self.effects;
        effects.tickets.sort_unstable();
        let outcome = Outcome {
            tickets: std::mem::take(&mut effects.tickets),
            evicted: numbers(&mut effects.evicted),
            rejected: numbers(&mut effects.rejected),
            dead: numbers(&mut effects.dead),
            expired: numbers(&mut effects.expired),
            late: numbers(&mut effects.late),
            expired_waiting: numbers(&mut effects.expired_waiting),
        };
        let model = &mut self.model;
        let mut expected = std::mem::take(&mut model.outcome);
        let Outcome { tickets, evicted, rejected, dead, expired, late, expired_waiting } = &mut expected;
        for list in [tickets, evicted, rejected, dead, expired, late, expired_waiting] {
            list.sort_unstable();
        }
        prop_assert_eq!(outcome, expected);

        let depth = self.queue.depth();
        prop_assert!(depth.admitted <= model.rules.depth);
        prop_assert_eq!((depth.admitted, depth.admitted_ever), (model.admitted(), model.admitted_ever));
        prop_assert_eq!(depth.pushed_ever, model.pushed_ever);
        for lanes in 0..=LANES {
            let expected: usize = model.admitted[..lanes].iter().map(Vec::len).sum();
            prop_assert_eq!(self.queue.ready(lanes), expected);
        }
        let inner = self.queue.lock();
        prop_assert!(inner.bound <= model.earliest());
        prop_assert!(inner.slab.keys() as usize <= model.peak);
        let admitted = model.admitted.iter().flatten().map(|item| (item, 1));
        for (item, admissions) in admitted.chain(model.waiting.iter().flatten().map(|(item, _)| (item, 0))) {
            prop_assert!(inner.slab.get(item.key()).is_some_and(|found| found.is(item)));
            prop_assert_eq!(item.0.place.get(), Some((QUEUE, item.key())));
            prop_assert_eq!(item.0.admissions.get(), admissions);
        }
        Ok(())
    }

    /// Pops one by one what is left.
    fn drain(&mut self) -> Checked {
        let take = Take { now: self.now, ..Take::up_to(1) };
        while self.pop_and_compare(take, None, None)?.count > 0 {
            self.check()?;
        }
        prop_assert_eq!(self.model.admitted() + self.model.waiting(), 0);
        Ok(())
    }
}
