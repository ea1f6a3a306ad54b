//! What a run is made of: which requests come, how many slots there are, how long a wait is still useful, what is counted.

use std::sync::Arc;
use std::time::Duration;

use prompt_orchestrator::prelude::Priority;

use super::arrivals::{Arrivals, Rate, Sizes, Source};

/// How long a request may wait for its slot, in seconds; who got one later has left.
const MAX_WAIT: f64 = 2.0;
/// How long an on/off source is on or off on average, in seconds.
const TURN: f64 = 1.0;
/// How many tenants share the slots; the first is the one that floods.
pub(crate) const TENANTS: usize = 5;
/// The part of its share of the slots that a tenant asks for which floods nobody.
pub(crate) const MODEST: f64 = 0.7;
/// The part of the arrivals that are of the high class, where classes are looked at.
const HIGH: f64 = 0.05;

/// Requests, and the slots that they come for. Times are in seconds before they are scaled.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) name: String,
    /// Arrivals as a multiple of what the slots can serve; of a step, its peak.
    pub(crate) load: f64,
    pub(crate) slots: usize,
    pub(crate) max_wait: f64,
    /// How long a request needs on average.
    pub(crate) mean: f64,
    /// What comes before is not counted: the slots fill up.
    pub(crate) warm_up: f64,
    /// When the last request comes.
    pub(crate) end: f64,
    /// When the load changes.
    pub(crate) steps: Vec<f64>,
    /// What every time is multiplied by.
    pub(crate) scale: f64,
    /// What the arrivals are drawn from.
    seed: u64,
    sources: Vec<Source>,
}

impl Workload {
    /// Makes one source of `load` times what eight slots can serve, with bursts or without, for `seconds`.
    pub(crate) fn steady(sizes: Sizes, bursts: bool, load: f64, seconds: f64) -> Self {
        let name = match sizes {
            Sizes::Spread { .. } => "one-class",
            Sizes::Two => "two-classes",
        };
        let mean = load * 8.0 / sizes.mean();
        let rate = if bursts { Rate::OnOff { mean, turn: TURN } } else { Rate::Even(mean) };
        let mut workload = Self::new(name, load, sizes, seconds);
        workload.name.push_str(if bursts { "-bursts" } else { "" });
        workload.sources = vec![source(rate, sizes)];
        workload
    }

    /// Makes a load of 0.8 that goes up to `peak` for `surge` seconds and back, on 64 slots, 20 ms each.
    pub(crate) fn step(peak: f64, surge: f64) -> Self {
        let sizes = Sizes::Spread { mean: 0.02 };
        let (up, down) = (2.0, 2.0 + surge);
        let end = down + 4.0;
        let levels = [(up, 0.8), (down, peak), (end, 0.8)];
        let rate = Rate::Steps(levels.map(|(until, load)| (until, load * 64.0 / sizes.mean())).to_vec());
        Self {
            slots: 64,
            warm_up: 0.5,
            end,
            steps: vec![up, down],
            sources: vec![source(rate, sizes)],
            ..Self::new(&format!("step-{peak}"), peak, sizes, end)
        }
    }

    /// Makes one arrival in twenty one of the high class.
    pub(crate) fn classes(load: f64, seconds: f64) -> Self {
        let sizes = Sizes::Spread { mean: 1.0 };
        let of = |part: f64, priority| Source { priority, ..source(Rate::Even(part * load * 8.0), sizes) };
        let sources = vec![of(1.0 - HIGH, Priority::Normal), of(HIGH, Priority::High)];
        Self { sources, ..Self::new("classes", load, sizes, seconds) }
    }

    /// Makes five tenants with an equal share of the slots: the first asks for `flood` times its own, the others for 0.7.
    pub(crate) fn tenants(flood: f64, seconds: f64) -> Self {
        let sizes = Sizes::Spread { mean: 1.0 };
        let tenant = |number: usize| {
            let asked = if number == 0 { flood } else { MODEST };
            let tenant = Some(Arc::from(format!("tenant {number}")));
            Source { tenant, ..source(Rate::Even(asked * 8.0 / TENANTS as f64), sizes) }
        };
        let sources = (0..TENANTS).map(tenant).collect();
        let load = (flood + MODEST * (TENANTS - 1) as f64) / TENANTS as f64;
        Self { sources, ..Self::new(&format!("tenants-{flood}"), load, sizes, seconds) }
    }

    /// Keeps it from the pipeline whose requests are whose.
    pub(crate) fn nameless(mut self) -> Self {
        self.name.push_str("-nameless");
        self.sources.iter_mut().for_each(|source| source.named = false);
        self
    }

    /// Draws other requests.
    pub(crate) fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Multiplies every time by `scale`, on top of what was.
    pub(crate) fn scaled(mut self, scale: f64) -> Self {
        self.scale *= scale;
        self
    }

    fn new(name: &str, load: f64, sizes: Sizes, seconds: f64) -> Self {
        let warm_up = 5.0_f64.min(seconds / 4.0);
        let mean = sizes.mean();
        let (slots, max_wait, scale, seed) = (8, MAX_WAIT, 1.0, 0);
        let (steps, sources) = (Vec::new(), Vec::new());
        Self { name: name.to_owned(), load, slots, max_wait, mean, warm_up, end: seconds, steps, scale, seed, sources }
    }

    /// Starts the arrivals, the same at every call. They do not end by themselves.
    pub(crate) fn arrivals(&self) -> Arrivals {
        Arrivals::new(&self.sources, self.seed, self.scale)
    }

    /// What `seconds` are on the clock.
    pub(crate) fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.scale)
    }

    /// How many seconds a time on the clock is.
    pub(crate) fn seconds(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.scale
    }
}

fn source(rate: Rate, sizes: Sizes) -> Source {
    Source { rate, sizes, priority: Priority::Normal, tenant: None, named: true }
}
