//! Throughput and memory as the line and the number of products grow: both ought to stay flat.

use std::path::Path;

use plotters::prelude::*;

use crate::{
    Options, jobs,
    report::{Report, Row, say},
    round,
    shop::Shop,
    usage::Used,
    wire::Wire,
};

const PEOPLE: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const PRODUCTS: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Size, work a second, the worker's peak memory in MiB.
type Point = (f64, f64, f64);

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (mut by_people, mut by_products) = (Vec::new(), Vec::new());
    for people in PEOPLE.into_iter().filter(|people| *people <= options.people) {
        let (_, told) = round::once(people).await?;
        by_people.push((people as f64, told.per_second, peak_mib(&told.used)));
        let row = Row::new("growth", format!("a round of {people}"), told.per_second, "/s");
        report.add(row.used(&told.used));
    }
    for products in PRODUCTS.into_iter().filter(|products| *products <= options.jobs.max(100_000)) {
        let shop = Shop::open("null", 0).await?;
        let empty = Wire::open(&shop.servers.redis).await?.used_memory().await?;
        let worked = jobs::work(&shop, products).await?;
        by_products.push((products as f64, worked.jobs, peak_mib(&worked.used)));
        report.add(Row::new("growth", format!("{products} products"), worked.jobs, "/s").used(&worked.used));
        if products == PRODUCTS[PRODUCTS.len() - 1] {
            let each = |bytes: u64| bytes.saturating_sub(empty) as f64 / products as f64;
            report.add(Row::new("growth", "Redis memory of a queued job", each(worked.bytes_queued), "B"));
            report.add(Row::new("growth", "Redis memory of a product that was worked", each(worked.bytes_idle), "B"));
        }
    }
    if let Some(folder) = &options.plots {
        plot(&folder.join("performance-growth.svg"), &by_people, &by_products)?;
    }
    Ok(())
}

fn peak_mib(used: &[Used]) -> f64 {
    used.iter().find(|used| used.process == "worker").map_or(0.0, |used| used.peak_kib as f64 / 1024.0)
}

fn plot(path: &Path, by_people: &[Point], by_products: &[Point]) -> anyhow::Result<()> {
    let whole = SVGBackend::new(path, (960, 640)).into_drawing_area();
    whole.fill(&WHITE)?;
    let parts = whole.split_evenly((2, 2));
    let lines = [("people on one product", by_people), ("products with one person each", by_products)];
    for (column, (name, points)) in lines.into_iter().enumerate() {
        let best = points.iter().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
        let speed: Vec<_> = points.iter().map(|point| (point.0, point.1 / best)).collect();
        let memory: Vec<_> = points.iter().map(|point| (point.0, point.2)).collect();
        draw(&parts[column], "throughput, share of the best", name, &speed, &BLUE)?;
        draw(&parts[2 + column], "worker, peak MiB", name, &memory, &RED)?;
    }
    whole.present()?;
    say(&format!("  wrote {}", path.display()));
    Ok(())
}

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    across: &str,
    points: &[(f64, f64)],
    color: &RGBColor,
) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
    let top = points.iter().map(|point| point.1).fold(0.0, f64::max) * 1.2;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d((first.0..last.0.max(first.0 + 1.0)).log_scale(), 0.0..top)?;
    chart.configure_mesh().light_line_style(WHITE).x_desc(across).x_labels(6).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
    chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
    Ok(())
}
