use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::pipeline::DrainReport;
use crate::request::Input;
use crate::shards::{Shards, here};

impl<In: Input, Out: Send + 'static> Shards<In, Out> {
    /// Lets nothing more in, finishes what is inside of all shards at once, and after `limit` cancels the rest.
    ///
    /// Like [`Pipeline::drain`](crate::pipeline::Pipeline::drain), and it waits for the [spawned](Self::spawn_on) tasks,
    /// too, which it cancels after `limit` as well; the report counts requests only. Returns when the threads of the shards
    /// have nothing left, and end. There is no way back; a second call waits for the first one's end too.
    ///
    /// # Panics
    ///
    /// Panics where the caller runs on one of the shards: it would wait for itself.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the shards closed; what is inside goes on, and the threads end with it.
    pub async fn drain(&self, limit: Duration) -> DrainReport {
        assert!(
            here::shard(self.inner.set).is_none(),
            "shards are not drained from one of them: it would wait for itself"
        );
        let began = Instant::now();
        let shards = &self.inner.shards;
        shards.iter().for_each(|shard| shard.life.stop.cancel());
        let reports = join_all(shards.iter().map(|shard| shard.pipeline.drain(limit))).await;
        // Only now, as requests that go down with their runtime could not be told from others.
        let gone = || join_all(shards.iter().map(|shard| shard.life.gone.cancelled()));
        if timeout(limit.saturating_sub(began.elapsed()), gone()).await.is_err() {
            shards.iter().for_each(|shard| shard.life.kill.cancel());
            gone().await;
        }
        DrainReport {
            finished: reports.iter().map(|report| report.finished).sum(),
            cancelled: reports.iter().map(|report| report.cancelled).sum(),
        }
    }
}
