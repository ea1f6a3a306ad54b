use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// LLM pipelines behind OpenAI's and Anthropic's APIs.
#[derive(Debug, Parser)]
#[command(name = "orchestrator", version)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArgs),
    /// Say all that is wrong with a file, each fault with its place.
    Check {
        /// The file, TOML or YAML.
        file: PathBuf,
    },
    Run(RunArgs),
    /// Make an API key: the key is for a client, its SHA-256 for the file.
    Key,
    /// Print the JSON schema of the file.
    Schema,
}

/// Serve what a file says; without one, the servers given by --backend, or else answers from a folder of documents.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The file, TOML or YAML.
    #[arg(conflicts_with_all = ["backends", "docs"])]
    pub(super) file: Option<PathBuf>,
    /// Where to listen instead of what the file says, or of 127.0.0.1:8080; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Vec<SocketAddr>,
    /// A llama.cpp, vLLM, or any server that speaks OpenAI's API; several are one pool.
    #[arg(long = "backend", value_name = "URL")]
    pub(super) backends: Vec<String>,
    /// A folder of documents to answer from; ./docs or the current folder where there is no backend either.
    #[arg(long, value_name = "FOLDER")]
    pub(super) docs: Option<PathBuf>,
    /// Listen beyond this machine also where no API keys are asked for.
    #[arg(long)]
    pub(super) public: bool,
}

/// Run one request of a file in the terminal.
///
/// The answer goes to the standard output, what the stages take to the standard error.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The file, TOML or YAML.
    pub(super) file: PathBuf,
    /// What to ask.
    pub(super) prompt: String,
    /// The model; the first of the file unless given.
    #[arg(long)]
    pub(super) model: Option<String>,
}
