//! What runs a request: its shared cell, the permits that it holds, and the tasks that carry it from queue to queue.
//!
//! | file | story |
//! |---|---|
//! | [`cell`] | one request: options, outcome, where it lies; who settles it and how it is taken out |
//! | [`extra`] | what only some requests need: permits held beyond a run, values kept, what is told of a stream |
//! | [`id`] | its number |
//! | [`times`] | what it took, stage by stage |
//! | [`permit`] | what the concurrency limit of a segment counts |
//! | [`job`] | a request with its payload, as it lies in a queue |
//! | [`segment`] | the task behind one queue: pops, runs its chain of nodes, keeps limits and deadlines |
//! | [`supply`], [`timer`] | the server's slots that it has at hand, and the one timer that it sets |
//! | [`node`] | the links of that chain: what a segment runs one after the other |
//! | [`stage_node`] | one stage: first poll in place, the rest of what is pending |
//! | [`sink`] | the end of a chain: the next queue, or the answer |
//! | [`shared`] | what all requests and tasks of a pipeline share |
//! | [`watch`] | time limits of streams, and the passing on of metrics |

pub(crate) mod cell;
pub(crate) mod clock;
pub(crate) mod extra;
pub(crate) mod id;
pub(crate) mod job;
pub(crate) mod node;
pub(crate) mod order;
pub(crate) mod permit;
pub(crate) mod running;
pub(crate) mod segment;
pub(crate) mod shared;
pub(crate) mod sink;
pub(crate) mod spans;
pub(crate) mod stage_node;
pub(crate) mod supply;
pub(crate) mod timer;
pub(crate) mod times;
pub(crate) mod watch;
