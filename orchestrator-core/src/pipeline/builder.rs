use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::Desk;
use crate::context::Context;
use crate::error::{BoxError, BuildError, Fault};
use crate::pipeline::Pipeline;
use crate::queue::{CoDelTicks, NEVER, Queue, Rules};
use crate::request::Input;
use crate::runtime::clock::later;
use crate::runtime::job::{Job, Waiter};
use crate::runtime::node::BoxNode;
use crate::runtime::permit::Gate;
use crate::runtime::segment::Segment;
use crate::runtime::shared::{Segment as SegmentView, Shared};
use crate::runtime::sink::{AnswerSink, QueueSink};
use crate::runtime::stage_node::{Site, stage_node};
use crate::stage::{Placement, Plan, ShedPolicy, Stage, StageConfig, Then};
use crate::stats::StageCounters;
use crate::tenants::Tenants;

/// A task of the pipeline that has not been spawned yet.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Puts a pipeline together, stage by stage.
///
/// Made by [`Pipeline::builder`]. `Cur` is what the last stage so far hands on; a stage that does not take it does not
/// compile.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<In, Cur> {
    parts: Parts<In>,
    /// Makes the nodes of all stages so far in front of what follows; a chain is built from its end.
    chain: Chain<Cur>,
}

/// What of a pipeline does not depend on its last stage.
struct Parts<In> {
    name: String,
    faults: Vec<Fault>,
    stages: Vec<StageCounters>,
    segments: Vec<SegmentView>,
    door: Option<Arc<Queue<Job<In>, Waiter>>>,
    /// What the first stage's placement says of its queue.
    policy: Option<ShedPolicy>,
    tenants: Tenants,
}

/// The first queue, what it does when it is full, and what tenants are entitled to.
pub(crate) struct Door<In> {
    pub(crate) queue: Arc<Queue<Job<In>, Waiter>>,
    pub(crate) policy: ShedPolicy,
    pub(crate) tenants: Tenants,
    /// Whether anybody has a limit.
    pub(crate) limited: bool,
}

/// Where the last stage so far hands its output to.
enum Tail<T> {
    /// A stage in the same segment, or the answer.
    Node(BoxNode<T>),
    /// The queue of the next segment.
    Queue { queue: Arc<Queue<Job<T>, Waiter>>, policy: ShedPolicy, segment: usize },
}

type Chain<T> = Box<dyn FnOnce(Tail<T>, &mut Assembly) + Send>;

/// What the chain is assembled with.
struct Assembly {
    shared: Arc<Shared>,
    tasks: Vec<Task>,
}

impl<In: Input> Builder<In, In> {
    pub(crate) fn new(name: &str) -> Self {
        let parts = Parts {
            name: name.to_owned(),
            faults: Vec::new(),
            stages: Vec::new(),
            segments: Vec::new(),
            door: None,
            policy: None,
            tenants: Tenants::new(),
        };
        // In front of the first stage is the door, which the pipeline's handle pushes into.
        Self { parts, chain: Box::new(|_, _| {}) }
    }
}

