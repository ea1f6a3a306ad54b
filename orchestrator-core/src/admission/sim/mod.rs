//! A door, a queue and slots in simulated time, with nothing real in them but the ledger: what it decides under overload.
//!
//! Arrivals come whether or not earlier ones were served. *Useful* is what got a slot within its longest wait; goodput is
//! useful requests per second, as a part of what was offered, or of the slots over the mean service of the same run where that
//! is less.

mod door;
mod load;
mod overload;
mod sharing;
mod tally;
mod trouble;

use super::{Ask, Key, Ledger, Refusal, Size, Supply, Tokens};
