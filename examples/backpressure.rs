//! A burst of requests against a slow model server, under each policy: what each caller was told, and when.
//!
//! `cargo run --release --example backpressure`
//!
//! The server is a stand-in that takes four requests at once and 40 ms for each; in front of it is room for 16. What the
//! policies mean is in `docs/overload.md`.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;
use tokio::task::JoinSet;

const CALLERS: usize = 64;
const DEPTH: usize = 16;
const SLOTS: usize = 4;
const SERVICE: Duration = Duration::from_millis(40);
const BUDGET: Duration = Duration::from_millis(100);

/// A server that is busy with a request from its first token to its last.
struct Slow {
    slots: Slots,
}

#[async_trait]
impl ModelWorker for Slow {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        Ok(TokenStream::generate(async move |mut out| {
            out.text("done").await;
            tokio::time::sleep(SERVICE).await;
            out.finish(FinishReason::Stop, Usage::new(1, 1)).await;
            Ok(())
        }))
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.slots.clone())
    }
}

/// How the callers come.
#[derive(Clone, Copy)]
struct Burst {
    policy: ShedPolicy,
    /// Whether they call `try_submit`, which does not wait.
    at_once: bool,
    /// Whether nobody wants the answer later than [`BUDGET`].
    deadline: bool,
}

/// What one caller was told.
struct Told {
    /// How its request ended.
    end: Result<(), ErrorKind>,
    /// When it knew.
    after: Duration,
    /// When its first token came, if one did.
    first_token: Option<Duration>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{CALLERS} callers at once; the server takes {SLOTS} at a time and {SERVICE:?} each; {DEPTH} may wait\n");
    println!("{:40}{:>12}{:>15}{:>7}{:>16}{:>9}", "", "refused", "shed", "", "told after", "waited");
    println!(
        "{:13}{:11}{:7}{:>9}{:>6}{:>6}{:>9}{:>6}{:>7}{:>8}{:>8}{:>9}",
        "policy", "call", "limit", "answered", "full", "late", "evicted", "late", "failed", "p50", "p95", "p95"
    );
    for policy in [ShedPolicy::Backpressure, ShedPolicy::RejectNew, ShedPolicy::DropOldest] {
        for (at_once, deadline) in [(false, false), (true, false), (false, true), (true, true)] {
            println!("{}", row(Burst { policy, at_once, deadline }).await?);
        }
    }
    println!(
        "\nTimes in ms. Told: when a caller knew how its request ended. Waited: until the first token, of the answered."
    );
    Ok(())
}

/// Sends one burst and describes what came of it.
async fn row(burst: Burst) -> Result<String, Box<dyn std::error::Error>> {
    let slots = Slots::new(NonZeroUsize::new(SLOTS).ok_or("no slots")?);
    let pipeline = Pipeline::builder("burst")
        .stage_with(InferenceStage::new(Slow { slots }), StageConfig::new().depth(DEPTH).shed(burst.policy))
        .stage(StreamStage::default())
        .build()?;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(call(pipeline.clone(), burst));
    }
    let told = callers.join_all().await;

    let count = |end: Result<(), ErrorKind>| told.iter().filter(|t| t.end == end).count();
    let full = count(Err(ErrorKind::Refused(RefuseReason::QueueFull)));
    let too_late = count(Err(ErrorKind::Refused(RefuseReason::Deadline)));
    let evicted = count(Err(ErrorKind::Shed(ShedReason::Evicted)));
    let late = count(Err(ErrorKind::Shed(ShedReason::Deadline)));
    let (answered, failed) = (count(Ok(())), count(Err(ErrorKind::Deadline)));
    if answered + full + too_late + evicted + late + failed != CALLERS {
        return Err("a caller was told something else".into());
    }
    let stats = pipeline.stats();
    let booked = [stats.answered, stats.refused, stats.shed, stats.failed, stats.in_flight];
    if booked != [answered, full + too_late, evicted + late, failed, 0].map(|n| n as u64) {
        return Err(format!("the callers were told something else than the pipeline counted: {stats:#?}").into());
    }

    let after = told.iter().map(|t| t.after).collect::<Vec<_>>();
    let waited = told.iter().filter(|t| t.end.is_ok()).filter_map(|t| t.first_token).collect::<Vec<_>>();
    let call = if burst.at_once { "try_submit" } else { "submit" };
    let limit = if burst.deadline { format!("{BUDGET:?}") } else { "-".to_owned() };
    let (p50, p95, waited) = (quantile(after.clone(), 50), quantile(after, 95), quantile(waited, 95));
    Ok(format!(
        "{:13}{call:11}{limit:7}{answered:>9}{full:>6}{too_late:>6}{evicted:>9}{late:>6}{failed:>7}{p50:>8}{p95:>8}{waited:>9}",
        format!("{:?}", burst.policy)
    ))
}

/// One caller.
async fn call(pipeline: Pipeline<PromptRequest, Tokens>, burst: Burst) -> Told {
    let started = Instant::now();
    let mut prompt = PromptRequest::new("Are you done?");
    if burst.deadline {
        prompt = prompt.within(BUDGET);
    }
    let admitted = if burst.at_once { pipeline.try_submit(prompt) } else { pipeline.submit(prompt).await };
    let mut first_token = None;
    let end = match admitted {
        Ok(mut answer) => loop {
            match answer.next().await {
                Some(Ok(event)) if event.is_terminal() => break Ok(()),
                Some(Ok(_)) => first_token = first_token.or_else(|| Some(started.elapsed())),
                Some(Err(error)) => break Err(error.kind()),
                // An answer ends with a terminal event or an error.
                None => break Err(ErrorKind::Cancelled),
            }
        },
        Err(error) => Err(error.kind()),
    };
    Told { end, after: started.elapsed(), first_token }
}

/// A quantile in whole milliseconds, `-` of nothing.
fn quantile(mut times: Vec<Duration>, percent: usize) -> String {
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string())
}
