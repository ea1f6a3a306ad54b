use super::model::{Fault, Model};
use super::*;
use crate::{FailOver, Member, Pool, Retry};

const WORDS: &[&str] = &["to ", "be ", "or ", "not"];

fn pool<const N: usize>(members: [(&str, &Model); N]) -> Pool {
    let builder = Pool::builder("fleet").health_every(None).policy(crate::policy::Ordered::new());
    let pool = members.into_iter().fold(builder, |pool, (name, model)| pool.member(Member::new(name, model.clone())));
    pool.build().expect("some members")
}

fn over<const N: usize>(members: [(&str, &Model); N]) -> FailOver<Retry<Pool>> {
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

fn refuses() -> Fault {
    Fault::Call(error(WorkerErrorKind::InvalidRequest))
}

#[tokio::test(start_paused = true)]
async fn who_refuses_to_go_on_does_not_speak_for_the_others() {
    for retried in [true, false] {
        let (mac, gpu, box_) = (Model::new(WORDS).faults([garbled(2)]), Model::new(WORDS), Model::new(WORDS));
        let gpu = gpu.faults([refuses()]);
        let members = [("mac", &mac), ("gpu", &gpu), ("box", &box_)];
        let read = match retried {
            true => ask(&over(members), plain()).await,
            false => ask(&FailOver::new(pool(members)), plain()).await,
        };
        assert_eq!((read.text.as_str(), gpu.calls(), box_.calls()), ("to be or not", 1, 1), "retried: {retried}");
        let origin = read.finish().origin.clone().expect("who it was");
        let failed: Vec<_> = origin.failed.iter().map(|failed| (failed.worker.as_str(), failed.goes_on)).collect();
        assert_eq!((origin.worker.as_str(), failed), ("box", vec![("mac", false), ("gpu", true)]));
    }
}

#[tokio::test(start_paused = true)]
async fn who_refuses_to_go_on_may_begin_anew() {
    let gone = std::iter::repeat_n(Fault::Call(error(WorkerErrorKind::Auth)), 20);
    let mac = Model::new(WORDS).faults([garbled(2)].into_iter().chain(gone));
    let gpu = Model::new(WORDS).faults([refuses()]);
    let read = ask(&over([("mac", &mac), ("gpu", &gpu)]).resets(true), plain()).await;
    assert_eq!((read.text.as_str(), read.resets, gpu.calls()), ("to be or not", 1, 2));
    assert_eq!((gpu.prefix(0).is_some(), gpu.prefix(1)), (true, None));
}

#[tokio::test(start_paused = true)]
async fn where_all_refuse_to_go_on_the_answer_is_cut_after_each_has_said_so() {
    let mac = Model::new(WORDS).faults([garbled(2)]);
    let others = [(); 2].map(|()| Model::new(WORDS).faults([refuses()]));
    let read = ask(&over([("mac", &mac), ("gpu", &others[0]), ("box", &others[1])]), plain()).await;
    assert_eq!((read.text.as_str(), read.error().kind()), ("to be ", WorkerErrorKind::Protocol));
    assert_eq!((others[0].calls(), others[1].calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stop_text_across_the_seam_is_told_of_the_member_that_went_on() {
    let model = || Model::new(&["to ", "E", "N", "D", " be"]);
    let (mac, gpu) = (model().faults([garbled(2)]), model());
    let fleet = pool([("mac", &mac), ("gpu", &gpu)]);
    let read = ask(&FailOver::new(Retry::new(fleet.clone())), request(PromptRequest::new("?").stop("END"))).await;
    let finish = read.finish();
    let origin = finish.origin.as_ref().expect("who it was");
    assert_eq!((read.text.as_str(), finish.reason), ("to E", FinishReason::Stop));
    assert_eq!((origin.worker.as_str(), origin.failed.len()), ("gpu", 1));
    assert!(fleet.stats().members.iter().all(|member| member.in_flight == 0));
}

#[tokio::test(start_paused = true)]
async fn a_retry_inside_of_a_member_gives_up_that_member_only() {
    let gone = std::iter::repeat_n(Fault::Call(error(WorkerErrorKind::Auth)), 20);
    let (mac, gpu) = (Model::new(WORDS).faults(gone), Model::new(WORDS));
    let members = [Member::new("mac", Retry::new(mac)), Member::new("gpu", gpu)];
    let fleet = Pool::builder("fleet").health_every(None).policy(crate::policy::Ordered::new());
    let fleet = members.into_iter().fold(fleet, |fleet, member| fleet.member(member)).build().expect("two members");
    assert_eq!(ask(&FailOver::new(fleet), plain()).await.text, "to be or not");
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_until_a_breaker_lets_somebody_go_on_with_it() {
    let gone = || Fault::Call(error(WorkerErrorKind::Transient));
    let breaker = || crate::BreakerConfig::new().in_a_row(1);
    let mac = Model::new(WORDS).faults([Fault::After(2, None)]);
    let gpu = Model::new(WORDS).faults([gone(), gone()]);
    let builder = Pool::builder("fleet").health_every(None).policy(crate::policy::Ordered::new());
    let member = |name: &str, model: &Model| Member::new(name, model.clone()).breaker(breaker());
    let pool = builder.member(member("mac", &mac)).member(member("gpu", &gpu)).build().expect("two members");
    let asked = plain();
    let (attempts, started) = (asked.attempts.clone(), tokio::time::Instant::now());
    let read = ask(&FailOver::new(Retry::new(pool)), asked).await;
    assert_eq!(read.text, "to be or not");
    let named: Vec<_> = attempts.all().into_iter().map(|attempt| attempt.worker).collect();
    assert!(!named.contains(&"fleet".to_owned()), "nobody was asked in its name: {named:?}");
    assert!(named.len() < 6 && started.elapsed() < Duration::from_secs(30), "{named:?}, {:?}", started.elapsed());
}
