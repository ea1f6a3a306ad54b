//! Predictive admission: what is known of the work in front of a server's slots, and whether one more request gets a slot in
//! time.
//!
//! A [`Ledger`] belongs to the slots of one server. It books the work of requests from the door on, learns from what they
//! really took, keeps the virtual counters by which tenants take turns, and predicts how long a request would wait. It is
//! plain arithmetic: whoever holds it brings the lock, the clock (ticks are nanoseconds) and the queue.
//!
//! Work is counted in slot-nanoseconds, the time for which a request has a slot, so that work divided by the slots is time.
//!
//! Virtual counters follow Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024. Judging by the expected wait
//! in the queue, and not by its length or by the time to the answer, follows Zhou et al., "Overload Control for Scaling WeChat
//! Microservices", SoCC 2018.

mod ask;
mod backlog;
mod book;
mod bookings;
mod desk;
mod estimate;
mod ledger;
mod line;
mod mean;
mod outputs;
mod pace;
mod pile;
mod predict;
mod runs;
mod spread;
mod tenants;
mod timeline;

#[cfg(test)]
mod random;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod whole;

pub(crate) use ask::{Ask, Refusal, Size, Supply, Tokens};
pub(crate) use book::Book;
pub(crate) use bookings::Key;
pub(crate) use desk::{Bookings, Desk, Wish};
pub(crate) use ledger::Ledger;
