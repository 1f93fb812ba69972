//! `enqueue --from FILE` and `--dry-run`.

use std::path::Path;

use indicatif::ProgressBar;

use super::{
    Args,
    orders::{self, Line},
};
use crate::{
    cli::{
        Context,
        context::CONNECTIONS_MAX,
        exit::{Exit, Failure},
        output::{self, Record, or_dash},
        wait::{self, Watch},
    },
    ids::ProductRef,
    limit::STOCK_MAX,
    mysql::request,
    producer::{self, Accepted, Order, Producer, ProducerError},
    report::{
        Sources,
        forecast::{self, Forecast},
    },
    stores::Stores,
};

impl Record for Forecast {
    const HEADINGS: &'static [&'static str] = &[">PRODUCT", ">PEOPLE", ">SECONDS"];

    fn cells(&self) -> Vec<String> {
        vec![self.product.to_string(), self.people.to_string(), or_dash(self.seconds)]
    }
}

/// Says what one restock would do.
pub(super) async fn preview_one(context: &Context, name: &ProductRef, args: &Args) -> anyhow::Result<Exit> {
    let sources = context.sources().await?;
    let row = context.product(&sources.mysql, name).await?;
    let order = Order { product: row.id, quantity: args.quantity, key: args.key.clone() };
    let forecast = preview(&sources, &Line { number: 0, row, order }).await?;
    note_pause(&sources);
    output::record(context.output, &forecast)?;
    Ok(Exit::Done)
}

/// Says what the restocks of a file would do.
pub(super) async fn preview_all(context: &Context, path: &Path) -> anyhow::Result<Exit> {
    let sources = context.sources().await?;
    let bar = ProgressBar::new_spinner();
    let mut rows = Vec::new();
    for line in orders::read(&sources.mysql, path, || bar.inc(1)).await? {
        let (name, forecast) = (orders::name_of(path), preview(&sources, &line).await);
        rows.push(forecast.map_err(|error| {
            orders::of_line(&name, line.number, &error, &context.backends, "no line was looked at further")
        })?);
    }
    note_pause(&sources);
    output::records(context.output, &rows)?;
    Ok(Exit::Done)
}

async fn preview(sources: &Sources, Line { row, order, .. }: &Line) -> anyhow::Result<Forecast> {
    let product = row.id;
    if let Some(key) = &order.key
        && let Some(known) = request::find_key(&sources.mysql, product, key).await?
    {
        if known.quantity != i64::from(order.quantity) {
            let key = key.as_str().to_owned();
            return Err(ProducerError::KeyConflict { product, key, quantity: known.quantity }.into());
        }
        output::note(&format!("request {} of product {product} has the key `{key}`: nothing would happen", known.id));
        return Ok(Forecast { product, people: 0, seconds: Some(0.0), stock: row.stock });
    }
    let forecast = forecast::of_restock(sources, row).await?;
    let stock = forecast.stock.saturating_add(i64::from(order.quantity));
    if stock <= 0 {
        return Err(ProducerError::NoStock { product, stock }.into());
    }
    if stock > STOCK_MAX {
        return Err(ProducerError::AboveMost { product, most: STOCK_MAX }.into());
    }
    Ok(forecast)
}

fn note_pause(sources: &Sources) {
    if sources.settings.paused {
        output::note("all sending is paused: it would begin after `restock-cli unpause`");
    }
}

/// Accepts all restocks of a file, or none; then makes each a round.
pub(super) async fn enqueue_all(context: &Context, path: &Path, args: &Args) -> anyhow::Result<Exit> {
    let (mysql, settings) = Stores::open_record(&context.backends, CONNECTIONS_MAX).await?;
    let name = orders::name_of(path);
    let reading = bar(None, "reading {spinner} {human_pos}");
    let lines = orders::read(&mysql, path, || reading.inc(1)).await?;
    reading.finish_and_clear();
    let bar = bar(Some(lines.len() * 2), "enqueueing {wide_bar} {percent}% {eta}");
    let wanted: Vec<Order> = lines.iter().map(|line| line.order.clone()).collect();
    let requests = producer::accept_all(&mysql, &wanted, || bar.inc(1)).await;
    let requests = requests.map_err(|(at, error)| {
        orders::of_line(&name, lines[at].number, &error.into(), &context.backends, "nothing was enqueued")
    })?;

    let redis = context.redis_if_up().await?;
    let (partitions, mut channels) = (settings.partitions, settings.channels.clone());
    let producer = redis.clone().map(|redis| Producer::new(Stores { redis, mysql: mysql.clone(), settings }));
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for (line, request) in lines.iter().zip(&requests) {
        let waiting = Accepted { product: request.product, round: request.round, request: Some(request.id) };
        let pushed = match &producer {
            Some(producer) => producer.push(request).await,
            None => Ok(waiting),
        };
        bar.inc(1);
        match pushed {
            Ok(accepted) => rows.push(accepted),
            Err(
                error @ (ProducerError::NoStock { .. }
                | ProducerError::AboveMost { .. }
                | ProducerError::KeyConflict { .. }),
            ) => {
                refused.push(format!("{name}, line {}: {error}", line.number));
            }
            Err(error) => {
                let left = requests.len() - rows.len() - refused.len();
                let end = format!("the outbox keeps this and what follows, {left} in all");
                return Err(orders::of_line(&name, line.number, &error.into(), &context.backends, &end).into());
            }
        }
    }
    bar.finish_and_clear();
    let waiting = rows.iter().filter(|row| row.round.is_none()).count();
    if waiting > 0 {
        output::note(&format!("{waiting} requests wait in the outbox: a restock-flusher makes them rounds"));
    }
    output::records(context.output, &rows)?;
    if let Some(first) = refused.first() {
        let what = format!("{} of {} lines were refused, the others accepted; {first}", refused.len(), lines.len());
        return Err(Failure::new(Exit::Conflict, what).into());
    }
    if !args.wait {
        return Ok(Exit::Done);
    }
    if let Some(producer) = &producer {
        channels = producer.channels().to_vec();
    }
    let mut watches = Vec::new();
    for row in &rows {
        let round = match (row.round, row.request) {
            (Some(round), _) => round,
            (None, Some(request)) => wait::until_accepted(&mysql, request).await?,
            (None, None) => continue,
        };
        watches.extend(channels.iter().map(|channel| Watch::new(row.product, channel.clone(), round)));
    }
    wait::until_ended(&mysql, redis.as_ref(), partitions, watches).await
}

/// Shown only on a terminal, on stderr, as indicatif does.
fn bar(length: Option<usize>, form: &str) -> ProgressBar {
    let length = length.map(|length| u64::try_from(length).unwrap_or(u64::MAX));
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    output::styled(bar, form)
}
