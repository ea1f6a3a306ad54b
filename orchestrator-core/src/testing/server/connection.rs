use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Script;
use super::reply::Step;
use crate::testing::server::{Exchange, Outcome, Request, Seen};

/// What a reply leaves of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next request may come.
    Open,
    /// To be closed with FIN.
    Closed,
    /// To be closed with RST.
    Reset,
}

/// Answers the requests of one connection, one after the other, until one side closes it.
pub(super) async fn serve(mut stream: TcpStream, script: Arc<Script>, seen: Arc<watch::Sender<Seen>>) {
    let _open = Open::enter(&seen);
    // Without it what was written in pieces would arrive as one. Where it cannot be set, the client is gone.
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::new();
    while let Ok(Some(request)) = Request::read(&mut stream, &mut buffer).await {
        let request = Arc::new(request);
        let steps = script(&request).steps;
        let exchange = Number::enter(&seen, &request);
        let after = reply(&mut stream, &mut buffer, steps, &exchange).await;
        exchange.leave(if after.is_some() { Outcome::Answered } else { Outcome::ClientLeft });
        match after {
            Some(After::Open) if request.keeps_alive() => {}
            Some(After::Reset) => {
                // Where it cannot be set, the connection is gone already.
                let _ = stream.set_zero_linger();
                return;
            }
            _ => return,
        }
    }
}

/// Follows the steps of a reply; `None` where the client leaves before their end.
async fn reply(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    steps: Vec<Step>,
    exchange: &Number<'_>,
) -> Option<After> {
    let (mut reader, mut writer) = stream.split();
    let steps = pin!(follow(&mut writer, steps, exchange));
    match select(steps, pin!(gone(&mut reader, buffer))).await {
        Either::Left((after, _)) => after.ok(),
        Either::Right(_) => None,
    }
}

/// Waits until the client closes or resets the connection.
///
/// What it sends before that is the beginning of its next request. One that closes its writing half alone counts as gone: no
/// client of a model server does.
async fn gone(reader: &mut ReadHalf<'_>, buffer: &mut BytesMut) {
    while reader.read_buf(buffer).await.is_ok_and(|read| read > 0) {}
}

async fn follow(writer: &mut WriteHalf<'_>, steps: Vec<Step>, exchange: &Number<'_>) -> io::Result<After> {
    for step in steps {
        match step {
            Step::Write(bytes) => write(writer, &bytes, exchange).await?,
            Step::Flood(bytes, times) => {
                for _ in 0..times {
                    write(writer, &bytes, exchange).await?;
                }
            }
            Step::Yield => tokio::task::yield_now().await,
            Step::Delay(time) => tokio::time::sleep(time).await,
            Step::Until(signal) => signal.raised().await,
            Step::Stall => std::future::pending().await,
            Step::Reset => return Ok(After::Reset),
            Step::Close => return Ok(After::Closed),
        }
    }
    Ok(After::Open)
}

async fn write(writer: &mut WriteHalf<'_>, mut bytes: &[u8], exchange: &Number<'_>) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = writer.write(bytes).await?;
        bytes = &bytes[written..];
        exchange.edit(|exchange| exchange.written += written as u64);
    }
    Ok(())
}

/// Counts a connection as open until it is dropped.
struct Open<'a>(&'a watch::Sender<Seen>);

impl<'a> Open<'a> {
    fn enter(seen: &'a watch::Sender<Seen>) -> Self {
        seen.send_modify(|seen| seen.connections.enter());
        Self(seen)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.connections.leave());
    }
}

/// The place of an exchange among all.
struct Number<'a> {
    seen: &'a watch::Sender<Seen>,
    index: usize,
}

impl<'a> Number<'a> {
    fn enter(seen: &'a watch::Sender<Seen>, request: &Arc<Request>) -> Self {
        let mut index = 0;
        seen.send_modify(|seen| {
            index = seen.exchanges.len();
            seen.in_flight.enter();
            let (request, received) = (request.clone(), Instant::now());
            seen.exchanges.push(Exchange { request, received, written: 0, outcome: None, ended: None });
        });
        Self { seen, index }
    }

    fn edit(&self, edit: impl FnOnce(&mut Exchange)) {
        self.seen.send_modify(|seen| edit(&mut seen.exchanges[self.index]));
    }

    fn leave(self, outcome: Outcome) {
        self.seen.send_modify(|seen| {
            seen.in_flight.leave();
            let exchange = &mut seen.exchanges[self.index];
            exchange.outcome = Some(outcome);
            exchange.ended = Some(Instant::now());
        });
    }
}
