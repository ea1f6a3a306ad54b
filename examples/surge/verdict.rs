//! What is wrong with figures: they say nothing, or nothing good.

use super::figures::Figures;

/// The part of the longest useful wait that requests may be sent late by.
const LATE: f64 = 0.05;

/// Names the runs whose sender did not keep up with its requests, and those of the contender `of` that came to a goodput of
/// less than `least` percent.
pub(crate) fn complaints(figures: &[Figures], of: &str, least: Option<f64>) -> Vec<String> {
    let late = figures.iter().filter(|f| f.sent_late_p99 > LATE * f.max_wait);
    let late = late.map(|f| format!("{}: requests were sent {:.3} s late", name(f), f.sent_late_p99));
    let poor = figures.iter().filter(|f| f.contender == of && least.is_some_and(|least| 100.0 * f.share < least));
    let poor = poor.map(|f| format!("{}: the goodput is {:.1} %", name(f), 100.0 * f.share));
    late.chain(poor).collect()
}

fn name(figures: &Figures) -> String {
    format!("{} at {} x, {}", figures.workload, figures.load, figures.contender)
}
