//! A server with a model of each kind that the clients' tests ask for.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_config::file::{Config, Limits};
use orchestrator_config::{Embeddings, Format, Model, Parts, Service, Texts};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::ToolCallDelta;
use orchestrator_hub::server::Server;
use orchestrator_hub::{Gateway, Key, Keys};
use sha2::Digest;
use test_peers::{LlamaServer, Peer};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The key that the server takes.
pub(crate) const KEY: &str = "sk-of-the-clients";

/// What of the server a file says: the models that real servers answer for.
const FILE: &str = "
[workers.slow]
kind = 'llamacpp'
url = '${CHAT_URL}'

[workers.embed]
kind = 'llamacpp'
url = '${EMBED_URL}'
embeddings = 'embed'

[workers.tools]
kind = 'llamacpp'
url = '${TOOLS_URL}'

[[models]]
name = 'slow'
worker = 'slow'

[[models]]
name = 'embed'
embeddings = 'embed'

[[models]]
name = 'tools'
worker = 'tools'
";

/// The server, and what stands behind it. All of it ends with this.
pub(crate) struct Front {
    address: SocketAddr,
    /// Another one, which takes no keys and answers for whatever model it is asked for.
    open: SocketAddr,
    chat: LlamaServer,
    embed: LlamaServer,
    _tools: LlamaServer,
    _runtime: Runtime,
}

impl Front {
    pub(crate) fn start() -> io::Result<Self> {
        let chat = LlamaServer::builder().model(test_peers::Model::Slow).parallel(4).context(8192).start()?;
        let embed = LlamaServer::builder().embeddings().start()?;
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/clients/tools.jinja");
        let tools = LlamaServer::builder().arg("--chat-template-file").arg(tools.display().to_string()).start()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let urls = [("CHAT_URL", &chat), ("EMBED_URL", &embed), ("TOOLS_URL", &tools)];
        let serving = async { Ok::<_, BoxError>((serve(urls).await?, serve_any().await?)) };
        let (address, open) = runtime.block_on(serving).map_err(io::Error::other)?;
        Ok(Self { address, open, chat, embed, _tools: tools, _runtime: runtime })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn open_url(&self) -> String {
        format!("http://{}", self.open)
    }

    pub(crate) fn llama(&self) -> String {
        self.chat.base_url()
    }

    /// The server that embeds.
    pub(crate) fn embed(&self) -> String {
        self.embed.base_url()
    }
}

impl Peer for Front {
    fn log(&self) -> String {
        self.chat.log()
    }
}

async fn serve(urls: [(&str, &LlamaServer); 3]) -> Result<SocketAddr, BoxError> {
    let urls = urls.map(|(name, server)| (name.to_owned(), server.base_url()));
    let config = Config::parse("clients.toml", FILE, Format::Toml, urls)?;
    let real = Parts::connect(&config).await?.service()?;
    let models = real.models.iter().cloned().chain(scripted()?).collect();
    let key = Key { sha256: sha2::Sha256::digest(KEY).into(), tenant: None, priority: Priority::Normal };
    listen(Service::new(models, Vec::new()), Keys::from_iter([key])).await
}

/// What no real server does when it is told to.
fn scripted() -> Result<Vec<Model>, BuildError> {
    let refuses = || {
        let error = WorkerError::new(WorkerErrorKind::RateLimited, "too many requests");
        Script::new().fail(error.with_retry_after(Duration::from_secs(1)))
    };
    let asked = AtomicUsize::new(0);
    let fails_once = MockWorker::with(move |_| match asked.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => refuses(),
        _ => Script::answering("there you are"),
    });
    Ok(vec![
        answering("caller", MockWorker::with(call))?,
        answering("fails-once", fails_once)?,
        answering("limited", MockWorker::with(move |_| refuses()))?,
        answering("hangs", MockWorker::new(Script::new().hang()))?,
    ])
}

async fn serve_any() -> Result<SocketAddr, BoxError> {
    let mut any = answering("*", MockWorker::new(Script::answering("there you are")))?;
    let embed = |_, texts: Texts| async move {
        let vectors = texts.0.iter().map(|text| vec![text.len() as f32]).collect();
        Ok::<_, WorkerError>(Embeddings { vectors, tokens: 0 })
    };
    any.embeddings = Some(Pipeline::builder("*").then("embed", embed).build()?);
    listen(Service::new(vec![any], Vec::new()), Keys::default()).await
}

/// It ends with the runtime.
async fn listen(service: Service, keys: Keys) -> Result<SocketAddr, BoxError> {
    let limits = Limits::default();
    let server = Server::bind(&["127.0.0.1:0".parse()?], limits.clone())?;
    let address = server.addresses()?[0];
    let gateway = Gateway::new(service, keys, limits, None);
    tokio::spawn(server.run(gateway, CancellationToken::new()));
    Ok(address)
}

fn answering(name: &str, worker: impl ModelWorker) -> Result<Model, BuildError> {
    let pipeline = Pipeline::builder(name).stage(InferenceStage::new(worker)).stage(StreamStage::default().direct());
    let mut model = Model::new(name);
    model.chat = Some(pipeline.build()?);
    Ok(model)
}

/// Calls a tool, and once it has its result, repeats that.
fn call(request: &InferenceRequest) -> Script {
    let last = request.messages.last().expect("a prompt has a message");
    if last.answers().is_some() {
        return Script::answering(&last.text());
    }
    let piece = |piece| TokenEvent::ToolCall(Box::new(piece));
    Script::new()
        .event(piece(ToolCallDelta::new(0, "").opening("call-1", "weather")))
        .event(piece(ToolCallDelta::new(0, "{\"city\":")))
        .event(piece(ToolCallDelta::new(0, "\"Oslo\"}")))
        .event(TokenEvent::finish(FinishReason::ToolCalls, Usage::new(1, 1)))
}
