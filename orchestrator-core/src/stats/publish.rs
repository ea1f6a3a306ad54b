use metrics::{Counter, Gauge, Label};

use crate::error::{RefuseReason, ShedReason};
use crate::runtime::shared::Shared;
use crate::stats::{Counts, Histogram};

/// The most values that a histogram of the facade is given at a time.
///
/// Exporters take them one by one, 17 ns each: unthinned, a million requests per second would cost a fifth of a core.
/// Counters are exact always, histograms up to this many values per second.
const MOST_VALUES: u64 = 4096;

/// Passes what a pipeline counts on to the `metrics` facade, as differences to the last time.
///
/// The handles are resolved when it is made, at the pipeline's first submission: a recorder that is installed later
/// sees nothing of the pipeline.
pub(crate) struct Publisher {
    pipeline: Vec<CounterSource>,
    refused: [(Counter, u64); RefuseReason::ALL.len()],
    in_flight: GaugeSource,
    total: HistogramSource,
    first_token: HistogramSource,
    between_tokens: HistogramSource,
    stages: Vec<Stage>,
}

struct CounterSource {
    counter: Counter,
    read: fn(&Counts) -> u64,
    seen: u64,
}

impl CounterSource {
    fn new(counter: Counter, read: fn(&Counts) -> u64) -> Self {
        Self { counter, read, seen: 0 }
    }

    /// Adds what is new; two pipelines of one name share a counter, so it is never set.
    fn pass_on(&mut self, counts: &Counts) {
        let now = (self.read)(counts);
        self.counter.increment(now - self.seen);
        self.seen = now;
    }
}

/// A gauge by its changes, for the same reason.
struct GaugeSource {
    gauge: Gauge,
    seen: f64,
}

impl GaugeSource {
    fn new(gauge: Gauge) -> Self {
        Self { gauge, seen: 0.0 }
    }

    fn pass_on(&mut self, now: f64) {
        if now < self.seen {
            self.gauge.decrement(self.seen - now);
        } else {
            self.gauge.increment(now - self.seen);
        }
        self.seen = now;
    }
}

struct HistogramSource {
    handle: metrics::Histogram,
    seen: Box<[u64]>,
}

struct Stage {
    depth: GaugeSource,
    wait: HistogramSource,
    run: HistogramSource,
    shed: [(Counter, u64); ShedReason::ALL.len()],
}

impl HistogramSource {
    fn new(handle: metrics::Histogram) -> Self {
        Self { handle, seen: Histogram::unseen() }
    }

    fn pass_on(&mut self, from: &Histogram) {
        from.deltas(&mut self.seen, MOST_VALUES, |value, count| self.handle.record_many(value, count as usize));
    }
}

