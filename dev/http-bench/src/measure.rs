//! What is measured: the same load in turns on each server, round after round.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

use crate::load::{Load, Seen};
use crate::mock::answers::{LONG, LONG_MODEL, PACE, PACED, PACED_MODEL, SHORT_MODEL};
use crate::peers::{Mock, Peer, Settings, nginx, orchestrator};
use crate::table::{Figures, median};
use crate::{BoxError, Options};

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Answers that are not streamed, 32 at once.
    Answers,
    /// Events of streams that come as fast as they are read.
    Events,
    /// Processor time for an event of 256 streams with an event each 10 ms, and the time to their first token.
    Paced,
    /// What the server holds in memory, idle and with 256 streams.
    Memory,
    /// What metrics and logs cost; ids of requests are always made.
    Observed,
}

const STREAMS: usize = 256;

const MIB: f64 = 1024.0 * 1024.0;

/// The servers, and how long they are looked at.
struct Bench<'a> {
    options: &'a Options,
    figures: Figures,
    // They end in this order, so that nobody finds the model server gone.
    ours: Peer,
    nginx: Peer,
    mock: Mock,
}

/// Measures all that is asked for.
///
/// # Errors
///
/// A server does not start or does not answer; no core is left for the clients.
pub(crate) async fn all(options: &Options) -> Result<Figures, BoxError> {
    keep_off(options.core)?;
    let mock = Mock::start()?;
    let nginx = nginx(options.core, mock.at)?;
    let ours = orchestrator(&options.server, options.core, mock.at, Settings::Observed)?;
    let mut bench = Bench { options, figures: Figures::default(), ours, nginx, mock };
    for round in 0..if options.short { 3 } else { options.rounds } {
        bench.round(round).await?;
    }
    if bench.is_asked(Part::Memory) {
        bench.memory().await?;
    }
    Ok(bench.figures)
}

/// Stays on the core behind that of the servers, and with this process the model server, which it starts.
fn keep_off(core: usize) -> Result<(), BoxError> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let at = cores.iter().position(|id| id.id == core).ok_or("there is no such core")?;
    let next = cores.get((at + 1) % cores.len()).filter(|id| id.id != core).ok_or("one core is not enough")?;
    if core_affinity::set_for_current(*next) { Ok(()) } else { Err("the clients cannot be kept on a core".into()) }
}

