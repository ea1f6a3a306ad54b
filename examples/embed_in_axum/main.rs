//! An axum service that answers questions beside what it did before.
//!
//! `ask.rs` is the part to copy; `app.rs` is a service that it is put into, with what is new there marked. It answers
//! from the files in `docs/`, offline:
//!
//! ```sh
//! cargo run --release --example embed_in_axum [-- ADDRESS]
//! curl -N -H 'content-type: application/json' -d '{"question": "How does shedding work?"}' localhost:3000/ask
//! curl -H 'content-type: application/json' -d '{"question": "What is a slot?"}' localhost:3000/ask.json
//! curl -i -H 'content-type: application/json' -d '{"question": " "}' localhost:3000/ask
//! curl localhost:3000/products/1
//! ```

mod app;
mod ask;

use prompt_orchestrator::prelude::*;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).init();
    let docs = Bm25Index::from_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).await?;
    let state = app::AppState::new(ask::assistant(docs, Extractive::default(), 64)?);

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let report = app::run(listener, state, stop()).await?;
    println!("{} finished, {} cancelled", report.finished, report.cancelled);
    Ok(())
}

/// Waits for Ctrl-C, or for what a supervisor sends.
async fn stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    drop(tokio::signal::ctrl_c().await);
}
