//! A model server that answers from prepared bytes, so that what is measured is what stands before it.
//!
//! The model's name says how it answers, see [`answers::Answers`]. Streams have a chunk per event, as real servers send them.

pub(crate) mod answers;
mod connection;

use std::io;
use std::rc::Rc;

use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use self::answers::Answers;

/// Answers on two ports of the system's choice, which it prints on a line.
pub(crate) async fn serve() -> io::Result<io::Error> {
    let listeners = [TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?];
    println!("{} {}", listeners[0].local_addr()?, listeners[1].local_addr()?);
    let answers = Rc::new(Answers::new());
    let [a, b] = listeners.map(|listener| accept(listener, answers.clone()));
    let connections = LocalSet::new();
    let failed = connections.run_until(async {
        tokio::select! {
            failed = a => failed,
            failed = b => failed,
        }
    });
    Ok(failed.await)
}

/// The tasks of connections belong to the set that it runs in, and end with it.
async fn accept(listener: TcpListener, answers: Rc<Answers>) -> io::Error {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => return error,
        };
        let answers = answers.clone();
        spawn_local(async move {
            // Clients leave as they please.
            let _ = connection::serve(stream, &answers).await;
        });
    }
}
