//! `dead replay` and `dead drop`.

use serde::Serialize;

use super::{
    super::{
        Context,
        exit::{Exit, Failure},
        output::{self, Record, or_dash},
    },
    DealArgs, unknown,
};
use crate::{
    ids::{Channel, ProductId, Round},
    mysql::{action::Deed, refused},
    producer::{Producer, ProducerError, Resume},
    redis::dead::DeadLetter,
    report::{
        Sources,
        dead::{self, DeadId, DeadRow, Source},
    },
    sync::{self, ReplayError},
};

/// What is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Replay,
    Drop,
}

#[derive(Debug, Serialize)]
struct Row {
    id: DeadId,
    kind: String,
    product: Option<ProductId>,
    round: Option<Round>,
    channel: Option<Channel>,
    done: bool,
    result: String,
    #[serde(skip)]
    code: Exit,
}

impl Record for Row {
    const HEADINGS: &'static [&'static str] = &["ID", "KIND", ">PRODUCT", ">ROUND", "CHANNEL", "RESULT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.kind.clone(),
            or_dash(self.product),
            or_dash(self.round),
            or_dash(self.channel.as_ref()),
            self.result.clone(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: DealArgs, how: How) -> anyhow::Result<Exit> {
    let producer = Producer::new(context.stores().await?);
    let stores = producer.stores();
    let sources =
        Sources { mysql: stores.mysql.clone(), redis: Some(stores.redis.clone()), settings: stores.settings.clone() };
    let product = match &args.which.product {
        Some(name) => Some(context.product(&stores.mysql, name).await?.id),
        None => None,
    };
    let mut letters = Vec::new();
    if args.which.ids.is_empty() {
        letters = dead::all(&sources, product).await?;
    }
    for id in &args.which.ids {
        letters.push(dead::one(&stores.redis, &sources, id).await?.ok_or_else(|| unknown(id))?);
    }
    let mut rows = Vec::new();
    if args.dry_run {
        deal_with(context, &producer, &letters, how, true, &mut rows).await?;
    } else {
        let action = if how == How::Replay { "dead replay" } else { "dead drop" };
        let deed = Deed { product: product.or_else(|| only_product(&letters)), ..Deed::of_all(action) };
        let work = async {
            deal_with(context, &producer, &letters, how, false, &mut rows).await?;
            Ok(describe(&rows))
        };
        context.act(&stores.mysql, &deed, work).await?;
    }
    end(context, &rows, args.dry_run)
}

fn end(context: &Context, rows: &[Row], dry_run: bool) -> anyhow::Result<Exit> {
    let refused: Vec<&Row> = rows.iter().filter(|row| !row.done).collect();
    match refused.as_slice() {
        [only] if rows.len() == 1 => Err(Failure::new(only.code, format!("{}: {}", only.id, only.result)).into()),
        [first, ..] => {
            output::records(context.output, rows)?;
            let what = format!("{} of {} were left; {}: {}", refused.len(), rows.len(), first.id, first.result);
            Err(Failure::new(first.code, what).into())
        }
        [] => {
            output::records(context.output, rows)?;
            if dry_run {
                output::note("nothing was changed");
            }
            Ok(Exit::Done)
        }
    }
}

fn only_product(letters: &[DeadRow]) -> Option<ProductId> {
    let first = letters.first()?.product;
    if letters.iter().all(|letter| letter.product == first) { first } else { None }
}

fn describe(rows: &[Row]) -> String {
    let done: Vec<String> = rows.iter().filter(|row| row.done).map(|row| row.id.to_string()).collect();
    format!("{} of {}: {}", done.len(), rows.len(), done.join(", "))
}

/// Deals with each; one that cannot be dealt with does not stop the others, a store that fails does.
async fn deal_with(
    context: &Context,
    producer: &Producer,
    letters: &[DeadRow],
    how: How,
    dry_run: bool,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    for letter in letters {
        let dealt = match how {
            How::Replay => replay(producer, letter, dry_run).await,
            How::Drop => drop_one(producer, letter, dry_run).await,
        };
        let (done, result, code) = match dealt {
            Ok(result) => (true, result, Exit::Done),
            Err(error) => {
                let Failure { code, message } = Failure::of(&error, &context.backends);
                if !matches!(code, Exit::Conflict | Exit::NotFound) {
                    return Err(error);
                }
                (false, message, code)
            }
        };
        let DeadRow { id, kind, product, round, channel, .. } = letter.clone();
        rows.push(Row { id, kind, product, round, channel, done, result, code });
    }
    Ok(())
}

async fn replay(producer: &Producer, dead: &DeadRow, dry_run: bool) -> anyhow::Result<String> {
    match &dead.source {
        Source::Letter(letter) => replay_letter(producer, dead, letter, dry_run).await,
        Source::Row(row) => {
            let done = match dry_run {
                true => sync::words_of(row).map(drop),
                false => sync::replay(producer.stores(), row).await,
            };
            match done {
                Ok(()) if dry_run => Ok("would be logged again".to_owned()),
                Ok(()) => Ok("logged again: the flusher tries it; it is listed until MySQL has it".to_owned()),
                Err(error @ ReplayError::NotKept(_)) => Err(Failure::new(Exit::Conflict, error.to_string()).into()),
                Err(ReplayError::Store(error)) => Err(error.into()),
            }
        }
    }
}

/// The round of a lane that was given up goes on, if it still is the lane's last.
async fn replay_letter(
    producer: &Producer,
    dead: &DeadRow,
    letter: &DeadLetter,
    dry_run: bool,
) -> anyhow::Result<String> {
    let (Some((product, round)), Some(channel)) = (letter.round, &dead.channel) else {
        let what = "it names no product, so that there is nothing to go on with; `restock-cli dead drop` it";
        return Err(Failure::new(Exit::Conflict, what).into());
    };
    let would = match producer.would_resume(product, channel, Resume::Plain).await {
        Err(error @ ProducerError::NothingToResume { .. }) => {
            let what = format!("{error}, or `restock-cli dead drop` it");
            return Err(Failure::new(Exit::Conflict, what).into());
        }
        would => would?,
    };
    if would.round != round {
        let what =
            format!("round {} of product {product} came after round {round}; `restock-cli dead drop` it", would.round);
        return Err(Failure::new(Exit::Conflict, what).into());
    }
    if dry_run {
        return Ok(format!("round {round} would go on, {} people left", would.people));
    }
    producer.resume(product, channel, Resume::Plain).await?;
    let stores = producer.stores();
    stores.redis.drop_dead_letter(stores.partition_of(product), channel, &letter.id).await?;
    Ok(format!("round {round} goes on"))
}

async fn drop_one(producer: &Producer, dead: &DeadRow, dry_run: bool) -> anyhow::Result<String> {
    let stores = producer.stores();
    if dry_run {
        return Ok("would be dropped".to_owned());
    }
    let dropped = match &dead.id {
        DeadId::Letter { channel, partition, id } => stores.redis.drop_dead_letter(*partition, channel, id).await?,
        DeadId::Row(id) => refused::settle(&stores.mysql, *id, None).await?,
    };
    if dropped { Ok("dropped".to_owned()) } else { Err(unknown(&dead.id).into()) }
}
