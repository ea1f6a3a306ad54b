//! The worker held to the contract of all workers.

use orchestrator_core::testing::conformance::{Dialect, Suite, Target};
use workers_openai::OpenAi;

#[tokio::test]
async fn it_conforms() {
    let make = |target: Target| async move {
        let builder = OpenAi::builder().base_url(target.base_url).key(target.key).timeouts(target.timeouts);
        builder.slots(std::num::NonZeroUsize::new(2).expect("not zero")).build().expect("a worker")
    };
    let report = Suite::new(Dialect::openai_chat().marker_optional(true), make).run().await;
    report.assert();
}