impl<In: Input, Cur: Send + 'static> Builder<In, Cur> {
    /// Adds a stage, placed as it wants to be.
    pub fn stage<S: Stage<Cur>>(self, stage: S) -> Builder<In, S::Out> {
        self.stage_with(stage, StageConfig::new())
    }

    /// Adds a stage; what `config` does not set comes from the stage's own defaults.
    pub fn stage_with<S: Stage<Cur>>(mut self, stage: S, config: StageConfig) -> Builder<In, S::Out> {
        let name = self.parts.unique_name(stage.name());
        if let Err(invalid) = stage.check() {
            self.parts.faults.push(Fault::of_stage(&name, invalid));
        }
        let first = self.parts.stages.is_empty();
        if !first {
            config.check_inline(&name, &mut self.parts.faults);
        }
        let config = config.or(stage.defaults());
        if !first {
            config.check_slots(&name, &mut self.parts.faults);
        }
        let mut plan = config.plan(&name, &mut self.parts.faults);
        if first && plan.placement == Placement::Inline {
            plan.placement = Placement::Queued;
        }
        if plan.placement == Placement::Inline {
            self.inline(stage, name, plan)
        } else {
            self.queued(stage, name, plan)
        }
    }

    /// Adds a closure as a stage.
    ///
    /// ```
    /// use orchestrator_core::prelude::*;
    ///
    /// let pipeline = Pipeline::builder("count")
    ///     .then("count", |_cx, text: String| async move { Ok::<_, BoxError>(text.len()) })
    ///     .build()?;
    /// # Ok::<_, BuildError>(())
    /// ```
    pub fn then<F, Fut, Out, E>(self, name: &'static str, step: F) -> Builder<In, Out>
    where
        F: Fn(Context, Cur) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out, E>> + Send + 'static,
        Out: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.then_with(name, StageConfig::new(), step)
    }

    /// Adds a closure as a stage, placed by `config`.
    pub fn then_with<F, Fut, Out, E>(self, name: &'static str, config: StageConfig, step: F) -> Builder<In, Out>
    where
        F: Fn(Context, Cur) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out, E>> + Send + 'static,
        Out: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.stage_with(Then::new(name, step), config)
    }

    /// Sets what tenants are entitled to: their shares, and how much they may ask for.
    ///
    /// Unless it is set all have the same share and no limit. Give all pipelines of a service a clone of the same
    /// [`Tenants`], so that a limit holds for all of them together.
    pub fn tenants(mut self, tenants: Tenants) -> Self {
        self.parts.tenants = tenants;
        self
    }

    /// Builds the pipeline.
    ///
    /// Needs no runtime: its tasks start with the first submission, on the runtime of that.
    ///
    /// # Errors
    ///
    /// Reports every fault of the plan at once.
    pub fn build(mut self) -> Result<Pipeline<In, Cur>, BuildError> {
        if self.parts.name.is_empty() {
            self.parts.faults.insert(0, Fault::new(None, "name", "must not be empty"));
        }
        if self.parts.stages.is_empty() {
            self.parts.faults.push(Fault::new(None, "stages", "must not be empty"));
        }
        let books = self.parts.segments.iter().any(|segment| segment.desk.is_some());
        if self.parts.policy == Some(ShedPolicy::Predictive) && !books {
            let problem = "predicts nothing where no stage takes slots";
            self.parts.faults.push(Fault::new(self.parts.stages.first().map(|s| &*s.name), "shed", problem));
        }
        self.parts.faults.extend(self.parts.tenants.faults());
        let queue = match self.parts.door {
            Some(queue) if self.parts.faults.is_empty() => queue,
            _ => return Err(BuildError::new(&self.parts.name, self.parts.faults)),
        };
        let default = if books { ShedPolicy::Predictive } else { ShedPolicy::Backpressure };
        let door = Door {
            queue,
            policy: self.parts.policy.unwrap_or(default),
            limited: self.parts.tenants.have_limits(),
            tenants: self.parts.tenants,
        };
        let shared = Arc::new(Shared::new(&self.parts.name, self.parts.segments, self.parts.stages));
        let mut assembly = Assembly { shared: shared.clone(), tasks: Vec::new() };
        (self.chain)(Tail::Node(Box::new(AnswerSink::new(shared.clone()))), &mut assembly);
        Ok(Pipeline::new(shared, door, assembly.tasks))
    }

    /// Adds a stage behind a queue: it begins a segment.
    fn queued<S: Stage<Cur>>(mut self, stage: S, name: Arc<str>, plan: Plan) -> Builder<In, S::Out> {
        let number = self.parts.segments.len();
        self.parts.check_policy(number, &name, &plan);
        let rules = self.parts.rules(&plan);
        let desk = plan.slots.clone().map(|slots| Desk::new(slots, number, &plan, rules.max_wait, rules.aging));
        let queue = Arc::new(Queue::new(number as u32, rules));
        let gate = Arc::new(Gate::default());
        let first_stage = self.parts.stages.len();
        self.parts.segments.push(SegmentView::new(name.clone(), first_stage, queue.clone(), gate.clone(), desk));
        if number == 0 {
            // `Cur` is `In` here; there is no other way to say so than to ask.
            let any: Box<dyn std::any::Any> = Box::new(queue.clone());
            if let Ok(queue) = any.downcast::<Arc<Queue<Job<In>, Waiter>>>() {
                self.parts.door = Some(*queue);
            }
        }
        let stage_number = self.parts.stages.len();
        self.parts.stages.push(StageCounters::new(name, Some(number)));
        let before = self.chain;
        let chain: Chain<S::Out> = Box::new(move |tail, assembly| {
            let node = node(stage, stage_number, gate, plan.clone(), tail, assembly);
            let segment = Segment::new(number, assembly.shared.clone(), queue.clone(), node, &plan);
            assembly.tasks.push(Box::pin(segment));
            before(Tail::Queue { queue, policy: plan.shed.unwrap_or_default(), segment: number }, assembly);
        });
        Builder { parts: self.parts, chain }
    }

    /// Adds a stage at the end of the segment so far.
    fn inline<S: Stage<Cur>>(mut self, stage: S, name: Arc<str>, plan: Plan) -> Builder<In, S::Out> {
        let gate = self.parts.segments.last().map(|s| s.gate.clone()).unwrap_or_default();
        let stage_number = self.parts.stages.len();
        self.parts.stages.push(StageCounters::new(name, None));
        let before = self.chain;
        let chain: Chain<S::Out> = Box::new(move |tail, assembly| {
            let node = node(stage, stage_number, gate, plan, tail, assembly);
            before(Tail::Node(node), assembly);
        });
        Builder { parts: self.parts, chain }
    }
}

