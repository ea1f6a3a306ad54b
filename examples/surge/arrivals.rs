//! When requests come and how long the server needs for them, drawn from fixed seeds: the same for whoever is measured.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use prompt_orchestrator::prelude::Priority;

/// The square of the standard deviation of the logarithm of a lognormal time whose standard deviation is its mean.
const VARIANCE: f64 = std::f64::consts::LN_2;

/// One request of a workload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// When it is meant to come, from the start of the run.
    pub(crate) at: Duration,
    /// How long the server needs for it.
    pub(crate) service: Duration,
    /// What is known of that beforehand.
    pub(crate) told: Option<Duration>,
    pub(crate) priority: Priority,
    pub(crate) tenant: Option<Arc<str>>,
    /// Whether the pipeline is told the tenant.
    pub(crate) named: bool,
}

/// How many requests come in a second.
#[derive(Clone, Debug)]
pub(crate) enum Rate {
    /// The same all the time.
    Even(f64),
    /// Twice the mean and nothing in turns, each for exponentially distributed times.
    OnOff {
        mean: f64,
        /// How long a turn takes on average, in seconds.
        turn: f64,
    },
    /// One after the other: until when, in seconds, and how many. The last stays.
    Steps(Vec<(f64, f64)>),
}

/// How long a request keeps a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    /// Lognormal, with a standard deviation as large as the mean, in seconds. Nobody knows beforehand.
    Spread { mean: f64 },
    /// 0.25 s for nine of ten requests, 8 s for the tenth. Known beforehand, up to 30 %.
    Two,
}

impl Sizes {
    /// The mean, in seconds.
    pub(crate) fn mean(self) -> f64 {
        match self {
            Self::Spread { mean } => mean,
            Self::Two => 0.9 * 0.25 + 0.1 * 8.0,
        }
    }

    /// Draws the time that a request takes, and what is known of it, in seconds.
    fn draw(self, rng: &mut Rng) -> (f64, Option<f64>) {
        match self {
            Self::Spread { mean } => (mean * (VARIANCE.sqrt() * normal(rng) - VARIANCE / 2.0).exp(), None),
            Self::Two => {
                let service = if rng.f64() < 0.1 { 8.0 } else { 0.25 };
                (service, Some(service * (0.7 + 0.6 * rng.f64())))
            }
        }
    }
}

/// Requests of one class and one tenant: a Poisson process whose rate may change.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) rate: Rate,
    pub(crate) sizes: Sizes,
    pub(crate) priority: Priority,
    pub(crate) tenant: Option<Arc<str>>,
    /// Whether the pipeline is told the tenant.
    pub(crate) named: bool,
}

/// The arrivals of several sources in order of time.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// Each with the arrival that it makes next.
    sources: Vec<(Drawn, Arrival)>,
}

impl Arrivals {
    /// Starts at zero; every time is multiplied by `scale`. Each source draws from a seed of its own, so that it makes the
    /// same arrivals whatever the others do.
    pub(crate) fn new(sources: &[Source], seed: u64, scale: f64) -> Self {
        let start = |(number, source): (u64, &Source)| {
            let mut drawn = Drawn::new(source.clone(), seed << 8 | number, scale);
            let first = drawn.next();
            (drawn, first)
        };
        Self { sources: (0..).zip(sources).map(start).collect() }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let (source, next) = self.sources.iter_mut().min_by_key(|(_, next)| next.at)?;
        Some(std::mem::replace(next, source.next()))
    }
}

/// A source on its way.
#[derive(Debug)]
struct Drawn {
    source: Source,
    rng: Rng,
    scale: f64,
    /// When the last one came, in seconds before they are scaled.
    now: f64,
    /// The rate now, and until when it holds.
    stretch: (f64, f64),
    /// How many stretches there were.
    stretches: usize,
}

impl Drawn {
    fn new(source: Source, seed: u64, scale: f64) -> Self {
        let stretch = (0.0, 0.0);
        Self { source, rng: Rng::with_seed(seed), scale, now: 0.0, stretch, stretches: 0 }
    }

    fn next(&mut self) -> Arrival {
        // The rate integrated from one arrival to the next is exponentially distributed.
        let mut need = exponential(&mut self.rng);
        loop {
            let (rate, until) = self.stretch;
            let room = if rate > 0.0 { (until - self.now) * rate } else { 0.0 };
            if need < room {
                self.now += need / rate;
                break;
            }
            need -= room;
            self.now = until;
            self.stretch = self.turn();
        }
        let (service, told) = self.source.sizes.draw(&mut self.rng);
        Arrival {
            at: self.time(self.now),
            service: self.time(service),
            told: told.map(|told| self.time(told)),
            priority: self.source.priority,
            tenant: self.source.tenant.clone(),
            named: self.source.named,
        }
    }

    /// The next stretch: its rate and its end.
    fn turn(&mut self) -> (f64, f64) {
        let number = self.stretches;
        self.stretches += 1;
        match &self.source.rate {
            Rate::Even(rate) => (*rate, f64::INFINITY),
            Rate::OnOff { mean, turn } => {
                let rate = if number.is_multiple_of(2) { 2.0 * mean } else { 0.0 };
                (rate, self.now + turn * exponential(&mut self.rng))
            }
            Rate::Steps(steps) => match steps.get(number) {
                Some(&(until, rate)) if number + 1 < steps.len() => (rate, until),
                _ => (steps.last().map_or(0.0, |&(_, rate)| rate), f64::INFINITY),
            },
        }
    }

    fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.scale)
    }
}

/// Exponentially distributed around 1.
fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

/// Normally distributed around 0, by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    (2.0 * exponential(rng)).sqrt() * (TAU * rng.f64()).cos()
}
