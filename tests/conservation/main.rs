//! Every request ends once, whatever callers, workers and stages do, and nothing of it is left.
//!
//! Eight tasks with up to 64 requests each submit 210,000 requests in all to small pipelines of every policy, and 80,000
//! more to a door of one place: they
//! leave at the door, in queues, while stages run and in mid-stream, cancel, detach, stall and set deadlines, while
//! stages and worker fail and panic. What became of each request is counted by the callers and by the worker, and
//! compared with what the pipeline counted.
//!
//! A failing run prints its seed; `CONSERVATION_SEED=n` runs the same choices again (not the same interleaving).
//!
//! - `tokens`: pipelines that call a worker and stream its tokens, by policy and delivery;
//! - `pools`: pipelines that call a pool of members that fail (feature `pool`);
//! - `values`: pipelines of plain stages, by policy, and a door at which callers leave as they are let in;
//! - `chance`: what callers and stages of both do at random;
//! - `run`: has the callers submit, ends the run, and looks at what is left;
//! - `books`: what callers know of their requests, compared with what the pipeline counted.

mod books;
mod chance;
#[cfg(feature = "pool")]
mod pools;
mod run;
mod tokens;
mod values;
