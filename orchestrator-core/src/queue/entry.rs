use super::Key;

/// What the queue must know of what it holds.
pub(crate) trait Entry {
    /// The lane, 0 is served first.
    fn lane(&self) -> usize;

    /// The instant after which the entry is of no use, in the caller's ticks; [`NEVER`](super::NEVER) where there is none.
    fn deadline(&self) -> u64;

    /// When it was pushed into this queue, in ticks; stays what it is while the entry is inside.
    fn since(&self) -> u64;

    /// The number of its tenant, 0 where it has none; stays what it is while the entry is inside.
    fn flow(&self) -> u32;

    /// Whether the entry was given up; such an entry is not let in.
    ///
    /// Called under the lock, and so ordered with [`Queue::sync`](super::Queue::sync): whoever marks an entry and then
    /// passes through the lock either finds it inside, or can rely on it not getting in.
    fn is_dead(&self) -> bool;

    /// Notes in which queue it lies now, and where; called under the lock.
    fn placed(&self, queue: u32, key: Key);

    /// Notes that it is admitted; called under the lock, once.
    fn admitted(&self);
}

/// Whose turn it is among the tenants of a class.
///
/// Asked under the queue's lock: an answer must be quick, wake nobody, and leave the queue alone.
pub(crate) trait Turns<T> {
    /// Picks one of `flows`: returns its index.
    ///
    /// There are at least two, no two the same, in the order in which each first came; one that had left for a while comes
    /// last. What is picked may yet be dropped instead of served, or left for what is overdue; then the queue asks again.
    fn next(&mut self, flows: &[u32]) -> usize;

    /// Hears of an entry that leaves the queue to be served: of each one, picked or not, before it is handed out.
    fn served(&mut self, entry: &T);
}
