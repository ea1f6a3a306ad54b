use std::convert::Infallible;
use std::pin::pin;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::listen::{Shared, prepare};

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, shared: Shared) {
    prepare(&stream);
    let gateway = shared.gateway;
    let service = service_fn(move |request: http::Request<Incoming>| {
        let gateway = gateway.clone();
        async move { Ok::<_, Infallible>(gateway.call(request).await) }
    });
    let mut connection = pin!(shared.http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.kill.cancelled() => return,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = shared.kill.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}
