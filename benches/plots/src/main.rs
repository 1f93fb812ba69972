//! Draws the plots of the docs from the files that the benches wrote, each plot whose figures are in one of them:
//! `restock-bench-plots docs target/bench.json target/bench-peers.json`.

use std::{env, fs, path::Path};

use anyhow::{Context, ensure};
use plotters::{coord::Shift, prelude::*};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    run: String,
    what: String,
    figure: f64,
    unit: String,
    used: Vec<Used>,
}

#[derive(Deserialize)]
struct Used {
    process: String,
    peak_kib: f64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn main() -> anyhow::Result<()> {
    let mut args = env::args().skip(1);
    let folder = args.next().context("give a folder, then the files of the benches")?;
    let mut rows: Vec<Row> = Vec::new();
    for file in args {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {file}"))?;
        let more: Vec<Row> = serde_json::from_slice(&bytes).with_context(|| format!("{file} is not of the benches"))?;
        rows.extend(more);
    }
    ensure!(!rows.is_empty(), "there are no figures: run `make bench` or `make bench-peers` first");
    let folder = Path::new(&folder);
    if rows.iter().any(|row| row.run == "growth") {
        draw_growth(&folder.join("performance-growth.svg"), &rows)?;
    }
    if rows.iter().any(|row| row.run == "peers") {
        draw_peers(&folder.join("performance-peers.svg"), &rows)?;
    }
    Ok(())
}

/// Size, speed and the worker's peak in MiB of the rows of `growth` that this text parts from their size.
fn points(rows: &[Row], size: impl Fn(&str) -> Option<f64>) -> Vec<(f64, f64, f64)> {
    let grown = rows.iter().filter(|row| row.run == "growth");
    let peak = |row: &Row| row.used.iter().find(|used| used.process == "worker").map_or(0.0, |used| used.peak_kib);
    grown.filter_map(|row| Some((size(&row.what)?, row.figure, peak(row) / 1024.0))).collect()
}

fn draw_growth(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let whole = SVGBackend::new(path, (960, 640)).into_drawing_area();
    whole.fill(&WHITE)?;
    let parts = whole.split_evenly((2, 2));
    let people = points(rows, |what| what.strip_prefix("a round of ")?.parse().ok());
    let products = points(rows, |what| what.strip_suffix(" products")?.parse().ok());
    let columns = [("people on one product", people), ("products with one person each", products)];
    for (column, (name, points)) in columns.into_iter().enumerate() {
        let best = points.iter().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
        let speed: Vec<_> = points.iter().map(|point| (point.0, point.1 / best)).collect();
        let memory: Vec<_> = points.iter().map(|point| (point.0, point.2)).collect();
        let title = format!("people a second, share of the best ({best:.0})");
        draw_line(&parts[column], &title, name, &speed, &BLUE)?;
        draw_line(&parts[2 + column], "worker, peak MiB", name, &memory, &RED)?;
    }
    Ok(whole.present()?)
}

fn draw_line(area: &Area, title: &str, across: &str, points: &[(f64, f64)], color: &RGBColor) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
    let top = points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.2;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d((first.0..last.0.max(first.0 + 1.0)).log_scale(), 0.0..top)?;
    let whole = |size: &f64| format!("{size:.0}");
    chart.configure_mesh().max_light_lines(0).x_desc(across).x_labels(6).x_label_formatter(&whole).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
    Ok(())
}

fn draw_peers(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let of = |unit: &'static str| rows.iter().filter(move |row| row.run == "peers" && row.unit == unit);
    let bars: Vec<_> = of("jobs/s").zip(of("µs")).map(|(speed, cpu)| (&speed.what, speed.figure, cpu.figure)).collect();
    let height = 60 + 70 * u32::try_from(bars.len())?;
    let whole = SVGBackend::new(path, (720, height)).into_drawing_area();
    whole.fill(&WHITE)?;
    let best = bars.iter().map(|bar| bar.1).fold(f64::MIN_POSITIVE, f64::max);
    let text = ("sans-serif", 15).into_font();
    whole.draw(&Text::new("jobs a second", (12, 12), text.clone()))?;
    for (top, (name, per_second, redis_us)) in (40..).step_by(70).zip(bars) {
        let end = 12 + (per_second / best * 560.0) as i32;
        whole.draw(&Text::new(format!("{name}: {redis_us:.0} µs of Redis a job"), (12, top), text.clone()))?;
        whole.draw(&Rectangle::new([(12, top + 22), (end, top + 46)], BLUE.filled()))?;
        whole.draw(&Text::new(format!("{per_second:.0}"), (end + 8, top + 26), text.clone()))?;
    }
    Ok(whole.present()?)
}
