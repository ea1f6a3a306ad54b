//! The figures as tables in Markdown.

use std::fmt::Write as _;

use super::figures::{Figures, fairness};
use super::workload::TENANTS;

/// What a table over loads shows: its title, and what stands in a cell.
type Column = (&'static str, fn(&Figures) -> String);

const OVER_LOADS: [Column; 7] = [
    ("goodput, % of what came or could be served", |f| percent(f.share)),
    ("99 % of those let in had a slot or knew better within, s", |f| seconds(Some(f.wait_p99))),
    ("half of those let in had a slot or knew better within, s", |f| seconds(Some(f.wait_p50))),
    ("turned away, % of all", |f| percent(f.turned_away)),
    ("turned away after they had been let in, % of those let in", |f| percent(f.dropped_of_admitted)),
    ("half of those turned away knew within, s", |f| seconds(f.told_p50)),
    ("sent late (`sent_late_p99`), s", |f| seconds(Some(f.sent_late_p99))),
];

const AT_ONE_LOAD: [Column; 7] = [
    ("goodput, %", |f| percent(f.share)),
    ("wait p99, s", |f| seconds(Some(f.wait_p99))),
    ("turned away, %", |f| percent(f.turned_away)),
    ("of those let in, %", |f| percent(f.dropped_of_admitted)),
    ("knew within (median), s", |f| seconds(f.told_p50)),
    ("sent late (`sent_late_p99`), s", |f| seconds(Some(f.sent_late_p99))),
    ("reasons", reasons),
];

/// All tables, a chapter for each workload.
pub(crate) fn tables(figures: &[Figures]) -> String {
    let mut out = String::new();
    for group in figures.chunk_by(|a, b| a.workload == b.workload) {
        let contenders = group.chunk_by(|a, b| a.load == b.load).next().unwrap_or_default();
        let several = contenders.len() < group.len();
        // Writing to a `String` does not fail.
        let _ = writeln!(out, "## {}\n", group[0].workload);
        if several {
            for column in OVER_LOADS {
                over_loads(&mut out, group, contenders, column);
            }
        }
        let last = &group[group.len() - contenders.len()..];
        at_one_load(&mut out, last);
        if last.iter().any(|f| !f.parts.is_empty()) {
            by_part(&mut out, last);
        }
        if last.iter().any(|f| !f.recovery.is_empty()) {
            recoveries(&mut out, last);
        }
    }
    out
}

/// Contenders downwards, loads across.
fn over_loads(out: &mut String, group: &[Figures], contenders: &[Figures], (title, cell): Column) {
    let loads = group.chunk_by(|a, b| a.load == b.load);
    let head = loads.map(|same| format!("{} x", same[0].load));
    let rows = contenders.iter().map(|contender| {
        let cells = group.iter().filter(|f| f.contender == contender.contender).map(cell);
        (contender.contender.to_owned(), cells.collect())
    });
    table(out, title, &head.collect::<Vec<_>>(), &rows.collect::<Vec<_>>());
}

fn at_one_load(out: &mut String, figures: &[Figures]) {
    let title = format!("at {:.1} x", figures[0].load);
    let head = AT_ONE_LOAD.map(|(name, _)| name.to_owned()).to_vec();
    let rows = figures.iter().map(|f| (f.contender.to_owned(), AT_ONE_LOAD.map(|(_, cell)| cell(f)).to_vec()));
    table(out, &title, &head, &rows.collect::<Vec<_>>());
}

/// How many of each class or tenant were served in time.
fn by_part(out: &mut String, figures: &[Figures]) {
    let parts: Vec<_> = figures[0].parts.keys().cloned().collect();
    let tenants = parts.len() == TENANTS;
    let rows = figures.iter().map(|f| {
        let mut cells: Vec<_> = f.parts.values().map(|p| percent(p.useful as f64 / p.requests as f64)).collect();
        if tenants {
            let share = f.counted * f.slots / TENANTS as f64;
            let index = fairness(f.parts.values(), share);
            cells.push(if index.is_nan() { "-".to_owned() } else { format!("{index:.3}") });
        }
        (f.contender.to_owned(), cells)
    });
    let head: Vec<_> = parts.into_iter().chain(tenants.then(|| "Jain's index".to_owned())).collect();
    table(out, "served in time, %", &head, &rows.collect::<Vec<_>>());
}

fn recoveries(out: &mut String, figures: &[Figures]) {
    let cells = |f: &Figures| f.recovery.iter().map(|after| format!("{after:.1}")).collect();
    let rows = figures.iter().map(|f| (f.contender.to_owned(), cells(f)));
    let head = ["the step up".to_owned(), "the step down".to_owned()];
    table(out, "goodput back at 95 % after, s", &head, &rows.collect::<Vec<_>>());
}

fn table(out: &mut String, title: &str, head: &[String], rows: &[(String, Vec<String>)]) {
    let _ = writeln!(out, "| {title} | {} |\n|---|{}", head.join(" | "), "--:|".repeat(head.len()));
    for (name, cells) in rows {
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    }
    out.push('\n');
}

fn reasons(figures: &Figures) -> String {
    let counts = figures.refused.iter().map(|(reason, count)| format!("refused {reason} {count}"));
    let dropped = figures.dropped.iter().map(|(reason, count)| format!("shed {reason} {count}"));
    counts.chain(dropped).collect::<Vec<_>>().join(", ")
}

fn percent(part: f64) -> String {
    format!("{:.1}", 100.0 * part)
}

fn seconds(time: Option<f64>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.2}"))
}
