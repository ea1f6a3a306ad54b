use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::corpus::SkipReason;

/// Enough for the deepest file that the reader takes, in a debug build, several times over.
const STACK: usize = 16 << 20;

/// How many threads may be left to themselves at a time.
const MOST_LEFT: usize = 2;

/// The threads that nobody waits for any more.
static LEFT: Left = Left { count: Mutex::new(0), fewer: Condvar::new() };

struct Left {
    count: Mutex<usize>,
    fewer: Condvar,
}

/// Who still has an interest in a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Awaited,
    Left,
    Ended,
}

/// Runs work on a thread of its own, and waits for it up to a time.
///
/// A panic means that the file is broken. Work that takes too long is left to itself; while two pieces of work are, the
/// next waits for one of them to end, within its own time.
pub(super) fn run<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> Result<T, SkipReason> + Send + 'static,
) -> Result<T, SkipReason> {
    let deadline = Instant::now() + time;
    LEFT.wait_until(deadline)?;
    let state = Arc::new(Mutex::new(State::Awaited));
    let (done, outcome) = mpsc::sync_channel(1);
    let ended = Ended(state.clone());
    let started = thread::Builder::new().name("pdf".to_owned()).stack_size(STACK).spawn(move || {
        let _ended = ended;
        // Nobody may wait any more.
        let _ = done.send(work());
    });
    if started.is_err() {
        return Err(SkipReason::Unreadable(io::ErrorKind::OutOfMemory));
    }
    match outcome.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Disconnected) => Err(SkipReason::Broken),
        Err(RecvTimeoutError::Timeout) => {
            let mut state = state.lock().expect("nothing panics under it");
            if *state == State::Awaited {
                *state = State::Left;
                *LEFT.count.lock().expect("nothing panics under it") += 1;
            }
            Err(SkipReason::TimedOut)
        }
    }
}

/// Tells, when the thread ends in whatever way, that there is one less.
struct Ended(Arc<Mutex<State>>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock().expect("nothing panics under it");
        if std::mem::replace(&mut *state, State::Ended) == State::Left {
            *LEFT.count.lock().expect("nothing panics under it") -= 1;
            LEFT.fewer.notify_one();
        }
    }
}

impl Left {
    fn wait_until(&self, deadline: Instant) -> Result<(), SkipReason> {
        let mut count = self.count.lock().expect("nothing panics under it");
        while *count >= MOST_LEFT {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SkipReason::TimedOut);
            }
            count = self.fewer.wait_timeout(count, left).expect("nothing panics under it").0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn work_that_takes_too_long_is_left_and_a_panic_is_a_broken_file() {
        assert_eq!(run(LONG, || Ok(1)), Ok(1));
        assert_eq!(run(LONG, || Err::<(), _>(SkipReason::NoText)), Err(SkipReason::NoText));
        assert_eq!(run(LONG, || -> Result<(), _> { panic!("on purpose") }), Err(SkipReason::Broken));

        let mut held = Vec::new();
        for _ in 0..MOST_LEFT {
            let (let_go, wait) = mpsc::channel::<()>();
            held.push(let_go);
            assert_eq!(run(SHORT, move || wait.recv().map_err(|_| SkipReason::NoText)), Err(SkipReason::TimedOut));
        }
        // No third is started.
        let (started, was_started) = mpsc::channel();
        let third = run(SHORT, move || started.send(()).map_err(|_| SkipReason::NoText));
        assert_eq!(third, Err(SkipReason::TimedOut));
        assert!(was_started.recv().is_err());
        // It goes on as soon as one of them ends.
        drop(held.pop());
        assert_eq!(run(LONG, || Ok(2)), Ok(2));
    }
}
