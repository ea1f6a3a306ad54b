use futures_util::future::join;
use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, TestResult};
use workers_llamacpp::LlamaCpp;

pub(crate) async fn vectors_come_from_a_server_for_them(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().embeddings().arg("--pooling").arg("mean").start()?;
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let embedder = worker.embedder();
    assert_eq!(embedder.name(), "tiny");
    let texts = ["hello world", "the quick", "hello world", "fox", "a queue of models", "x y z"];
    let vectors = embedder.embed(&texts).await?;
    assert_eq!(vectors.len(), texts.len());
    assert!(vectors.iter().all(|vector| vector.len() == 64));
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);

    // Side by side with others the same texts have the same vectors, though the server would mix them up.
    let other = LlamaCpp::connect(server.base_url()).await?.embedder();
    let turned: Vec<&str> = texts.iter().rev().copied().collect();
    for _ in 0..10 {
        let (again, backwards) = join(embedder.embed(&texts), other.embed(&turned)).await;
        assert_eq!(again?, vectors);
        assert!(backwards?.iter().rev().eq(&vectors));
    }
    assert_eq!(worker.slots().expect("slots").free(), 2);
    Ok(())
}

pub(crate) async fn a_server_without_vectors_says_so(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let (one, two) = (worker.embedder(), worker.embedder());
    let (one, two) = join(one.embed(&["x"]), two.embed_query("y")).await;
    let error = one.expect_err("it was not started for that");
    assert_eq!((error.kind(), error.status()), (WorkerErrorKind::NotFound, Some(501)));
    assert!(error.to_string().contains("--embeddings"), "{error}");
    assert!(two.is_err());
    Ok(())
}
