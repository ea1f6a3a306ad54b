//! What the example's command line asks for, and what it complains of.

use std::error::Error;

use super::*;
use arguments::Arguments;
use verdict::complaints;

fn read(line: &str) -> Result<Arguments, Box<dyn Error>> {
    Arguments::read(line.split_whitespace().map(str::to_owned))
}

#[test]
fn every_workload_can_be_asked_for_and_no_other() -> Result<(), Box<dyn Error>> {
    let all = read("--loads 0.5,2")?.evaluation();
    for workload in all.iter().flatten() {
        let group = read(&format!("--loads 0.5,2 --workload {}", workload.name))?.evaluation();
        assert_eq!(group.len(), 1, "{}", workload.name);
        assert!(group[0].iter().any(|one| one.name == workload.name));
    }
    assert!(read("--workload one-clas").is_err());
    assert!(read("--workload one-class --workload none").is_err());
    Ok(())
}

#[test]
fn what_cannot_be_measured_is_refused() -> Result<(), Box<dyn Error>> {
    for line in ["--seconds 0.9", "--seconds 9 --scale 1", "--loads 0", "--scale nan", "--seed", "--none 1"] {
        assert!(read(line).is_err(), "{line}");
    }
    assert_eq!(read("--seconds 15 --scale 0.1")?, read("")?, "the defaults");
    assert!(read("--seconds 1")? != read("")?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn late_requests_and_a_poor_goodput_are_complained_of() {
    let fine = measured(&Workload::steady(SPREAD, false, 2.0, 20.0)).await;
    let none = Vec::<String>::new();
    assert_eq!(complaints(std::slice::from_ref(&fine), DEFAULT, Some(80.0)), none);

    let late = Figures { sent_late_p99: 0.051 * fine.max_wait, contender: "unbounded", ..fine.clone() };
    let poor = Figures { share: 0.79, ..fine.clone() };
    let other = Figures { contender: "unbounded", ..poor.clone() };
    let runs = [fine, late, poor, other];
    let found = complaints(&runs, DEFAULT, Some(80.0));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("unbounded: requests were sent 0.102 s late"), "{found:?}");
    assert!(found[1].contains("predictive: the goodput is 79.0 %"), "{found:?}");
    assert_eq!(complaints(&runs, DEFAULT, None).len(), 1);
}
