use orchestrator_config::{Model, Parts, Service};
use orchestrator_core::answer::{Answer, Tokens};
use orchestrator_core::request::PromptRequest;

use super::args::RunArgs;
use super::failure::{Failure, out};
use super::message;
use super::{load, runtime, telemetry};

mod progress;

use progress::Progress;

/// Runs one request; the answer streams to the standard output.
///
/// # Errors
///
/// Where the file cannot be used, it has no such model, or the request was not answered in full.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = load::file(&args.file)?;
    let runtime = runtime::all_cores().map_err(Failure::of)?;
    let answered = runtime.block_on(async {
        telemetry::logs(&config.telemetry)?;
        let service = Parts::connect(&config).await.map_err(Failure::of)?.service().map_err(Failure::of)?;
        let answered = ask(&service, args).await;
        drop(service);
        answered
    });
    runtime.shutdown_background();
    answered
}

async fn ask(service: &Service, args: &RunArgs) -> Result<(), Failure> {
    let model = model(service, args.model.as_deref())?;
    let pipeline = model.chat.as_ref().expect("a model that generates text was looked for");
    let prompt = PromptRequest::new(&*args.prompt);
    let prompt = match &model.upstream {
        Some(upstream) => prompt.model(upstream.clone()),
        None => args.model.iter().fold(prompt, |prompt, asked| prompt.model(&**asked)),
    };
    let answer = pipeline.submit(prompt).await.map_err(Failure::of)?;
    print(answer).await
}

/// The model that is asked for, or the first one that generates text.
fn model<'a>(service: &'a Service, asked: Option<&str>) -> Result<&'a Model, Failure> {
    let generates = |model: &&Model| model.chat.is_some();
    let found = match asked {
        Some(asked) => service.model(asked).filter(generates),
        None => service.models.iter().find(generates),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = service.models.iter().filter(generates).map(message::name).collect();
        Failure::Usage(format!("there is no such model that generates text; there is: {}", names.join(", ")))
    })
}

async fn print(mut answer: Answer<Tokens>) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let failed = loop {
        match progress.next(&mut answer).await {
            Some(Ok(event)) => out(event.text())?,
            Some(Err(error)) => break Some(error),
            None => break None,
        }
    };
    out("\n")?;
    eprintln!("\n{}", answer.report());
    failed.map_or(Ok(()), |error| Err(Failure::of(error)))
}
