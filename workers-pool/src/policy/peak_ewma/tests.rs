use std::collections::BinaryHeap;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A member that answers one request after the other, as the pool would see it.
struct Server {
    takes: f64,
    busy_until: f64,
    outstanding: BinaryHeap<std::cmp::Reverse<(u64, u64)>>,
    measured: Option<f64>,
}

impl Server {
    fn new(takes: f64) -> Self {
        Self { takes, busy_until: 0.0, outstanding: BinaryHeap::new(), measured: None }
    }

    /// Takes note of the answers that have come by now.
    fn advance(&mut self, now: f64) {
        while let Some(std::cmp::Reverse((end, took))) = self.outstanding.peek().copied()
            && end <= (now * 1e6) as u64
        {
            self.outstanding.pop();
            let took = took as f64 / 1e6;
            let mean = self.measured.map_or(took, |mean| if took > mean { took } else { 0.8 * mean + 0.2 * took });
            self.measured = Some(mean);
        }
    }

    /// Returns how long the request takes, in seconds.
    fn serve(&mut self, now: f64) -> f64 {
        self.busy_until = self.busy_until.max(now) + self.takes;
        let took = self.busy_until - now;
        self.outstanding.push(std::cmp::Reverse(((self.busy_until * 1e6) as u64, (took * 1e6) as u64)));
        took
    }

    fn candidate(&self, id: u64) -> Candidate<'static> {
        let candidate = Candidate::new(id, "").busy(self.outstanding.len(), 1_000);
        Candidate { first_token: self.measured.map(Duration::from_secs_f64), ..candidate }
    }
}

/// The mean time of 5,000 requests, 30 a second, at three servers of which each does 20 a second and one that does 2.
fn mean(choose: impl Fn(&[Candidate<'_>]) -> usize) -> f64 {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut servers = [0.05, 0.05, 0.5, 0.05].map(Server::new);
    let (mut now, mut sum) = (0.0, 0.0);
    for _ in 0..5_000 {
        now += -(1.0 - rng.f64()).ln() / 30.0;
        servers.iter_mut().for_each(|server| server.advance(now));
        let candidates: Vec<_> = (0..).zip(&servers).map(|(id, server)| server.candidate(id)).collect();
        sum += servers[choose(&candidates)].serve(now);
    }
    sum / 5_000.0
}

#[test]
fn a_slow_member_hurts_far_less_than_by_chance() {
    fastrand::seed(7);
    let policy = PeakEwma::new();
    let (ours, chance) = (mean(|c| policy.choose(&Ask::new(), c)), mean(|c| fastrand::usize(..c.len())));
    assert!(ours < 0.15, "{ours} s where one alone would be done in 0.05 s");
    assert!(chance > 10.0 * ours, "{ours} s against {chance} s by chance");
}

#[test]
fn everybody_is_tried_before_anybody_is_preferred() {
    let policy = PeakEwma::new();
    let mut members = [0, 1, 2, 3, 4].map(|id| Candidate::new(id, "").first_token(MS));
    members[1].first_token = None;
    members[3].first_token = None;
    assert_eq!([1, 2].map(|_| policy.choose(&Ask::new(), &members)), [1, 3]);
}

#[test]
fn one_that_stays_unmeasured_gets_a_sixteenth_and_no_second_while_it_has_one() {
    let policy = PeakEwma::new();
    let mute = Candidate::new(0, "").busy(0, 8);
    let members = [mute, Candidate::new(1, "").busy(5, 8).first_token(MS)];
    let tried = (0..1 + 160).filter(|_| policy.choose(&Ask::new(), &members) == 0).count();
    assert_eq!(tried, 1 + 10);
    let waiting = [mute.busy(1, 8), members[1]];
    assert!((0..160).all(|_| policy.choose(&Ask::new(), &waiting) == 1));
}

#[test]
fn several_that_stay_unmeasured_share_the_sixteenth() {
    let policy = PeakEwma::new();
    let members = [0, 1, 2].map(|id| Candidate::new(id, ""));
    let members = [members[0], members[1], members[2].first_token(MS)];
    let mut tried = [0; 3];
    (0..2 + 320).for_each(|_| tried[policy.choose(&Ask::new(), &members)] += 1);
    assert!(tried[0] >= 10 && tried[1] >= 10, "{tried:?}");
}

#[test]
fn of_two_the_lighter_load_wins() {
    let policy = PeakEwma::new();
    let member = |id, takes: u32, in_flight, weight| {
        Candidate::new(id, "").busy(in_flight, 64).weight(weight).first_token(takes * MS)
    };
    let wins = |one, other| (0..100).all(|_| policy.choose(&Ask::new(), &[one, other]) == 0);
    assert!(wins(member(0, 100, 0, 1.0), member(1, 110, 0, 1.0)));
    assert!(wins(member(0, 100, 3, 1.0), member(1, 100, 4, 1.0)));
    assert!(wins(member(0, 100, 7, 2.0), member(1, 100, 4, 1.0)));
    assert!(wins(member(0, 0, 0, 1.0), member(1, 0, 1, 1.0)));
}

#[test]
fn equal_members_share_evenly() {
    fastrand::seed(3);
    let policy = PeakEwma::new();
    let members = [0, 1, 2, 3, 4, 5, 6, 7].map(|id| Candidate::new(id, "").first_token(MS));
    let mut draws = [0_usize; 8];
    (0..16_000).for_each(|_| draws[policy.choose(&Ask::new(), &members)] += 1);
    assert!(draws.iter().all(|count| count.abs_diff(2_000) < 200), "{draws:?}");
}
