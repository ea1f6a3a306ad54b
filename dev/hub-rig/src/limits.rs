use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_config::file::Time;

/// Returns a count for a limit, which must be above zero.
pub const fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a count above zero")
}

/// Returns a time for a limit.
pub const fn millis(millis: u64) -> Time {
    Time(Duration::from_millis(millis))
}

/// Lets this process have as many connections as it may.
pub fn many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum anybody may go");
}
