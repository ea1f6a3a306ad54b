//! Random histories of a ledger: its sums stay those of what is booked, and nothing is left behind.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Ask, Key, Ledger, Size, Supply, Tokens};
use crate::queue::NEVER;

const MS: u64 = 1_000_000;
const NAMES: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn sums_hold_and_an_empty_ledger_is_blank(steps in vec(any::<[u16; 4]>(), 1..120)) {
        let mut trial = Trial { ledger: Ledger::new(), keys: Vec::new(), now: 1 };
        for step in steps {
            trial.step(step);
            prop_assert!(trial.ledger.is_sound(), "{:?}", trial.ledger);
        }
        trial.end_all();
        prop_assert!(trial.ledger.is_sound() && trial.ledger.is_blank(), "{:?}", trial.ledger);
    }
}

struct Trial {
    ledger: Ledger,
    /// Keys in use and some that are not any more.
    keys: Vec<Key>,
    now: u64,
}

impl Trial {
    fn step(&mut self, [what, which, a, b]: [u16; 4]) {
        // Clocks are read before the lock is taken, so a time may be a little earlier than the last.
        self.now = (self.now + u64::from(b % 512) * MS).saturating_sub(u64::from(a.is_multiple_of(8)) * 3 * MS);
        let key = self.keys.get(which as usize % self.keys.len().max(1)).copied();
        match (what % 10, key) {
            (0..=3, _) | (_, None) => self.enter(what, a, b),
            (4 | 5, Some(key)) => self.ledger.start(key, self.now),
            (6 | 7, Some(key)) => self.ledger.finish(key, self.now, true),
            (8, Some(key)) => self.ledger.abandon(key),
            (_, Some(key)) => {
                let (prompt, completion) = (a.into(), u64::from(b % 64));
                self.ledger.measured(key, Tokens { prompt, cached: prompt / 3, completion, first_token: 0.05 });
            }
        }
    }

    fn enter(&mut self, what: u16, a: u16, b: u16) {
        let ask = Ask {
            class: usize::from(a % 4),
            tenant: NAMES[usize::from(b % 4)],
            weight: f64::from(b % 3 + 1),
            size: match a / 4 % 3 {
                0 => Size::Unknown,
                1 => Size::Time(f64::from(b) / 1_000.0),
                _ => Size::Tokens { prompt: a.into(), limit: (b.is_multiple_of(2)).then_some(b.into()), model: 1 },
            },
            expected: (a.is_multiple_of(7)).then_some(0.3),
            deadline: if b.is_multiple_of(5) { self.now + u64::from(a) * MS } else { NEVER },
            max_wait: if b.is_multiple_of(7) { NEVER } else { 2_000 * MS },
            aging: if b.is_multiple_of(2) { NEVER } else { 700 * MS },
            before: u64::from(a % 3) * 100 * MS,
        };
        let supply = Supply { slots: usize::from(a % 40 / 10), probe: 1.0 };
        match what % 4 {
            0 => self.keys.push(self.ledger.book(&ask, self.now)),
            _ => self.keys.extend(self.ledger.ask(&ask, self.now, supply)),
        }
    }

    fn end_all(&mut self) {
        for (at, key) in std::mem::take(&mut self.keys).into_iter().enumerate() {
            if at % 2 == 0 {
                self.ledger.start(key, self.now);
            }
            self.ledger.finish(key, self.now, true);
            self.ledger.finish(key, self.now, true);
        }
    }
}
