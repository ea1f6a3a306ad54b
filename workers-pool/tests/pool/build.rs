use std::time::Duration;

use workers_pool::{Member, Pool};

use crate::common::{answers, pool};

fn member(name: &str) -> Member {
    Member::new(name, answers("x"))
}

#[test]
fn all_faults_are_told_at_once() {
    let error = Pool::builder("fleet")
        .member(member("mac"))
        .member(member("mac"))
        .member(member("gpu").weight(0.0).cost(f64::NAN).in_flight(0).serves(""))
        .member(member("").weight(f64::NAN))
        .health_every(Duration::ZERO)
        .build()
        .expect_err("much is wrong");
    let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
    assert_eq!(fields, ["health_every", "name", "weight", "cost", "in_flight", "serves", "name", "weight"]);
    assert!(
        error
            .to_string()
            .starts_with("pool `fleet` cannot be so: `health_every` must be above zero; `name` `mac` is taken")
    );
}

#[test]
fn a_pool_begins_with_a_member() {
    let error = Pool::builder("fleet").build().expect_err("it is empty");
    assert_eq!(error.to_string(), "pool `fleet` cannot be so: `members` must not be empty");
}

#[test]
fn what_is_changed_must_be_there_and_make_sense() {
    let pool = pool([member("mac")]);
    assert_eq!(pool.add(member("mac")).expect_err("it is there").faults()[0].field(), "name");
    assert_eq!(pool.add(member("gpu").weight(-1.0)).expect_err("no weight").faults()[0].field(), "weight");
    assert_eq!(pool.set_weight("mac", f64::INFINITY).expect_err("no weight").field(), "weight");
    assert_eq!(pool.set_weight("gpu", 1.0).expect_err("it is not there").field(), "member");
    assert_eq!(pool.remove("gpu").expect_err("it is not there").field(), "member");
    assert_eq!(pool.resume("gpu").expect_err("it is not there").field(), "member");
    assert_eq!(pool.stats().members.len(), 1);
}
