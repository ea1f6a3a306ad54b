use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::corpus::SkipReason;

/// Enough for the deepest file that the reader takes, in a debug build, several times over.
const STACK: usize = 16 << 20;

/// Longer than anybody waits.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The threads that read files, those included that nobody waits for any more.
pub(super) static THREADS: Threads = Threads::new(2);

/// What a number of threads have to have to run.
pub(super) struct Threads {
    free: Mutex<usize>,
    more: Condvar,
}

impl Threads {
    const fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), more: Condvar::new() }
    }

    /// Runs work on a thread of its own, tells it when its time is over, and waits for it until then.
    ///
    /// A panic means that the file is broken. Work that takes too long is left to itself, and its thread still counts; the
    /// next waits for one to be free as long as it may take itself.
    pub(super) fn run<T: Send + 'static>(
        &'static self,
        time: Duration,
        work: impl FnOnce(Instant) -> Result<T, SkipReason> + Send + 'static,
    ) -> Result<T, SkipReason> {
        let permit = self.permit(after(time)).ok_or(SkipReason::Unreadable(io::ErrorKind::ResourceBusy))?;
        let deadline = after(time);
        let (done, outcome) = mpsc::sync_channel(1);
        let started = thread::Builder::new().name("pdf".to_owned()).stack_size(STACK).spawn(move || {
            // Free again before anybody hears of the end, whichever it is.
            let held = permit;
            let outcome = work(deadline);
            drop(held);
            // Nobody may wait any more.
            let _ = done.send(outcome);
        });
        if started.is_err() {
            return Err(SkipReason::Unreadable(io::ErrorKind::OutOfMemory));
        }
        match outcome.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Disconnected) => Err(SkipReason::Broken),
            Err(RecvTimeoutError::Timeout) => Err(SkipReason::TimedOut),
        }
    }

    /// Waits for a thread that may be started; `None` where there is none in time.
    fn permit(&'static self, deadline: Instant) -> Option<Permit> {
        let mut free = self.free.lock().expect("nothing panics under it");
        while *free == 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            free = self.more.wait_timeout(free, left).expect("nothing panics under it").0;
        }
        *free -= 1;
        Some(Permit(self))
    }
}

/// Lets a thread run; it is held by the thread itself.
struct Permit(&'static Threads);

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free.lock().expect("nothing panics under it") += 1;
        self.0.more.notify_one();
    }
}

/// The end of a time from now on; one that the clock does not reach never comes.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn work_that_takes_too_long_is_left_and_a_panic_is_a_broken_file() {
        static THREADS: Threads = Threads::new(2);
        assert_eq!(THREADS.run(LONG, |_| Ok(1)), Ok(1));
        assert_eq!(THREADS.run(Duration::MAX, |_| Ok(1)), Ok(1));
        assert_eq!(THREADS.run(LONG, |_| Err::<(), _>(SkipReason::NoText)), Err(SkipReason::NoText));
        assert_eq!(THREADS.run(LONG, |_| -> Result<(), _> { panic!("on purpose") }), Err(SkipReason::Broken));

        let mut held = Vec::new();
        for _ in 0..2 {
            let (let_go, wait) = mpsc::channel::<()>();
            held.push(let_go);
            let outcome = THREADS.run(SHORT, move |_| wait.recv().map_err(|_| SkipReason::NoText));
            assert_eq!(outcome, Err(SkipReason::TimedOut));
        }
        // No third is started, and that says nothing of its file.
        let (started, was_started) = mpsc::channel();
        let third = THREADS.run(SHORT, move |_| started.send(()).map_err(|_| SkipReason::NoText));
        assert_eq!(third, Err(SkipReason::Unreadable(io::ErrorKind::ResourceBusy)));
        assert!(was_started.recv().is_err());
        // It goes on as soon as one of them ends.
        drop(held.pop());
        assert_eq!(THREADS.run(LONG, |_| Ok(2)), Ok(2));
    }

    #[test]
    fn those_that_start_together_are_no_more_than_those_that_follow_each_other() {
        static THREADS: Threads = Threads::new(2);
        let (let_go, wait) = mpsc::channel::<()>();
        let wait = std::sync::Arc::new(Mutex::new(wait));
        let (started, all_started) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..8 {
                let (started, wait) = (started.clone(), wait.clone());
                scope.spawn(move || {
                    let work = move |_| {
                        started.send(()).expect("the test listens");
                        wait.lock().expect("nothing panics").recv().map_err(|_| SkipReason::NoText)
                    };
                    assert!(THREADS.run(SHORT, work).is_err());
                });
            }
        });
        assert_eq!(all_started.try_iter().count(), 2);
        drop(let_go);
    }
}
