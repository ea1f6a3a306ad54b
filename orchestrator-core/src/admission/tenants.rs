use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The number of the tenant of requests that name none.
pub(super) const NOBODY: u32 = 0;
/// Idle tenants that are remembered at most. Beyond it those that are least ahead are forgotten.
const MOST_IDLE: usize = 4_096;

/// Virtual counters: the slot-seconds that each tenant was given, over its weight.
///
/// Whoever has the lowest is served next. A tenant *waits* while it has something booked that has no slot yet; one that begins
/// to wait is lifted to the lowest counter of those that wait, or where none does, to that of the last that did, as in Sheng et
/// al. So it can neither save up turns while it asks for little, nor get rid of what it is ahead by leaving for a moment. What
/// runs does not keep a tenant from being lifted: it has got its slot, and is behind nobody. The idle, who have nothing booked
/// or running, are remembered only as long as they are ahead of those that wait.
#[derive(Debug)]
pub(super) struct Tenants {
    rows: Vec<Row>,
    /// Rows that nobody has.
    free: Vec<u32>,
    numbers: HashMap<Arc<str>, u32>,
    waiting: BTreeSet<(Order, u32)>,
    idle: BTreeSet<(Order, u32)>,
    /// Bookings and runs of all.
    live: u64,
    /// The counter of the last that stopped waiting.
    last: f64,
}

/// The bits of a counter, which are in the order of the counters as these are not negative.
type Order = u64;

#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: Option<Arc<str>>,
    counter: f64,
    weight: f64,
    /// Bookings and runs.
    live: u32,
    /// Bookings.
    waiting: u32,
}

impl Row {
    const fn new(name: Option<Arc<str>>, counter: f64) -> Self {
        Self { name, counter, weight: 1.0, live: 0, waiting: 0 }
    }
}

impl Tenants {
    /// Knows only the tenant of those that name none.
    pub(super) fn new() -> Self {
        Self {
            rows: vec![Row::new(None, 0.0)],
            free: Vec::new(),
            numbers: HashMap::new(),
            waiting: BTreeSet::new(),
            idle: BTreeSet::new(),
            live: 0,
            last: 0.0,
        }
    }

    /// The number of a tenant, if there is something to know of it.
    pub(super) fn find(&self, name: Option<&str>) -> Option<u32> {
        name.map_or(Some(NOBODY), |n| self.numbers.get(n).copied())
    }

    /// The counter that a tenant has, or would have with something booked now.
    pub(super) fn counter_of(&self, number: Option<u32>) -> f64 {
        let row = number.map(|n| &self.rows[n as usize]);
        match row {
            Some(row) if row.waiting > 0 => row.counter,
            row => row.map_or(0.0, |r| r.counter).max(self.level()),
        }
    }

    /// The counter and the weight of a tenant that waits.
    pub(super) fn share(&self, number: u32) -> (f64, f64) {
        let row = &self.rows[number as usize];
        (row.counter, row.weight)
    }

    /// The index of the one with the lowest counter, the first of those that are alike.
    pub(super) fn next(&self, numbers: &[u32]) -> usize {
        let counter = |n: u32| self.rows.get(n as usize).map_or(0.0, |r| r.counter);
        let lowest = |best: usize, at: usize| if counter(numbers[at]) < counter(numbers[best]) { at } else { best };
        (1..numbers.len()).fold(0, lowest)
    }

    /// Notes a booking, and returns the number of its tenant: the same as long as that has anything booked or running.
    pub(super) fn enter(&mut self, name: Option<&str>, weight: f64) -> u32 {
        let number = self.find(name).unwrap_or_else(|| self.add(name));
        let level = self.level();
        self.live += 1;
        let row = &mut self.rows[number as usize];
        row.weight = weight;
        row.live += 1;
        row.waiting += 1;
        if row.live == 1 {
            self.idle.remove(&(row.counter.to_bits(), number));
        }
        if row.waiting == 1 {
            row.counter = row.counter.max(level);
            self.waiting.insert((row.counter.to_bits(), number));
        }
        number
    }

    /// Notes that a booking becomes a run, for which its tenant is charged.
    pub(super) fn start(&mut self, number: u32, seconds: f64) {
        self.charge(number, seconds);
        self.stop_waiting(number);
    }

    /// Notes the end of a booking that did not become a run.
    pub(super) fn abandon(&mut self, number: u32) {
        self.stop_waiting(number);
        self.leave(number);
    }

