//! Slots belong to the server, whoever talks to it.

use std::num::NonZeroUsize;

use orchestrator_core::worker::{ModelWorker, Slots};
use workers_openai::OpenAi;

#[test]
fn workers_of_one_server_share_its_slots_however_they_write_its_url() {
    let two = NonZeroUsize::new(2).expect("not zero");
    let worker = |url: &str| OpenAi::builder().base_url(url).slots(two).build().expect("a worker");
    let one = worker("http://127.0.0.1:7001").slots().expect("slots");
    let same = worker("http://127.0.0.1:7001/v1/").slots().expect("slots");
    let local = worker("http://localhost:7001").slots().expect("slots");
    let other = worker("http://127.0.0.1:7002").slots().expect("slots");
    let slot = one.try_acquire().expect("free");
    assert_eq!((same.free(), local.free(), other.free()), (1, 1, 2));
    assert_eq!(Slots::of_server("http://127.0.0.1:7001", two).free(), 1);
    drop(slot);
}

#[test]
fn a_worker_that_knows_of_no_slots_keeps_to_those_of_another() {
    let plain = OpenAi::builder().base_url("http://127.0.0.1:7003/v1").build().expect("a worker");
    assert!(plain.slots().is_none());
    let told = Slots::of_server("http://127.0.0.1:7003", NonZeroUsize::MIN);
    let slot = told.try_acquire().expect("free");
    assert_eq!(plain.slots().expect("slots").free(), 0);
    drop((slot, told));
    assert!(plain.slots().is_none());
}
