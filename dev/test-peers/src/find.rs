use std::path::{Path, PathBuf};
use std::process::Command;

/// The commands that bring what [`server`] and [`models`] look for.
pub(crate) const BRING: &str = "dev/llama-server && dev/tiny-model";

/// Where llama-server is: `LLAMA_SERVER`, or where `dev/llama-server` puts it.
pub(crate) fn server() -> Result<PathBuf, String> {
    let path = match std::env::var_os("LLAMA_SERVER") {
        Some(path) => PathBuf::from(path),
        None => ask("llama-server", &[])?,
    };
    existing(path)
}

/// The model file of a kind: in the folder `TINY_MODELS`, or where `dev/tiny-model` puts it.
pub(crate) fn model(kind: &str) -> Result<PathBuf, String> {
    let folder = match std::env::var_os("TINY_MODELS") {
        Some(models) => Path::new(&models).join(kind),
        None => ask("tiny-model", &[kind])?,
    };
    existing(folder.join("model.gguf"))
}

fn existing(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_file() { Ok(path) } else { Err(format!("there is no {}", path.display())) }
}

/// Asks a script of the `dev` folder where it puts things.
fn ask(script: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(script);
    let output = Command::new(&script)
        .args(arguments)
        .arg("--where")
        .output()
        .map_err(|error| format!("failed to run {}: {error}", script.display()))?;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(told.trim().into()) } else { Err(format!("{} failed", script.display())) }
}
