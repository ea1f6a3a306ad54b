//! Sends requests open loop: each when it is meant to come, whatever became of those before, in a task of its own.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::arrivals::Arrival;
use super::contender::{Door, End};
use super::workload::Workload;

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) arrival: Arrival,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// How it ended, and when its caller knew; `None` where that was after the run.
    pub(crate) end: Option<(End, Instant)>,
}

/// What became of all requests of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) started: Instant,
    pub(crate) records: Vec<Record>,
}

impl Run {
    /// Sends what the workload says, and waits until whatever has a slot at its end is served. Who waits then goes.
    ///
    /// # Cancel safety
    ///
    /// Cancels all requests when dropped.
    pub(crate) async fn of(workload: &Workload, door: &Door) -> Self {
        let mut run = Self { started: Instant::now(), records: Vec::new() };
        let mut requests = JoinSet::new();
        let end = workload.time(workload.end);
        for arrival in workload.arrivals().take_while(|arrival| arrival.at < end) {
            tokio::time::sleep_until(run.started + arrival.at).await;
            let (number, door, sent) = (run.records.len(), door.clone(), Instant::now());
            run.records.push(Record { arrival: arrival.clone(), sent, end: None });
            requests.spawn(async move { (number, door.send(arrival).await, Instant::now()) });
            while let Some(done) = requests.try_join_next() {
                run.note(done);
            }
        }
        let longest = run.records.iter().map(|record| record.arrival.service).max().unwrap_or_default();
        // Tokio's timers are exact to a millisecond.
        let until = run.started + end + longest + Duration::from_millis(20);
        let rest = async {
            while let Some(done) = requests.join_next().await {
                run.note(done);
            }
        };
        // Those who are left by then go with the set.
        drop(tokio::time::timeout_at(until, rest).await);
        run
    }

    fn note(&mut self, done: Result<(usize, End, Instant), JoinError>) {
        let (number, end, told) = done.expect("requests neither panic nor are cancelled");
        self.records[number].end = Some((end, told));
    }
}
