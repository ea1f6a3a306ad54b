//! The client against a server that does what each test says.

mod classified;
mod lines;
mod secrets;
mod settings;
mod streams;
mod transport;

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use orchestrator_core::error::WorkerError;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use serde_json::json;
use workers_openai::client::{Client, Frames};

/// Long enough for anything on loopback; where it passes, the test has failed.
const SOON: Duration = Duration::from_secs(10);

async fn server(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(script).await.expect("a port")
}

fn client(server: &ScriptedServer) -> Client {
    Client::builder(server.base_url()).build().expect("a client")
}

async fn open(client: &Client) -> Result<Frames, WorkerError> {
    let body = json!({"stream": true});
    let stream = client.stream("/stream", &body, HeaderMap::new());
    tokio::time::timeout(SOON, stream).await.expect("in time")
}

/// The error of a stream that does not begin.
async fn refused(reply: Reply) -> WorkerError {
    let server = server(move |_| reply.clone()).await;
    open(&client(&server)).await.expect_err("no stream")
}

async fn next(frames: &mut Frames) -> Option<Result<Bytes, WorkerError>> {
    tokio::time::timeout(SOON, frames.next()).await.expect("in time")
}
