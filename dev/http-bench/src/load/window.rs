use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until};

use super::Connection;
use crate::BoxError;

/// So many clients, that ask one model again and again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) model: &'static str,
    /// The events that an answer has at least; 0 asks for one that is not streamed.
    pub(crate) events: usize,
    pub(crate) clients: usize,
    /// How much later each client begins than the one before.
    pub(crate) apart: Duration,
    /// How long nothing is counted at first.
    pub(crate) warm_up: Duration,
    /// How long is counted then.
    pub(crate) window: Duration,
}

/// What came within the window.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Answers that came to their end.
    pub(crate) answers: usize,
    /// Events of streams.
    pub(crate) events: usize,
    /// How long the first tokens of the answers took, or the answers where they are not streamed.
    pub(crate) firsts: Vec<Duration>,
    /// How long the window was.
    pub(crate) took: Duration,
}

impl Load {
    /// Lets the clients ask, and tells what they saw within the window. `edge` is called at its beginning, and what that
    /// returns at its end.
    ///
    /// # Errors
    ///
    /// The first thing that goes wrong for a client.
    pub(crate) async fn run<E, T>(self, at: SocketAddr, edge: impl FnOnce() -> E) -> Result<(Seen, T), BoxError>
    where
        E: FnOnce() -> T,
    {
        LocalSet::new().run_until(self.count(at, edge)).await
    }

    async fn count<E, T>(self, at: SocketAddr, edge: impl FnOnce() -> E) -> Result<(Seen, T), BoxError>
    where
        E: FnOnce() -> T,
    {
        let seen = Rc::new(RefCell::new(Seen::default()));
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            let asking = ask_on(at, self.request(number), self.events, seen.clone());
            let begin = Instant::now() + self.apart * number as u32;
            clients.spawn_local(async move {
                sleep_until(begin).await;
                asking.await
            });
        }
        let begun = Instant::now() + self.warm_up;
        passes(&mut clients, begun).await?;
        *seen.borrow_mut() = Seen::default();
        let begun = Instant::now();
        let edge = edge();
        passes(&mut clients, begun + self.window).await?;
        let told = edge();
        let mut seen = seen.take();
        seen.took = begun.elapsed();
        Ok((seen, told))
    }

    /// Each client is a session of its own.
    fn request(self, number: usize) -> Vec<u8> {
        let prompt = "How does a queue in front of a model server shed what it cannot answer in time?";
        let body = json!({
            "model": self.model, "stream": self.events > 0, "user": format!("client-{number}"), "max_tokens": 4096, "temperature": 0.7,
            "messages": [{"role": "system", "content": "Answer in a few words."}, {"role": "user", "content": prompt}],
        });
        let body = body.to_string();
        let length = body.len();
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

async fn ask_on(at: SocketAddr, request: Vec<u8>, least: usize, seen: Rc<RefCell<Seen>>) -> io::Result<()> {
    let mut connection = Connection::open(at).await?;
    loop {
        let first = connection.ask(&request, least, |events| seen.borrow_mut().events += events).await?;
        let mut seen = seen.borrow_mut();
        seen.answers += 1;
        seen.firsts.push(first);
    }
}

/// Lets time pass; ends early only if a client fails.
async fn passes(clients: &mut JoinSet<io::Result<()>>, until: Instant) -> Result<(), BoxError> {
    tokio::select! {
        () = sleep_until(until) => Ok(()),
        Some(ended) = clients.join_next() => Err(match ended {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) => "a client ended".into(),
            Err(error) => error.into(),
        }),
    }
}
