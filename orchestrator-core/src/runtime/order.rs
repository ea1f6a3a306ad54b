use std::collections::VecDeque;

use crate::runtime::node::Flight;

/// Holds back what finishes early until everything that started before it has ended.
pub(crate) struct Order<T> {
    /// The number of the first entry.
    first: u64,
    entries: VecDeque<Entry<T>>,
}

enum Entry<T> {
    /// It still runs.
    Running,
    /// It waits for those before it; the flag says whether the segment counts it.
    Held(Flight<T>, bool),
    /// It ended, and nothing is to be handed on.
    Over,
}

impl<T> Order<T> {
    pub(crate) const fn new() -> Self {
        Self { first: 0, entries: VecDeque::new() }
    }

    /// A new run; returns its number.
    pub(crate) fn start(&mut self) -> u64 {
        self.entries.push_back(Entry::Running);
        self.first + self.entries.len() as u64 - 1
    }

    /// Run `number` ended with something to hand on.
    pub(crate) fn hold(&mut self, number: u64, flight: Flight<T>) {
        let local = flight.unit.is_none();
        self.set(number, Entry::Held(flight, local));
    }

    /// Run `number` ended with nothing to hand on.
    pub(crate) fn skip(&mut self, number: u64) {
        self.set(number, Entry::Over);
    }

    fn set(&mut self, number: u64, entry: Entry<T>) {
        let index = number.checked_sub(self.first).and_then(|i| usize::try_from(i).ok());
        if let Some(slot) = index.and_then(|i| self.entries.get_mut(i)) {
            *slot = entry;
        }
    }

    /// Takes the next one whose turn it is.
    pub(crate) fn next(&mut self) -> Option<Flight<T>> {
        loop {
            match self.entries.front()? {
                Entry::Running => return None,
                Entry::Held(..) | Entry::Over => {
                    self.first += 1;
                    if let Some(Entry::Held(flight, _)) = self.entries.pop_front() {
                        return Some(flight);
                    }
                }
            }
        }
    }

    /// Held requests that have no unit of their own.
    pub(crate) fn local(&self) -> usize {
        self.entries.iter().filter(|e| matches!(e, Entry::Held(_, true))).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is held, to look at.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Flight<T>> {
        self.entries.iter().filter_map(|e| match e {
            Entry::Held(flight, _) => Some(flight),
            _ => None,
        })
    }

    /// Lets go of what `is_over` recognises.
    pub(crate) fn release(&mut self, is_over: impl Fn(&Flight<T>) -> bool) {
        for entry in &mut self.entries {
            if matches!(entry, Entry::Held(flight, _) if is_over(flight)) {
                *entry = Entry::Over;
            }
        }
    }
}
