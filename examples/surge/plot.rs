//! The figures as plots: three panels side by side for each workload, over the load or over time.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use super::figures::Figures;

const SIZE: (u32, u32) = (1380, 470);
const LEGEND: i32 = 60;
const FONT: &str = "sans-serif";
/// Okabe and Ito's colours, which colour-blind people tell apart, without the yellow, which nobody sees on white. Brown and
/// grey are added, the greys for those that are not ours.
const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 80, 40),
    RGBColor(150, 150, 150),
    RGBColor(200, 200, 200),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// An axis from one value to another; what lies outside is drawn at its end.
#[derive(Clone)]
struct Axis {
    name: &'static str,
    logarithmic: bool,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let place = |value: f64| if self.logarithmic { value.log10() } else { value };
        let (from, to) = (place(self.from), place(self.to));
        let part = (place(value.clamp(self.from, self.to)) - from) / (to - from);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.from..self.to
    }
}

/// One contender's line; its colour goes by its number.
struct Line {
    number: usize,
    points: Vec<(f64, f64)>,
}

struct Panel {
    title: &'static str,
    x: Axis,
    y: Axis,
    lines: Vec<Line>,
    /// Where a value on the second axis is of interest.
    mark: Option<f64>,
}

/// Draws every workload of which there is more than one load, or whose load changes, into a file named after it.
pub(crate) fn draw(folder: &Path, figures: &[Figures]) -> Drawn {
    for group in figures.chunk_by(|a, b| a.workload == b.workload) {
        let contenders = group.chunk_by(|a, b| a.load == b.load).next().unwrap_or_default();
        let panels = if !group[0].series.is_empty() {
            over_time(group)
        } else if contenders.len() < group.len() {
            over_loads(group, contenders)
        } else {
            continue;
        };
        let names: Vec<_> = contenders.iter().map(|f| f.contender).collect();
        sheet(&folder.join(format!("{}.svg", group[0].workload)), &panels, &names)?;
    }
    Ok(())
}

fn over_loads(group: &[Figures], contenders: &[Figures]) -> [Panel; 3] {
    let lines = |value: fn(&Figures) -> f64| {
        let line = |(number, contender): (usize, &Figures)| {
            let own = group.iter().filter(|f| f.contender == contender.contender);
            Line { number, points: own.map(|f| (f.load, value(f))).collect() }
        };
        contenders.iter().enumerate().map(line).collect()
    };
    let loads: Vec<_> = group.chunk_by(|a, b| a.load == b.load).map(|same| same[0].load).collect();
    let x = || Axis {
        name: "requests, as a multiple of what can be served",
        logarithmic: true,
        from: loads[0],
        to: loads[loads.len() - 1],
        ticks: loads.clone(),
    };
    [
        Panel {
            title: "Goodput",
            x: x(),
            y: share("% of what came or could be served", 105.0),
            lines: lines(|f| 100.0 * f.share),
            mark: None,
        },
        Panel {
            title: "Wait of those let in, p99",
            x: x(),
            y: wait(),
            lines: lines(|f| f.wait_p99),
            mark: Some(group[0].max_wait),
        },
        Panel {
            title: "Turned away",
            x: x(),
            y: share("% of all requests", 100.0),
            lines: lines(|f| 100.0 * f.turned_away),
            mark: None,
        },
    ]
}

fn over_time(group: &[Figures]) -> [Panel; 3] {
    let lines = |value: fn(&super::figures::Point) -> Option<f64>| {
        let line = |(number, own): (usize, &Figures)| {
            let points = own.series.iter().filter_map(|point| Some((point.at, value(point)?)));
            Line { number, points: points.collect() }
        };
        group.iter().enumerate().map(line).collect()
    };
    let end = group[0].series.iter().map(|point| point.at).fold(0.0, f64::max).round();
    let x = || Axis {
        name: "time, s",
        logarithmic: false,
        from: 0.0,
        to: end,
        ticks: (0..=end as usize).step_by(if end > 10.0 { 2 } else { 1 }).map(|second| second as f64).collect(),
    };
    [
        Panel {
            title: "Goodput",
            x: x(),
            y: share("% of what came or could be served", 130.0),
            lines: lines(|p| Some(100.0 * p.share)),
            mark: None,
        },
        Panel {
            title: "Wait for a slot, p99",
            x: x(),
            y: wait(),
            lines: lines(|p| p.wait_p99),
            mark: Some(group[0].max_wait),
        },
        Panel {
            title: "Turned away",
            x: x(),
            y: share("% of those who came in the 100 ms", 100.0),
            lines: lines(|p| Some(100.0 * p.turned_away / p.offered.max(1.0))),
            mark: None,
        },
    ]
}

fn share(name: &'static str, to: f64) -> Axis {
    Axis { name, logarithmic: false, from: 0.0, to, ticks: (0..=5).map(|n| f64::from(n) * 20.0).collect() }
}

fn wait() -> Axis {
    let ticks = vec![0.001, 0.01, 0.1, 1.0, 10.0, 100.0];
    Axis { name: "s, at least 1 ms", logarithmic: true, from: 0.001, to: 300.0, ticks }
}

fn sheet(path: &Path, panels: &[Panel], names: &[&str]) -> Drawn {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (top, rest) = root.split_vertically(LEGEND);
    legend(&top, names)?;
    for (panel, area) in panels.iter().zip(rest.split_evenly((1, panels.len()))) {
        chart(&area, panel)?;
    }
    root.present()?;
    Ok(())
}

/// Two rows of names, each behind its line.
fn legend(area: &Area<'_>, names: &[&str]) -> Drawn {
    let columns = names.len().div_ceil(2);
    let width = (SIZE.0 as i32 - 80) / columns as i32;
    for (number, name) in names.iter().enumerate() {
        let (x, y) = (70 + (number % columns) as i32 * width, 18 + (number / columns) as i32 * 24);
        area.draw(&PathElement::new(vec![(x, y), (x + 30, y)], style(number)))?;
        area.draw(&Circle::new((x + 15, y), 3, style(number).filled()))?;
        area.draw(&Text::new((*name).to_owned(), (x + 38, y - 8), (FONT, 17)))?;
    }
    Ok(())
}

fn chart(area: &Area<'_>, panel: &Panel) -> Drawn {
    let (x, y) = (&panel.x, &panel.y);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, (FONT, 20))
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(62)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .x_desc(x.name)
        .y_desc(y.name)
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 14))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_label_formatter(&|value| value.to_string())
        .y_label_formatter(&|value| value.to_string())
        .draw()?;
    if let Some(mark) = panel.mark {
        let across = [x.from, x.to].map(|end| (end, mark));
        chart.draw_series(DashedLineSeries::new(across, 6, 5, BLACK.mix(0.5).stroke_width(1)))?;
    }
    // The first contender lies on top.
    for line in panel.lines.iter().rev() {
        chart.draw_series(LineSeries::new(line.points.iter().copied(), style(line.number)))?;
        if line.points.len() < 20 {
            let dots = line.points.iter().map(|&point| Circle::new(point, 3, style(line.number).filled()));
            chart.draw_series(dots)?;
        }
    }
    Ok(())
}

/// The first line lies on top; those below are wider, so that lines which coincide are seen.
fn style(number: usize) -> ShapeStyle {
    COLOURS[number % COLOURS.len()].stroke_width(if number == 0 { 3 } else { 2 + number as u32 / 2 })
}
