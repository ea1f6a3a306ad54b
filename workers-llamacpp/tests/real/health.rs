use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::LlamaCpp;

use crate::rig::{call, client, long, slots, until};

pub(crate) async fn health_is_what_the_server_says(_shared: &LlamaServer) -> TestResult {
    let mut server = LlamaServer::builder().model(Model::Slow).parallel(3).context(6144).start()?;
    let worker = LlamaCpp::connect(server.base_url()).await?;
    assert_eq!((worker.info().model.as_deref(), worker.info().context_length), (Some("slow"), Some(2048)));
    assert_eq!(worker.slots().expect("slots").total(), 3);
    let idle = worker.health().await;
    assert!(idle.is_ready());
    assert_eq!((idle.load.running, idle.load.waiting, idle.load.slots), (Some(0), Some(0), Some(3)));

    let mut stream = worker.infer(call(long(PromptRequest::new("tell me")), None)).await?;
    stream.next().await.expect("a token")?;
    let busy = worker.health().await.load;
    assert_eq!(busy.running, Some(1));
    assert!(busy.kv_cache_use.is_some_and(|part| part > 0.0 && part < 0.5), "{busy:?}");
    drop(stream);
    let client = client(&server);
    let is_idle = async || slots(&client).await.iter().all(|slot| slot.is_processing.get() == Some(&false));
    until("an idle server", is_idle).await;
    let after = worker.health().await.load;
    assert!(after.prompt_tokens > Some(0), "{after:?}");
    assert_eq!(after.cached_tokens, Some(0));

    server.kill()?;
    let gone = worker.health().await;
    assert!(!gone.is_ready() && gone.reason.is_some(), "{gone:?}");
    Ok(())
}
