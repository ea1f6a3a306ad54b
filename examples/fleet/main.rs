//! A fleet of model servers behind one pool, in the terminal: two llama-servers that are killed every few seconds, and a third
//! that says it is well and answers nobody. Every answer must be the one that a server gives that nobody disturbs.
//!
//! ```sh
//! cargo run --release --example fleet --features llamacpp,openai,pool,test-util -- --server BINARY --model FILE
//!     [--seconds 30] [--requests 4] [--kill-every SECONDS|off]
//! ```
//!
//! BINARY is a `llama-server`, FILE a model for it; in this repository `dev/llama-server` and `dev/tiny-model slow` bring both.
//! In a terminal the table is redrawn in place, elsewhere it is printed every two seconds.
//!
//! Ends with exit code 2 where the arguments make no sense, and with 1 where an answer was lost or differs.

mod arguments;
mod broken;
mod conversation;
mod kills;
mod screen;
mod server;
mod table;
mod tally;
mod traffic;
mod view;
#[path = "../shared/watched.rs"]
mod watched;

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prompt_orchestrator::pool::policy::{PeakEwma, SessionAffinity};
use prompt_orchestrator::pool::{BreakerConfig, FailOver, Member, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::server::ScriptedServer;
use prompt_orchestrator::worker::Timeouts;
use tokio::time::{Instant, interval};

use arguments::{Arguments, USAGE};
use conversation::Conversation;
use screen::Screen;
use server::Server;
use tally::{State, Tally};
use view::View;
use watched::Watched;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    };
    let outcome = run(&arguments).await?;
    print!("\n{outcome}");
    Ok(if outcome.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(arguments: &Arguments) -> Result<State, Box<dyn Error>> {
    let Arguments { server, model, .. } = arguments;
    let mut servers = [Server::start("north", server, model).await?, Server::start("south", server, model).await?];
    let workers = [LlamaCpp::connect(servers[0].base_url()).await?, LlamaCpp::connect(servers[1].base_url()).await?];
    println!("  two servers run; they rehearse {} conversations", arguments.requests);
    let conversations = rehearse(&workers, arguments.requests).await?;

    let broken = broken::start().await?;
    let workers = workers.map(Watched::new);
    let (of_north, of_south) = (workers[0].streaming(), workers[1].streaming());
    let pool = pool(workers, &broken)?;
    let retry = Arc::new(Retry::new(pool.clone()));
    let worker = FailOver::new(retry.clone());
    let front = Pipeline::builder("fleet")
        // Nobody is refused: with both servers away for a moment, callers wait.
        .stage_with(InferenceStage::new(worker), StageConfig::new().shed(ShedPolicy::Backpressure))
        .stage(StreamStage::default())
        .build()?;
    let tally = Arc::new(Tally::new());
    let up = servers.iter().map(|server| (server.name, server.up())).collect();
    let view = View { pool, tally: tally.clone(), up };

    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = traffic::start(&front, conversations, &tally, &stop);
    let until = Instant::now() + arguments.time;
    let [north, south] = &mut servers;
    let time = async {
        tokio::select! {
            ended = kills::run([(north, of_north), (south, of_south)], arguments.kill_every, until, &tally) => ended,
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    };
    let all = async {
        let ended = time.await;
        stop.store(true, Ordering::Relaxed);
        while callers.join_next().await.is_some() {}
        ended
    };
    watch(&view, all).await??;
    let (mut state, made) = (tally.lock().clone(), retry.stats());
    (state.retries, state.out_of_budget) = (made.retries, made.out_of_budget);
    Ok(state)
}

/// The servers share the conversations, and do nothing else meanwhile.
async fn rehearse(workers: &[LlamaCpp; 2], conversations: usize) -> Result<Vec<Conversation>, Box<dyn Error>> {
    let part = async |first: usize| {
        let mut all = Vec::new();
        for number in (first..conversations).step_by(2) {
            all.push(Conversation::rehearse(number, &workers[first]).await?);
        }
        Ok::<_, Box<dyn Error>>(all)
    };
    let (north, south) = tokio::try_join!(part(0), part(1))?;
    Ok(north.into_iter().chain(south).collect())
}

/// All three as one. A session goes to the server that has its conversation in the cache.
fn pool(workers: [Watched<LlamaCpp>; 2], broken: &ScriptedServer) -> Result<Pool, Box<dyn Error>> {
    let [north, south] = workers;
    let limits = Timeouts::default().first_token(Duration::from_secs(10)).between_tokens(Duration::from_secs(5));
    // Who hangs up twice is gone, and not just clumsy.
    let soon = BreakerConfig::new().in_a_row(2);
    let broken = OpenAi::builder().base_url(broken.base_url()).name("broken").build()?;
    let pool = Pool::builder("fleet")
        .member(Member::new("north", north).timeouts(limits).breaker(soon))
        .member(Member::new("south", south).timeouts(limits).breaker(soon))
        .member(Member::new("broken", broken).timeouts(limits).in_flight(1))
        .policy(SessionAffinity::new().otherwise(PeakEwma::new()))
        .health_every(Duration::from_millis(500))
        .build()?;
    Ok(pool)
}

/// Shows the view until `work` has ended, and once more then.
async fn watch<T>(view: &View, work: impl Future<Output = T>) -> std::io::Result<T> {
    let mut screen = Screen::of_stdout();
    let mut ticks = interval(screen.every());
    let mut work = pin!(work);
    loop {
        let ended = tokio::select! {
            ended = &mut work => Some(ended),
            _ = ticks.tick() => None,
        };
        let events: Vec<_> = view.tally.lock().events.drain(..).collect();
        screen.show(&view.lines(screen.is_terminal()), events)?;
        if let Some(ended) = ended {
            return Ok(ended);
        }
    }
}
