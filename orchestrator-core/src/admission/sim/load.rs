use fastrand::Rng;

use super::{Size, Tokens};

/// A request as it really is.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// When it arrives, in seconds.
    pub(super) at: f64,
    pub(super) class: usize,
    pub(super) tenant: Option<&'static str>,
    /// Seconds that it needs a slot for while the server has its full speed.
    pub(super) service: f64,
    /// What it says of that.
    pub(super) size: Size,
    /// What the server says of it in the end.
    pub(super) tokens: Option<Tokens>,
    /// Seconds that it spends in the stage before.
    pub(super) before: f64,
}

impl Job {
    pub(super) fn new(at: f64, service: f64) -> Self {
        Self { at, class: 1, tenant: None, service, size: Size::Unknown, tokens: None, before: 0.0 }
    }
}

/// Instants up to `end`, `rate` per second, at random.
pub(super) fn poisson(rng: &mut Rng, rate: f64, end: f64) -> Vec<f64> {
    let gaps = std::iter::repeat_with(|| -(1.0 - rng.f64()).ln() / rate);
    let times = gaps.scan(0.0, |time, gap| {
        *time += gap;
        Some(*time)
    });
    times.take_while(|t| *t < end).collect()
}

/// The same, but all in the first `on` seconds of each `period`.
pub(super) fn bursts(rng: &mut Rng, rate: f64, on: f64, period: f64, end: f64) -> Vec<f64> {
    let inside = poisson(rng, rate * period / on, end * on / period);
    inside.into_iter().map(|t| (t / on).floor() * period + t % on).collect()
}

/// Seconds of mean 1, many short and few long: the logarithm has a standard deviation of 1.
pub(super) fn lognormal(rng: &mut Rng) -> f64 {
    let (radius, angle) = ((-2.0 * (1.0 - rng.f64()).ln()).sqrt(), rng.f64() * std::f64::consts::TAU);
    (radius * angle.cos() - 0.5).exp()
}

/// Nine short ones of a quarter of a second for one of eight seconds; what they say of it is up to 30 % wrong.
pub(super) fn short_or_long(rng: &mut Rng, at: f64) -> Job {
    let service = if rng.f64() < 0.9 { 0.25 } else { 8.0 };
    let noise = 0.7 + 0.6 * rng.f64();
    Job { size: Size::Time(service * noise), ..Job::new(at, service) }
}

/// The mean service of [`short_or_long`].
pub(super) const SHORT_OR_LONG: f64 = 0.9 * 0.25 + 0.1 * 8.0;

/// Jobs at `times`.
pub(super) fn jobs(rng: &mut Rng, times: &[f64], mut job: impl FnMut(&mut Rng, f64) -> Job) -> Vec<Job> {
    times.iter().map(|at| job(rng, *at)).collect()
}
