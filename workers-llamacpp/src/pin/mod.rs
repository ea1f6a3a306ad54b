//! Which slot of a server answers whom, so that a conversation finds what it left in the server's cache.
//!
//! A slot keeps the tokens of its last request. A request that begins with the same tokens, as the next turn of a conversation
//! does, has only the rest evaluated, if it comes to the same slot. So each session has a slot of its own as long as there is
//! one for it, and goes back to it.
//!
//! [`Pins`] is one table for all workers of a server in this process. What it goes by:
//!
//! - **A busy slot is never named.** The server would let the request wait for it, even while others are free.
//! - **Everybody is given a slot by number, also who has no session.** The server would choose by likeness of the prompt, or
//!   take the one that was idle for longest, and so overwrite what belongs to a session. Requests without a session take a slot
//!   that no session owns; only where there is none, the one whose session was away for longest.
//! - **Where a slot cannot be named, the server chooses.** That is so where more requests are at the server than it has slots,
//!   or where somebody may be in each slot that is left: in those that were idle when a request came whose place is not known
//!   (an embedding, say), or that one has waited for. They are given by number again when all such requests are gone. So that
//!   they may be never, one request in a few is placed in such a slot all the same: when it is answered, nobody else is there.
//! - **Whose reader has gone, may still be there.** Of slots that are equally good, those are taken last whose last answer did
//!   not come to its end.
//! - **It is given up where it does not pay.** A server that shares its cache among all slots (`--kv-unified`, which it does by
//!   itself where `--parallel` is not given) empties idle slots and keeps their tokens elsewhere, where it looks for them only
//!   if it chooses the slot itself. A request that names a slot then evaluates all of its prompt again. It shows: sessions come
//!   back to slots that nobody has used, with more behind the prompt that they had there, and find nothing. After more such
//!   misses than there are slots, and one in eight returns beyond these, the server chooses for everybody; once in a while it
//!   is tried again. A server that was started again causes one miss for each slot.
//!
//! What is lost, by a session that took the place of another, or by a restart, costs the evaluation of a prompt and nothing
//! else: the server compares tokens, and uses what is the same.

mod lease;
mod seen;
mod table;
#[cfg(test)]
mod tests;
mod worth;

pub(crate) use lease::{Lease, Pins};
pub(crate) use table::Session;