impl Publisher {
    pub(crate) fn new(shared: &Shared) -> Self {
        let base = vec![Label::new("pipeline", shared.name.to_string())];
        let with = |key: &'static str, value: String| {
            let mut labels = base.clone();
            labels.push(Label::new(key, value));
            labels
        };
        describe();
        let outcome = |name: &str, read| {
            CounterSource::new(metrics::counter!("orchestrator_requests_total", with("outcome", name.to_owned())), read)
        };
        let tokens = |kind: &str, read| {
            CounterSource::new(metrics::counter!("orchestrator_tokens_total", with("kind", kind.to_owned())), read)
        };
        Self {
            pipeline: vec![
                outcome("answered", |s| s.answered),
                outcome("failed", |s| s.failed),
                outcome("shed", |s| s.shed),
                outcome("cancelled", |s| s.cancelled),
                outcome("withdrawn", |s| s.withdrawn),
                outcome("refused", |s| s.refused.iter().sum()),
                tokens("prompt", |s| s.usage.prompt_tokens),
                tokens("cached", |s| s.usage.cached_tokens),
                tokens("completion", |s| s.usage.completion_tokens),
                CounterSource::new(metrics::counter!("orchestrator_panics_total", base.clone()), |s| s.panics),
            ],
            refused: RefuseReason::ALL.map(|reason| {
                let labels = with("reason", reason.as_str().to_owned());
                (metrics::counter!("orchestrator_refused_total", labels), 0)
            }),
            in_flight: GaugeSource::new(metrics::gauge!("orchestrator_in_flight", base.clone())),
            total: HistogramSource::new(metrics::histogram!("orchestrator_request_seconds", base.clone())),
            first_token: HistogramSource::new(metrics::histogram!(
                "orchestrator_time_to_first_token_seconds",
                base.clone()
            )),
            between_tokens: HistogramSource::new(metrics::histogram!("orchestrator_inter_token_seconds", base.clone())),
            stages: shared
                .stages
                .iter()
                .map(|stage| {
                    let labels = with("stage", stage.name.to_string());
                    Stage {
                        depth: GaugeSource::new(metrics::gauge!("orchestrator_queue_depth", labels.clone())),
                        wait: HistogramSource::new(metrics::histogram!(
                            "orchestrator_stage_wait_seconds",
                            labels.clone()
                        )),
                        run: HistogramSource::new(metrics::histogram!(
                            "orchestrator_stage_run_seconds",
                            labels.clone()
                        )),
                        shed: ShedReason::ALL.map(|reason| {
                            let mut labels = labels.clone();
                            labels.push(Label::new("reason", reason.as_str()));
                            (metrics::counter!("orchestrator_shed_total", labels), 0)
                        }),
                    }
                })
                .collect(),
        }
    }

    /// Passes on what has come since the last call.
    pub(crate) fn publish(&mut self, shared: &Shared) {
        let counts = shared.counters.read();
        for source in &mut self.pipeline {
            source.pass_on(&counts);
        }
        for ((counter, seen), now) in self.refused.iter_mut().zip(counts.refused) {
            counter.increment(now - *seen);
            *seen = now;
        }
        self.in_flight.pass_on(shared.in_flight() as f64);
        self.total.pass_on(&shared.counters.total);
        self.first_token.pass_on(&shared.counters.first_token);
        self.between_tokens.pass_on(&shared.counters.between_tokens);
        for (handles, stage) in self.stages.iter_mut().zip(&shared.stages) {
            let depth = stage.segment.map_or(0, |s| shared.segments[s].queue.depth().admitted);
            handles.depth.pass_on(depth as f64);
            handles.wait.pass_on(&stage.wait);
            handles.run.pass_on(&stage.run);
            for ((counter, seen), now) in handles.shed.iter_mut().zip(stage.sheds()) {
                counter.increment(now - *seen);
                *seen = now;
            }
        }
    }
}

fn describe() {
    use metrics::Unit::{Count, Seconds};
    metrics::describe_counter!("orchestrator_requests_total", Count, "requests by how they ended");
    metrics::describe_counter!("orchestrator_refused_total", Count, "requests refused at the door by reason");
    metrics::describe_counter!("orchestrator_shed_total", Count, "requests dropped from a stage's queue by reason");
    metrics::describe_counter!("orchestrator_panics_total", Count, "panics caught in stages and workers");
    metrics::describe_counter!("orchestrator_tokens_total", Count, "tokens as the workers counted them");
    metrics::describe_gauge!("orchestrator_in_flight", Count, "requests let in and not ended");
    metrics::describe_gauge!("orchestrator_queue_depth", Count, "requests in a stage's queue");
    metrics::describe_histogram!("orchestrator_request_seconds", Seconds, "submission to answer");
    metrics::describe_histogram!("orchestrator_time_to_first_token_seconds", Seconds, "submission to first token");
    metrics::describe_histogram!("orchestrator_inter_token_seconds", Seconds, "one token to the next");
    metrics::describe_histogram!("orchestrator_stage_wait_seconds", Seconds, "time in a stage's queue");
    metrics::describe_histogram!("orchestrator_stage_run_seconds", Seconds, "time in a stage's run");
}