    /// Notes the end of a run.
    pub(super) fn leave(&mut self, number: u32) {
        self.live -= 1;
        let row = &mut self.rows[number as usize];
        row.live -= 1;
        if row.live == 0 {
            self.idle.insert((row.counter.to_bits(), number));
            self.forget();
        }
    }

    /// Charges a tenant with a booking or a run some seconds in a slot, or gives back where they are below 0.
    pub(super) fn charge(&mut self, number: u32, seconds: f64) {
        let row = &mut self.rows[number as usize];
        let was = row.counter;
        row.counter = (was + seconds / row.weight).max(0.0);
        if row.waiting > 0 {
            self.waiting.remove(&(was.to_bits(), number));
            self.waiting.insert((row.counter.to_bits(), number));
            self.forget();
        }
    }

    fn stop_waiting(&mut self, number: u32) {
        let row = &mut self.rows[number as usize];
        row.waiting -= 1;
        if row.waiting == 0 {
            self.waiting.remove(&(row.counter.to_bits(), number));
            self.last = row.counter;
            self.forget();
        }
    }

    fn add(&mut self, name: Option<&str>) -> u32 {
        let name: Option<Arc<str>> = name.map(Arc::from);
        let row = Row::new(name.clone(), 0.0);
        let number = if let Some(number) = self.free.pop() {
            self.rows[number as usize] = row;
            number
        } else {
            self.rows.push(row);
            (self.rows.len() - 1) as u32
        };
        if let Some(name) = name {
            self.numbers.insert(name, number);
        }
        number
    }

    /// The counter that one starts at who begins to wait: 0 where nobody is there.
    fn level(&self) -> f64 {
        self.waiting.first().map_or(self.last, |(order, _)| f64::from_bits(*order))
    }

    /// Forgets the idle who are ahead of nobody, or are too many.
    fn forget(&mut self) {
        if self.live == 0 {
            self.last = 0.0;
        }
        let level = if self.live == 0 { Order::MAX } else { self.level().to_bits() };
        while let Some(&(order, number)) = self.idle.first()
            && (order <= level || self.idle.len() > MOST_IDLE)
        {
            self.idle.pop_first();
            self.drop_row(number);
        }
    }

    fn drop_row(&mut self, number: u32) {
        let row = &mut self.rows[number as usize];
        row.counter = 0.0;
        if let Some(name) = row.name.take() {
            self.numbers.remove(&name);
            self.free.push(number);
        }
    }

