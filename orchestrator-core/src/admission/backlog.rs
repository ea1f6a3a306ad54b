use super::pile::Pile;
use super::timeline::Timeline;
use crate::queue::{LANES, NEVER};

/// No group.
const NONE: u32 = u32::MAX;

/// What is booked and not running, as sums: by class, by class and tenant, and by time.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    classes: [Class; LANES],
    /// When what is still in the stages before comes to the queue.
    coming: Timeline,
    /// When what is not of the highest class becomes overdue, and may leave before its turn.
    overdue: Timeline,
}

/// The work of one class.
#[derive(Debug, Default)]
struct Class {
    all: Pile,
    groups: Vec<Group>,
    /// Where the group of a tenant is, by the tenant's number.
    places: Vec<u32>,
}

/// The work of one tenant in one class.
#[derive(Debug)]
pub(super) struct Group {
    /// The tenant's number.
    pub(super) tenant: u32,
    /// Its work.
    pub(super) pile: Pile,
}

/// What is summed up of one booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    /// Its class.
    pub(super) class: usize,
    /// Its tenant's number.
    pub(super) tenant: u32,
    /// Slot-nanoseconds.
    pub(super) work: u64,
    /// The step in which it comes to the queue.
    pub(super) ready: u64,
    /// The step in which it becomes overdue, or [`NEVER`].
    pub(super) due: u64,
}

impl Backlog {
    /// Adds a booking.
    pub(super) fn add(&mut self, item: Item) {
        let Item { class, work, .. } = item;
        self.classes[class].add(item.tenant, work);
        self.coming.add(item.ready, class, work);
        if item.due != NEVER {
            self.overdue.add(item.due, class, work);
        }
    }

    /// Takes away a booking that was added.
    pub(super) fn remove(&mut self, item: Item) {
        let Item { class, work, .. } = item;
        self.classes[class].remove(item.tenant, work);
        self.coming.remove(item.ready, class, work);
        self.overdue.remove(item.due, class, work);
    }

    /// Notes the time: what was to come until now counts as come.
    pub(super) fn settle(&mut self, now: u64) {
        self.coming.settle(now);
    }

    /// All of a class.
    pub(super) fn class(&self, class: usize) -> &Pile {
        &self.classes[class].all
    }

    /// A class by tenant, in no order.
    pub(super) fn groups(&self, class: usize) -> &[Group] {
        &self.classes[class].groups
    }

    /// One tenant's work in a class; `None` where it has none.
    pub(super) fn of_tenant(&self, class: usize, tenant: u32) -> Option<&Pile> {
        self.classes[class].of_tenant(tenant)
    }

    /// The work of the classes up to `class`.
    pub(super) fn work_up_to(&self, class: usize) -> u64 {
        self.classes[..=class].iter().map(|c| c.all.sum()).sum()
    }

    /// How many bookings the classes up to `class` have.
    pub(super) fn count_up_to(&self, class: usize) -> u64 {
        self.classes[..=class].iter().map(|c| c.all.count()).sum()
    }

    /// What is to come.
    pub(super) const fn coming(&self) -> &Timeline {
        &self.coming
    }

    /// What becomes overdue, or is.
    pub(super) const fn overdue(&self) -> &Timeline {
        &self.overdue
    }
}

impl Class {
    fn of_tenant(&self, tenant: u32) -> Option<&Pile> {
        let place = self.places.get(tenant as usize).copied().filter(|p| *p != NONE)?;
        Some(&self.groups[place as usize].pile)
    }

    fn add(&mut self, tenant: u32, work: u64) {
        self.all.add(work);
        if self.places.len() <= tenant as usize {
            self.places.resize(tenant as usize + 1, NONE);
        }
        let place = &mut self.places[tenant as usize];
        if *place == NONE {
            *place = self.groups.len() as u32;
            self.groups.push(Group { tenant, pile: Pile::default() });
        }
        self.groups[*place as usize].pile.add(work);
    }

    fn remove(&mut self, tenant: u32, work: u64) {
        self.all.remove(work);
        let place = self.places[tenant as usize] as usize;
        self.groups[place].pile.remove(work);
        if self.groups[place].pile.count() == 0 {
            self.groups.swap_remove(place);
            self.places[tenant as usize] = NONE;
            if let Some(moved) = self.groups.get(place) {
                self.places[moved.tenant as usize] = place as u32;
            }
        }
    }
}

#[cfg(test)]
impl Backlog {
    /// Whether it is what the sum of `items` is.
    pub(super) fn is_sum_of(&self, items: impl Iterator<Item = Item>) -> bool {
        let mut fresh = Self::default();
        fresh.coming.settle(self.coming.settled());
        items.for_each(|item| fresh.add(item));
        let classes = || self.classes.iter().zip(&fresh.classes);
        classes().all(|(a, b)| a.is_like(b)) && (&self.coming, &self.overdue) == (&fresh.coming, &fresh.overdue)
    }
}

#[cfg(test)]
impl Class {
    fn is_like(&self, other: &Self) -> bool {
        let placed = self.places.iter().filter(|p| **p != NONE).count() == self.groups.len();
        let groups = self.groups.iter().all(|g| g.pile.is_sound() && other.of_tenant(g.tenant) == Some(&g.pile));
        self.all == other.all && placed && groups && self.groups.len() == other.groups.len()
    }
}