impl Bench<'_> {
    fn is_asked(&self, part: Part) -> bool {
        self.options.only.is_empty() || self.options.only.contains(&part)
    }

    async fn round(&mut self, round: usize) -> Result<(), BoxError> {
        if self.is_asked(Part::Answers) {
            self.answers().await?;
        }
        if self.is_asked(Part::Events) {
            self.events().await?;
        }
        if self.is_asked(Part::Paced) {
            self.paced().await?;
        }
        if self.is_asked(Part::Observed) {
            self.observed(round).await?;
        }
        Ok(())
    }

    fn load(&self, model: &'static str, events: usize, clients: usize) -> Load {
        let (warm_up, window) = if self.options.short { (300, 1_000) } else { (500, 3_000) };
        let [warm_up, window] = [warm_up, window].map(Duration::from_millis);
        Load { model, events, clients, apart: Duration::ZERO, warm_up, window }
    }

    async fn answers(&mut self) -> Result<(), BoxError> {
        let load = self.load(SHORT_MODEL, 0, 32);
        let rate = |seen: &Seen| seen.answers as f64 / seen.took.as_secs_f64();
        let direct = rate(&unpinned(load, self.mock.at[0]).await?);
        let (nginx, nginx_busy) = on(load, &self.nginx).await?;
        let (ours, ours_busy) = on(load, &self.ours).await?;
        self.figures.add("answers/direct", direct);
        self.figures.add("answers/nginx", rate(&nginx));
        self.figures.add("answers/nginx, processor", micros(nginx_busy, nginx.answers));
        self.figures.add("answers/nginx, core busy", share(nginx_busy, &nginx));
        self.figures.add("answers/ours", rate(&ours));
        self.figures.add("answers/ours, processor", micros(ours_busy, ours.answers));
        self.figures.add("answers/ours, core busy", share(ours_busy, &ours));
        self.figures.add("answers/ours over nginx", rate(&ours) / rate(&nginx));
        Ok(())
    }

    async fn events(&mut self) -> Result<(), BoxError> {
        let load = self.load(LONG_MODEL, LONG, 16);
        let rate = |seen: &Seen| seen.events as f64 / seen.took.as_secs_f64();
        let direct = rate(&unpinned(load, self.mock.at[0]).await?);
        let (nginx, nginx_busy) = on(load, &self.nginx).await?;
        let (ours, ours_busy) = on(load, &self.ours).await?;
        self.figures.add("events/direct", direct);
        self.figures.add("events/nginx", rate(&nginx));
        self.figures.add("events/nginx, processor", micros(nginx_busy, nginx.events));
        self.figures.add("events/nginx, core busy", share(nginx_busy, &nginx));
        self.figures.add("events/ours", rate(&ours));
        self.figures.add("events/ours, processor", micros(ours_busy, ours.events));
        self.figures.add("events/ours, core busy", share(ours_busy, &ours));
        Ok(())
    }

    /// Streams that begin evenly over the time that one takes, so that as many begin at any moment.
    fn streams(&self) -> Load {
        let apart = PACE * (PACED / STREAMS) as u32 + PACE / 4;
        let window = Duration::from_secs(if self.options.short { 3 } else { 6 });
        let warm_up = apart * STREAMS as u32 + Duration::from_millis(200);
        Load { apart, warm_up, window, ..self.load(PACED_MODEL, PACED, STREAMS) }
    }

    async fn paced(&mut self) -> Result<(), BoxError> {
        let load = self.streams();
        let direct = unpinned(load, self.mock.at[0]).await?;
        let (nginx, nginx_busy) = on(load, &self.nginx).await?;
        let (ours, ours_busy) = on(load, &self.ours).await?;
        let [cost, nginx_cost] = [micros(ours_busy, ours.events), micros(nginx_busy, nginx.events)];
        self.figures.add("paced/ours", cost);
        self.figures.add("paced/nginx", nginx_cost);
        self.figures.add("paced/ours over nginx", cost / nginx_cost);
        self.figures.add("paced/ours on time", ours.events as f64 / direct.events as f64);
        self.figures.add("first token/direct", first(&direct));
        self.figures.add("first token/nginx, added", first(&nginx) - first(&direct));
        self.figures.add("first token/ours, added", first(&ours) - first(&direct));
        Ok(())
    }

    /// Each with a server that has done nothing else, and in turns first.
    async fn observed(&mut self, round: usize) -> Result<(), BoxError> {
        let mut costs = [(Settings::Observed, 0.0), (Settings::Unobserved, 0.0)];
        costs.rotate_left(round % 2);
        for (settings, cost) in &mut costs {
            *cost = self.cost(*settings).await?;
        }
        costs.rotate_left(round % 2);
        let [(_, on), (_, off)] = costs;
        self.figures.add("observed/us per answer", on);
        self.figures.add("observed/on over off", on / off);
        Ok(())
    }

    /// The processor time of an answer, in microseconds, of a server of its own.
    async fn cost(&self, settings: Settings) -> Result<f64, BoxError> {
        let fresh = self.fresh(settings)?;
        let (seen, busy) = on(self.load(SHORT_MODEL, 0, 32), &fresh).await?;
        Ok(micros(busy, seen.answers))
    }

    /// A server that has done nothing yet.
    fn fresh(&self, settings: Settings) -> Result<Peer, BoxError> {
        orchestrator(&self.options.server, self.options.core, self.mock.at, settings)
    }

    async fn memory(&mut self) -> Result<(), BoxError> {
        let fresh = self.fresh(Settings::Observed)?;
        self.figures.add("memory/idle", fresh.process.memory()?.resident as f64 / MIB);
        on(self.streams(), &fresh).await?;
        self.figures.add("memory/256 streams", fresh.process.memory()?.peak as f64 / MIB);
        Ok(())
    }
}

/// Puts a load on a server, and tells with what was seen the processor time that it took.
async fn on(load: Load, peer: &Peer) -> Result<(Seen, Duration), BoxError> {
    let edge = || {
        let before = peer.process.busy();
        move || Ok::<_, BoxError>(peer.process.busy()?.saturating_sub(before?))
    };
    let (seen, busy) = load.run(peer.at, edge).await?;
    Ok((seen, busy?))
}

async fn unpinned(load: Load, at: SocketAddr) -> Result<Seen, BoxError> {
    let (seen, ()) = load.run(at, || || ()).await?;
    Ok(seen)
}

/// Processor time for one of many, in microseconds.
fn micros(busy: Duration, of: usize) -> f64 {
    busy.as_secs_f64() / of as f64 * 1e6
}

fn share(busy: Duration, seen: &Seen) -> f64 {
    busy.as_secs_f64() / seen.took.as_secs_f64()
}

/// The median time to the first token, in milliseconds.
fn first(seen: &Seen) -> f64 {
    median(&seen.firsts.iter().map(|first| first.as_secs_f64() * 1e3).collect::<Vec<_>>())
}
