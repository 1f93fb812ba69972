//! What Redis holds, as the model and as Redis show it.

use std::collections::HashMap;

use restock::{ids::Place, redis::scripts::random_hex};
use restock_model::{
    State,
    round::{Places, Stamp, Status, bit},
    state::Lane,
};

use super::stage::{P0, Raw, Stage, number_of, webhook};

/// What both sides hold in Redis, in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    product: Option<ProductPicture>,
    lane: Option<LanePicture>,
    /// Entries on both streams.
    entries: usize,
    /// Entries in the log.
    log: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ProductPicture {
    has_stock: bool,
    round: u8,
    stamp: (u8, u8),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LanePicture {
    row: RowPicture,
    token: String,
    is_leased: bool,
    waiting: u8,
    stopping: bool,
    cancel: bool,
    entry: String,
    has_live_entry: bool,
}

/// A round, in Redis or in MySQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowPicture {
    pub(crate) round: u8,
    pub(crate) status: String,
    pub(crate) from: u8,
    pub(crate) cursor: u8,
    /// 0 before the round is begun.
    pub(crate) upto: u8,
    pub(crate) ahead: Places,
    pub(crate) started: bool,
    pub(crate) stamp: (u8, u8),
}

impl RowPicture {
    pub(crate) fn of(row: &restock_model::round::Row) -> Self {
        let restock_model::round::Row { round, status, from, cursor, upto, ahead, started, stamp } = *row;
        let status = status_of(status).to_owned();
        Self { round, status, from, cursor, upto, ahead, started, stamp: stamp_of(stamp) }
    }
}

pub(crate) fn stamp_of(stamp: Stamp) -> (u8, u8) {
    (stamp.epoch, stamp.version)
}

/// The status as the stores write it.
pub(crate) fn status_of(status: Status) -> &'static str {
    match status {
        Status::Queued => "QUEUED",
        Status::InProgress => "IN_PROGRESS",
        Status::Completed => "COMPLETED",
        Status::SoldOut => "CANCELED_BY_SOLD_OUT",
        Status::Canceled | Status::CanceledWaiting => "CANCELED_BY_ADMIN",
        Status::Failed => "CANCELED_BY_ERROR",
        Status::Superseded => "SUPERSEDED",
    }
}

/// Places as a set of bits.
pub(crate) fn places_of(text: &str) -> Places {
    text.split(',').filter(|part| !part.is_empty()).map(|part| bit(place_of(part))).sum()
}

fn place_of(text: &str) -> u8 {
    number_of((!text.is_empty()).then(|| Place(text.parse().expect("a place"))))
}

/// The real names of the model's tokens and entries.
#[derive(Debug, Default)]
pub(crate) struct Names {
    tokens: HashMap<u8, String>,
    entries: HashMap<u8, String>,
}

impl Names {
    /// The token that the model's worker gets next; another one each time, as a token is random.
    pub(crate) fn token(&mut self, model: u8) -> String {
        self.tokens.entry(model).or_insert_with(random_hex).clone()
    }

    pub(crate) fn entry(&self, model: u8) -> &str {
        self.entries.get(&model).map_or("", String::as_str)
    }

    fn of_token(&self, model: u8) -> String {
        self.tokens.get(&model).cloned().unwrap_or_default()
    }
}

/// What the model holds; an entry that is new to it gets the name that Redis gave it.
pub(crate) fn of_model(state: &State, names: &mut Names, real: &Picture) -> Picture {
    let redis = &state.redis;
    let product = redis.product.map(|product| ProductPicture {
        has_stock: product.stock,
        round: product.round,
        stamp: stamp_of(product.stamp),
    });
    let lane = redis.lane.map(|lane| {
        let Lane { row, token, lease, entry, waiting, stopping, cancel, .. } = lane;
        if entry != 0
            && let Some(real) = &real.lane
        {
            names.entries.entry(entry).or_insert_with(|| real.entry.clone());
        }
        LanePicture {
            row: RowPicture::of(&row),
            token: names.of_token(token),
            is_leased: token != 0 && lease,
            waiting,
            // A decision that came later hides it.
            stopping: stopping && !cancel,
            cancel,
            entry: names.entry(entry).to_owned(),
            has_live_entry: redis.entries.contains(&entry),
        }
    });
    Picture { product, lane, entries: redis.entries.len(), log: redis.log.len() }
}

/// What Redis holds.
pub(crate) fn of_redis(stage: &mut Stage) -> Picture {
    let keys = stage.stores.redis.keys().clone();
    let (product, lane) = (keys.product(P0, stage.product), keys.lane(P0, &stage.lane()));
    let (jobs, again, log) = (keys.jobs(P0, &webhook()), keys.again(P0, &webhook()), keys.log(P0));
    let asked = [
        format!("HGETALL {product}"),
        format!("HGETALL {lane}"),
        format!("XRANGE {jobs} - +"),
        format!("XRANGE {again} - +"),
        format!("XLEN {log}"),
    ];
    let answers = stage.commands(&asked);
    let [product, lane, jobs, again, log] = answers.as_slice() else { panic!("five answers") };
    let ids = |letter: char, stream: &Raw| -> Vec<String> {
        stream.list().iter().map(|entry| format!("{letter}:{}", entry.list()[0].text())).collect()
    };
    let entries = [ids('j', jobs), ids('a', again)].concat();
    let log = usize::try_from(log.number()).expect("a length");
    Picture { product: product_of(&product.hash()), lane: lane_of(&lane.hash(), &entries), entries: entries.len(), log }
}

fn count(fields: &HashMap<&str, &str>, name: &str) -> u8 {
    let text = fields.get(name).copied().unwrap_or_default();
    if text.is_empty() { 0 } else { text.parse().unwrap_or_else(|_| panic!("{name} is {text}")) }
}

fn product_of(fields: &HashMap<&str, &str>) -> Option<ProductPicture> {
    let stock = fields.get("stock")?;
    let stamp = (count(fields, "epoch"), count(fields, "version"));
    Some(ProductPicture { has_stock: *stock != "0", round: count(fields, "round"), stamp })
}

fn lane_of(fields: &HashMap<&str, &str>, entries: &[String]) -> Option<LanePicture> {
    let get = |name: &str| fields.get(name).copied().unwrap_or_default();
    let status = *fields.get("status")?;
    let row = RowPicture {
        round: count(fields, "round"),
        status: status.to_owned(),
        from: place_of(get("from")),
        cursor: place_of(get("cursor")),
        upto: place_of(get("upto")),
        ahead: places_of(get("ahead")),
        started: !get("started_at").is_empty(),
        stamp: (count(fields, "epoch"), count(fields, "version")),
    };
    let cancel = !get("cancel").is_empty();
    Some(LanePicture {
        row,
        token: get("hold").split(' ').next().unwrap_or_default().to_owned(),
        is_leased: !get("hold").is_empty() && get("hold").split(' ').nth(1) != Some("1"),
        waiting: count(fields, "waiting"),
        stopping: get("stopping") == "sold_out" && !cancel,
        cancel,
        entry: get("entry").to_owned(),
        has_live_entry: entries.iter().any(|entry| entry == get("entry")),
    })
}
