use super::model::{Fault, Model};
use super::*;
use crate::{FailOver, Member, Pool, Retry};

const WORDS: &[&str] = &["to ", "be ", "or ", "not"];

fn pool(members: [(&str, &Model); 2]) -> Pool {
    let builder = Pool::builder("fleet").health_every(None).policy(crate::policy::Ordered::new());
    let pool = members.into_iter().fold(builder, |pool, (name, model)| pool.member(Member::new(name, model.clone())));
    pool.build().expect("two members")
}

fn over(members: [(&str, &Model); 2]) -> FailOver<Retry<Pool>> {
    FailOver::new(Retry::new(pool(members)))
}

fn garbled(after: usize) -> Fault {
    Fault::After(after, Some(error(WorkerErrorKind::Protocol)))
}

#[tokio::test(start_paused = true)]
async fn another_member_goes_on_at_once_by_ids() {
    let (mac, gpu) = (Model::new(WORDS).faults([garbled(2)]), Model::new(WORDS));
    let started = tokio::time::Instant::now();
    let read = ask(&over([("mac", &mac), ("gpu", &gpu)]), plain()).await;
    assert_eq!((read.text.as_str(), started.elapsed()), ("to be or not", Duration::ZERO));
    assert_eq!(gpu.prefix(0).map(|prefix| prefix.token_ids), Some(vec![100, 101]));
    let origin = read.finish().origin.clone().expect("who it was");
    assert_eq!((origin.worker.as_str(), origin.failed[0].worker.as_str(), origin.failed.len()), ("gpu", "mac", 1));
}

#[tokio::test(start_paused = true)]
async fn where_no_other_member_can_go_on_it_starts_again_or_fails() {
    let other = || Model::new(WORDS).known_as(WorkerInfo::new("cloud").model("other").continues());
    let (mac, cloud) = (Model::new(WORDS).faults([garbled(2)]), other());
    let read = ask(&over([("mac", &mac), ("cloud", &cloud)]).resets(true), plain()).await;
    assert_eq!((read.text.as_str(), read.resets, cloud.prefix(0)), ("to be or not", 1, None));
    assert_eq!(read.finish().origin.as_ref().map(|origin| origin.worker.as_str()), Some("cloud"));

    let (mac, cloud) = (Model::new(WORDS).faults([garbled(2)]), other());
    let read = ask(&over([("mac", &mac), ("cloud", &cloud)]), plain()).await;
    assert_eq!((read.text.as_str(), read.error().kind()), ("to be ", WorkerErrorKind::Protocol));
    assert_eq!((mac.calls(), cloud.calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_gone_for_good_does_not_keep_the_answer() {
    let gone = || Fault::Call(error(WorkerErrorKind::Transient));
    let dying = || {
        let faults = std::iter::once(Fault::After(2, None)).chain(std::iter::repeat_n(gone(), 20));
        Model::new(WORDS).faults(faults)
    };
    let other = || Model::new(WORDS).known_as(WorkerInfo::new("cloud").model("other"));
    let (mac, cloud) = (dying(), other());
    let bare = ask(&FailOver::new(pool([("mac", &mac), ("cloud", &cloud)])).resets(true), plain()).await;
    let (retried, cloud) = (dying(), other());
    let inside = ask(&over([("mac", &retried), ("cloud", &cloud)]).resets(true), plain()).await;
    for (read, mac) in [(bare, mac), (inside, retried)] {
        assert_eq!((read.text.as_str(), read.resets, mac.calls()), ("to be or not", 1, 2));
    }
}
