use super::ask::{Size, Tokens};
use super::backlog::Item;

/// Names a booking; one that has ended names nothing, also when its place has been taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    const fn new(index: u32, generation: u32) -> Self {
        Self((index as u64) << 32 | generation as u64)
    }

    const fn index(self) -> usize {
        (self.0 >> 32) as usize
    }

    const fn generation(self) -> u32 {
        self.0 as u32
    }
}

/// One request from the door to the end of its run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Booking {
    /// What the sums have of it.
    pub(super) item: Item,
    /// What it said of its size.
    pub(super) size: Size,
    /// The prior that was told with it, in seconds.
    pub(super) expected: f64,
    /// Its place among those that run; `None` while it waits.
    pub(super) run: Option<u32>,
    /// What the server said of it.
    pub(super) measured: Option<Tokens>,
}

/// The bookings, in places that are used again.
#[derive(Debug, Default)]
pub(super) struct Bookings {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    booking: Option<Booking>,
}

impl Bookings {
    /// How many have not ended.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Keeps a booking.
    pub(super) fn insert(&mut self, booking: Booking) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, booking: None });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.booking = Some(booking);
        Key::new(index, place.generation)
    }

    /// The booking of a key, unless it has ended.
    pub(super) fn get(&self, key: Key) -> Option<&Booking> {
        self.places.get(key.index()).filter(|p| p.generation == key.generation())?.booking.as_ref()
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Booking> {
        self.places.get_mut(key.index()).filter(|p| p.generation == key.generation())?.booking.as_mut()
    }

    /// Ends a booking.
    pub(super) fn remove(&mut self, key: Key) -> Option<Booking> {
        let place = self.places.get_mut(key.index()).filter(|p| p.generation == key.generation())?;
        let booking = place.booking.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index() as u32);
        Some(booking)
    }
}

#[cfg(test)]
impl Bookings {
    /// All that have not ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Booking> {
        self.places.iter().filter_map(|p| p.booking.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_nothing_when_its_place_is_taken_again() {
        let item = Item { class: 0, tenant: 0, work: 1, ready: 0, due: 0 };
        let booking = Booking { item, size: Size::Unknown, expected: 1.0, run: None, measured: None };
        let mut bookings = Bookings::default();
        let old = bookings.insert(booking);
        assert!(bookings.remove(old).is_some() && bookings.remove(old).is_none());
        let new = bookings.insert(booking);
        assert_eq!((old.index(), bookings.places.len()), (new.index(), 1));
        assert!(bookings.get(old).is_none() && bookings.get_mut(old).is_none() && bookings.get(new).is_some());
    }
}