    /// Bookings, and bookings and runs, of all tenants.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (u64, u64) {
        let waiting = self.rows.iter().map(|r| u64::from(r.waiting)).sum();
        let live = self.rows.iter().map(|r| u64::from(r.live)).sum();
        assert_eq!(live, self.live, "bookings and runs");
        assert_eq!(self.waiting.len(), self.rows.iter().filter(|r| r.waiting > 0).count(), "those that wait");
        (waiting, live)
    }

    /// Whether nothing is known of anybody.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.numbers.is_empty()
            && self.waiting.is_empty()
            && self.idle.is_empty()
            && (self.live, self.last) == (0, 0.0)
            && self.free.len() + 1 == self.rows.len()
            && self.rows[NOBODY as usize] == Row { weight: self.rows[NOBODY as usize].weight, ..Row::new(None, 0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_counter_is_next_and_the_first_of_equals() {
        let mut tenants = Tenants::new();
        let [a, b, c] = ["a", "b", "c"].map(|n| tenants.enter(Some(n), 1.0));
        assert_eq!(tenants.next(&[c, a, b]), 0);
        tenants.charge(c, 2.0);
        tenants.charge(a, 1.0);
        assert_eq!(tenants.next(&[c, a, b]), 2);
        tenants.charge(b, 1.0);
        assert_eq!(tenants.next(&[c, a, b]), 1);
        assert_eq!(tenants.next(&[b, c]), 0);
    }

    #[test]
    fn a_weight_of_four_gets_four_times_as_much() {
        let mut tenants = Tenants::new();
        let numbers = [tenants.enter(Some("gold"), 4.0), tenants.enter(Some("free"), 1.0)];
        let mut served = [0; 2];
        for _ in 0..1_000 {
            let next = tenants.next(&numbers);
            served[next] += 1;
            tenants.charge(numbers[next], 0.5);
        }
        assert!((799..=801).contains(&served[0]), "{served:?}");
    }

    #[test]
    fn who_was_away_has_not_saved_up_and_has_not_got_rid_of_anything() {
        let mut tenants = Tenants::new();
        let [steady, early, greedy] = ["steady", "early", "greedy"].map(|n| tenants.enter(Some(n), 1.0));
        tenants.charge(greedy, 50.0);
        tenants.abandon(early);
        tenants.abandon(greedy);
        tenants.charge(steady, 10.0);
        assert_eq!(tenants.counter_of(tenants.find(Some("early"))), 10.0, "no turns were saved up");
        assert_eq!(tenants.counter_of(tenants.find(Some("greedy"))), 50.0, "still ahead");
        let back = tenants.enter(Some("greedy"), 1.0);
        assert_eq!((back, tenants.share(back).0), (greedy, 50.0));
        tenants.charge(steady, 60.0);
        tenants.abandon(back);
        let back = tenants.enter(Some("greedy"), 1.0);
        assert_eq!(tenants.share(back).0, 70.0);
    }

    #[test]
    fn a_trickle_that_overlaps_with_itself_saves_up_nothing() {
        let mut tenants = Tenants::new();
        let names = ["trickle", "heavy", "heavy", "heavy"];
        let mut running: Vec<u32> = Vec::new();
        for _ in 0..3_600 {
            let now = names.map(|name| {
                let number = tenants.enter(Some(name), 1.0);
                tenants.start(number, 1.0);
                number
            });
            running.drain(..).for_each(|number| tenants.leave(number));
            running.extend(now);
        }
        let [trickle, heavy] = ["trickle", "heavy"].map(|name| tenants.counter_of(tenants.find(Some(name))));
        assert!((trickle - heavy).abs() <= 3.0, "{trickle} and {heavy}");
        assert!(tenants.counter_of(None) >= trickle.min(heavy), "who is new inherits nothing either");
        let flood = tenants.enter(Some("trickle"), 1.0);
        assert_eq!(tenants.share(flood).0, trickle, "what the door goes by is what the queue goes by");
    }

    #[test]
    fn who_begins_to_wait_is_behind_nobody_and_ahead_of_nobody_that_waits() {
        let mut tenants = Tenants::new();
        let [stream, low, high] = ["stream", "low", "high"].map(|n| tenants.enter(Some(n), 1.0));
        tenants.start(stream, 1.0);
        tenants.charge(low, 20.0);
        tenants.charge(high, 30.0);
        assert_eq!(tenants.counter_of(Some(stream)), 20.0, "it only runs");
        assert_eq!(tenants.counter_of(None), 20.0);
        tenants.abandon(low);
        assert_eq!(tenants.counter_of(None), 30.0);
        tenants.start(high, 5.0);
        assert_eq!(tenants.counter_of(None), 35.0, "the last that waited");
        assert_eq!(tenants.counter_of(Some(stream)), 35.0);
    }

    #[test]
    fn nothing_is_remembered_when_nobody_is_there() {
        let mut tenants = Tenants::new();
        let numbers = [tenants.enter(Some("a"), 1.0), tenants.enter(None, 1.0), tenants.enter(Some("a"), 1.0)];
        assert_eq!((numbers[0], numbers[1]), (numbers[2], NOBODY));
        tenants.charge(numbers[0], 5.0);
        tenants.charge(NOBODY, 7.0);
        numbers.into_iter().for_each(|n| tenants.abandon(n));
        assert!(tenants.is_blank());
        assert_eq!(tenants.counter_of(tenants.find(None)), 0.0);
    }

    #[test]
    fn a_million_names_leave_no_more_than_the_few_that_are_ahead() {
        let mut tenants = Tenants::new();
        let stalled = tenants.enter(Some("stalled"), 1.0);
        for name in 0..1_000_000_u32 {
            let number = tenants.enter(Some(&name.to_string()), 1.0);
            tenants.start(number, 1.0);
            tenants.leave(number);
        }
        assert!(tenants.rows.len() <= MOST_IDLE + 4, "{}", tenants.rows.len());
        assert_eq!(tenants.numbers.len(), tenants.idle.len() + 1);
        tenants.charge(stalled, 2.0);
        assert_eq!(tenants.numbers.len(), 1, "nobody is ahead any more");
        tenants.abandon(stalled);
        assert!(tenants.is_blank());
    }

    #[test]
    fn a_number_is_used_again_only_when_its_tenant_is_forgotten() {
        let mut tenants = Tenants::new();
        let here = tenants.enter(Some("here"), 1.0);
        let gone = tenants.enter(Some("gone"), 1.0);
        tenants.abandon(gone);
        assert_eq!(tenants.find(Some("gone")), None);
        assert_eq!(tenants.enter(Some("new"), 1.0), gone);
        assert_eq!(tenants.find(Some("here")), Some(here));
    }
}
