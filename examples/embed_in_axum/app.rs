//! A service that was there before: a shop with its products. What it takes to answer questions is marked with NEW.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, Json, Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Router, serve};
use prompt_orchestrator::pipeline::DrainReport;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::ask::{self, Assistant};

/// How long requests that are inside may take to finish when the service stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long clients may then take to read what they have been sent.
const READING: Duration = Duration::from_secs(5);

/// What the shop sells.
#[derive(Clone, Serialize)]
pub(crate) struct Product {
    name: &'static str,
    cents: u32,
}

/// The state of the service.
#[derive(Clone)]
pub(crate) struct AppState {
    products: Arc<BTreeMap<u32, Product>>,
    // NEW: a pipeline is a cheap handle.
    assistant: Assistant,
}

// NEW: lets the handlers of `ask` find their part of the state.
impl FromRef<AppState> for Assistant {
    fn from_ref(state: &AppState) -> Self {
        state.assistant.clone()
    }
}

impl AppState {
    pub(crate) fn new(assistant: Assistant) -> Self {
        let products = [(1, Product { name: "kettle", cents: 2_450 }), (2, Product { name: "teapot", cents: 3_900 })];
        Self { products: Arc::new(BTreeMap::from(products)), assistant }
    }
}

fn router(state: AppState) -> Router {
    Router::new()
        .route("/products/{id}", get(product))
        .merge(ask::routes()) // NEW
        .with_state(state)
}

async fn product(State(state): State<AppState>, Path(id): Path<u32>) -> Result<Json<Product>, StatusCode> {
    state.products.get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Serves until `stop`, and then until everybody has been told.
///
/// While the pipeline drains, the service still listens: questions are refused as such, everything else works. Only
/// then the listener closes, and open connections have some time to be read out.
///
/// # Errors
///
/// Fails where the server ends by itself.
pub(crate) async fn run(
    listener: TcpListener,
    state: AppState,
    stop: impl Future<Output = ()>,
) -> io::Result<DrainReport> {
    let assistant = state.assistant.clone();
    let (close, closing) = oneshot::channel::<()>();
    // Tokens are small and leave at once.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let server = serve(listener, router(state)).with_graceful_shutdown(async { drop(closing.await) });
    let mut server = server.into_future();

    let drained = async {
        stop.await;
        assistant.drain(GRACE).await // NEW
    };
    let report = tokio::select! {
        report = drained => report,
        ended = &mut server => return Err(ended.err().unwrap_or_else(|| io::Error::other("the server ended by itself"))),
    };
    drop(close);
    // Whoever has not read everything by then does not want it.
    drop(tokio::time::timeout(READING, server).await);
    Ok(report)
}
