use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many numbers a thread takes at once.
const BLOCK: u64 = 1 << 10;

/// The first number that no thread has taken.
static UNTAKEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The number given last on this thread.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Returns a number that no other request of this process has; from 1 on.
///
/// Taken by the block, because one counter for all threads would cost each request the way of a cache line from one
/// core to another.
pub(crate) fn next() -> u64 {
    LAST.with(|last| {
        let id = match last.get() {
            used_up if used_up % BLOCK == 0 => UNTAKEN.fetch_add(BLOCK, Ordering::Relaxed) + 1,
            last => last + 1,
        };
        last.set(id);
        id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_get_the_same_number() {
        let take = || (0..3 * BLOCK + 7).map(|_| next()).collect::<Vec<_>>();
        let others: Vec<_> = (0..4).map(|_| std::thread::spawn(take)).collect();
        let mut all = take();
        all.extend(others.into_iter().flat_map(|thread| thread.join().expect("no panic")));
        let taken = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), taken);
        assert!(all[0] > 0);
    }
}