impl<In> Parts<In> {
    /// Notes the door's policy; a door that predicts is the only one that can.
    fn check_policy(&mut self, segment: usize, stage: &str, plan: &Plan) {
        if segment == 0 {
            self.policy = plan.shed;
        } else if plan.shed == Some(ShedPolicy::Predictive) {
            let problem = "predicts at the door, so that only the first stage can have it";
            self.faults.push(Fault::new(Some(stage), "shed", problem));
        }
    }

    /// How the queue in front of a stage treats what lies in it.
    fn rules(&self, plan: &Plan) -> Rules {
        const MAX_WAIT: Duration = Duration::from_secs(2);
        let predicts = self.policy.is_none_or(|policy| policy == ShedPolicy::Predictive);
        let default = (predicts && plan.slots.is_some()).then_some(MAX_WAIT);
        Rules {
            depth: plan.depth.get(),
            max_wait: plan.max_wait.or(default).map_or(NEVER, |time| later(0, time)),
            aging: later(0, plan.aging),
            codel: match plan.shed {
                Some(ShedPolicy::CoDel(codel)) => {
                    Some(CoDelTicks { target: later(0, codel.target), interval: later(0, codel.interval) })
                }
                _ => None,
            },
        }
    }

    /// The stage's name, numbered where an earlier stage has the same.
    fn unique_name(&self, name: &str) -> Arc<str> {
        let taken = |name: &str| self.stages.iter().any(|s| &*s.name == name);
        if !taken(name) {
            return name.into();
        }
        let numbered = (2..).map(|n| format!("{name}-{n}")).find(|n| !taken(n));
        numbered.unwrap_or_default().into()
    }
}

fn node<S, In>(
    stage: S,
    number: usize,
    gate: Arc<Gate>,
    plan: Plan,
    tail: Tail<S::Out>,
    assembly: &Assembly,
) -> BoxNode<In>
where
    S: Stage<In>,
    In: Send + 'static,
{
    let next = match tail {
        Tail::Node(node) => node,
        Tail::Queue { queue, policy, segment } => Box::new(QueueSink::new(queue, policy, gate.clone(), segment)),
    };
    stage_node(stage, Site { shared: assembly.shared.clone(), stage: number, gate, plan }, next)
}

impl<In, Cur> fmt::Debug for Builder<In, Cur> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages: Vec<_> = self.parts.stages.iter().map(|s| &*s.name).collect();
        f.debug_struct("Builder").field("name", &self.parts.name).field("stages", &stages).finish_non_exhaustive()
    }
}
