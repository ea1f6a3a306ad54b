use orchestrator_config::file::Limits;
use orchestrator_config::{Model, Service};
use orchestrator_core::prelude::*;

/// Makes a service of one model, `mock`, whose answers are the worker's. Who would wait too long is refused, as by any other
/// service.
pub fn service(worker: impl ModelWorker) -> Service {
    of(worker, StageConfig::new(), StreamStage::default())
}

/// Makes a service of one model, `mock`. Who finds all slots taken waits; where there are none nobody does.
pub fn patient(worker: impl ModelWorker, limits: &Limits) -> Service {
    let config = StageConfig::new().shed(ShedPolicy::Backpressure).concurrency(4096);
    of(worker, config, StreamStage::default().reader_stall(limits.reader_stall.into()))
}

fn of(worker: impl ModelWorker, config: StageConfig, stream: StreamStage) -> Service {
    let pipeline = Pipeline::builder("mock").stage_with(InferenceStage::new(worker), config).stage(stream.direct());
    let mut model = Model::new("mock");
    model.chat = Some(pipeline.build().expect("the stages fit"));
    Service::new(vec![model], Vec::new())
}
