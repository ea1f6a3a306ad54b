//! What somebody would write by hand without the pipeline: the other side of the ratios.

use std::future::Future;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

/// What a request carries: 56 bytes, 64 with its reply channel.
pub(crate) type Payload = [u64; 7];

/// A request of the bare chains.
#[derive(Debug)]
pub(crate) struct Bare {
    pub(crate) payload: Payload,
    pub(crate) reply: oneshot::Sender<Payload>,
}

/// The queue depth of every chain, ours too: the pipeline's default.
pub(crate) const DEPTH: usize = 512;

/// The entrance of a bare chain.
#[derive(Clone)]
pub(crate) struct Chain(mpsc::Sender<Bare>);

impl Chain {
    pub(crate) async fn call(&self, payload: Payload) -> Payload {
        let (reply, answer) = oneshot::channel();
        self.0.send(Bare { payload, reply }).await.expect("the chain runs");
        answer.await.expect("the chain answers")
    }

    /// `hops` tasks linked by tokio's mpsc, one item at a time.
    pub(crate) fn plain(hops: usize) -> Self {
        Self::of(hops, |mut rx, out| async move {
            while let Some(item) = rx.recv().await {
                out.hand_on(item).await;
            }
        })
    }

    /// The same with batches: `recv_many` and `reserve_many`.
    pub(crate) fn batched(hops: usize) -> Self {
        Self::of(hops, |mut rx, out| async move {
            let mut batch = Vec::with_capacity(32);
            while rx.recv_many(&mut batch, 32).await > 0 {
                out.hand_on_all(&mut batch).await;
            }
        })
    }

    /// One task: the queue and the reply, all stages fused.
    pub(crate) fn fused() -> Self {
        Self::plain(1)
    }

    /// `hops` tasks, each of which keeps what is pending in a `FuturesUnordered`; in one of them every item is pending
    /// once.
    pub(crate) fn pending(hops: usize, pending_hop: usize) -> Self {
        let mut hop = 0;
        Self::of(hops, move |mut rx, out| {
            let yields = hop == pending_hop;
            hop += 1;
            async move {
                let mut running = FuturesUnordered::new();
                loop {
                    tokio::select! {
                        biased;
                        Some(item) = running.next(), if !running.is_empty() => out.hand_on(item).await,
                        item = rx.recv(), if running.len() < 256 => match item {
                            Some(item) => running.push(async move {
                                if yields {
                                    tokio::task::yield_now().await;
                                }
                                item
                            }),
                            None => break,
                        },
                    }
                }
            }
        })
    }

    fn of<F, Fut>(hops: usize, mut hop: F) -> Self
    where
        F: FnMut(mpsc::Receiver<Bare>, Next) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (entrance, mut rx) = mpsc::channel(DEPTH);
        for left in (0..hops).rev() {
            let (next, following) = if left == 0 {
                (Next::Reply, None)
            } else {
                let (tx, rx) = mpsc::channel(DEPTH);
                (Next::Hop(tx), Some(rx))
            };
            tokio::spawn(hop(rx, next));
            match following {
                Some(following) => rx = following,
                None => break,
            }
        }
        Self(entrance)
    }
}

/// What stands behind a hop.
pub(crate) enum Next {
    Hop(mpsc::Sender<Bare>),
    Reply,
}

impl Next {
    async fn hand_on(&self, item: Bare) {
        match self {
            Self::Hop(next) => next.send(item).await.expect("the chain runs"),
            Self::Reply => _ = item.reply.send(item.payload),
        }
    }

    async fn hand_on_all(&self, batch: &mut Vec<Bare>) {
        match self {
            Self::Hop(next) => {
                let mut items = batch.drain(..);
                while items.len() > 0 {
                    for permit in next.reserve_many(items.len().min(32)).await.expect("the chain runs") {
                        permit.send(items.next().expect("no more permits than items"));
                    }
                }
            }
            Self::Reply => batch.drain(..).for_each(|item| _ = item.reply.send(item.payload)),
        }
    }
}
