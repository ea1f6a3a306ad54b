//! Pipelines of plain stages: every policy, both ways to end, and a door at which callers leave as they are let in.

use std::time::Duration;

use fastrand::Rng;
use prompt_orchestrator::context::Permit;
use prompt_orchestrator::error::InvalidInput;
use prompt_orchestrator::prelude::*;
use tokio::time::sleep;

use crate::books::Outcome;
use crate::chance::{chance, enter, options, trouble, yields};
use crate::run::{End, Run};

/// Per policy: two ways to end.
const VALUE_REQUESTS: u64 = 18_000;

#[test]
fn values_under_backpressure() {
    values(ShedPolicy::Backpressure);
}

#[test]
fn values_where_newcomers_are_rejected() {
    values(ShedPolicy::RejectNew);
}

#[test]
fn values_where_the_oldest_is_dropped() {
    values(ShedPolicy::DropOldest);
}

/// A request is withdrawn or let in, not both, however close the two come.
#[test]
fn callers_leave_as_they_are_let_in() {
    for _ in 0..4 {
        let run = Run::new("leaving", End::Quiet, 20_000);
        let pipeline = Pipeline::builder("door")
            .then_with("echo", StageConfig::new().depth(1).concurrency(1), |_cx, number: Number| async move {
                match number.value % 16 {
                    0 => Err("expected".into()),
                    _ => Ok::<_, BoxError>(number.value),
                }
            })
            .build();
        run.check(&pipeline.expect("builds"), None, |pipeline, mut rng| async move {
            let number = Number { value: rng.u64(1..1000), options: RequestOptions::new() };
            let patience = rng.u32(0..4);
            let entered = tokio::select! {
                biased;
                entered = pipeline.submit(number) => entered,
                () = yields(patience) => return Outcome::LeftAtDoor,
            };
            match entered.expect("there is no reason to refuse it").output().await {
                Ok(_) => Outcome::Answered,
                Err(error) => Outcome::inside(&error),
            }
        });
    }
}

fn values(policy: ShedPolicy) {
    for end in [End::Quiet, End::Rush] {
        let run = Run::new(&format!("{policy:?}, values, {end:?}"), end, VALUE_REQUESTS / 2);
        run.check(&value_pipeline(policy).expect("builds"), None, number_life);
    }
}

/// An input that carries its options and may be wrong.
#[derive(Debug)]
struct Number {
    value: u64,
    options: RequestOptions,
}

impl Input for Number {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.options)
    }

    fn validate(&self) -> Result<(), InvalidInput> {
        if self.value == 0 { Err(InvalidInput::new("value", "must not be zero")) } else { Ok(()) }
    }
}

/// An output that keeps its place in the stage that made it.
type Held = (u64, Permit);

fn value_pipeline(policy: ShedPolicy) -> Result<Pipeline<Number, Held>, BuildError> {
    let small = StageConfig::new().shed(policy).depth(4);
    Pipeline::builder("conservation")
        .then_with("first", small.clone().concurrency(2), |cx, number: Number| async move {
            trouble(&mut chance(&cx, 0)).await.map(|()| (number.value, cx.hold_permit()))
        })
        .then_with("spawned", small.clone().spawned().timeout(Duration::from_millis(2)), |cx, held: Held| async move {
            let mut rng = chance(&cx, 1);
            trouble(&mut rng).await?;
            if rng.u8(0..50) == 0 {
                sleep(Duration::from_millis(4)).await;
            }
            Ok::<_, BoxError>(held.0)
        })
        .then_with("ordered", small.clone().ordered().concurrency(8), |cx, value: u64| async move {
            let mut rng = chance(&cx, 2);
            trouble(&mut rng).await?;
            if rng.u8(0..50) == 0 { Ok::<_, BoxError>(cx.offload(move || value).await?) } else { Ok(value) }
        })
        .then_with("inline", StageConfig::new().inline(), |cx, value: u64| async move {
            trouble(&mut chance(&cx, 3)).await.map(|()| value)
        })
        .then_with("last", small.concurrency(16).depth(8), |cx, value: u64| async move {
            trouble(&mut chance(&cx, 4)).await.map(|()| (value, cx.hold_permit()))
        })
        .build()
}

async fn number_life(pipeline: Pipeline<Number, Held>, mut rng: Rng) -> Outcome {
    let value = rng.u64(0..100);
    let number = Number { value, options: options(&mut rng) };
    let mut answer = match enter(&pipeline, number, &mut rng).await {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    let patience = rng.u32(0..12);
    match rng.u8(0..100) {
        0..25 => {
            yields(patience).await;
            Outcome::LeftInside
        }
        25..35 => {
            yields(patience).await;
            answer.detach();
            Outcome::LeftInside
        }
        35..50 => {
            yields(patience).await;
            answer.cancel();
            output(answer, value).await
        }
        50..60 => {
            let left = tokio::select! {
                biased;
                result = answer.output() => Some(result),
                () = yields(patience) => None,
            };
            left.map_or(Outcome::LeftInside, |result| told(result, value))
        }
        _ => output(answer, value).await,
    }
}

async fn output(mut answer: Answer<Held>, value: u64) -> Outcome {
    told(answer.output().await, value)
}

fn told(result: Result<Held, Error>, value: u64) -> Outcome {
    match result {
        Ok((output, _permit)) => {
            assert_eq!(output, value, "somebody else's answer");
            Outcome::Answered
        }
        Err(error) => Outcome::inside(&error),
    }
}
