//! What concerns the whole deployment: the pace, entries in hand, what was given up.

use std::{collections::BTreeMap, fmt, sync::Arc};

use axum::{Json, extract::State};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{AdditionalProperties, SchemaType, Type},
    },
};

use super::{
    Api,
    ask::{Asked, Given, Whole},
    auth::Caller,
    problem::{Kind, Problem},
    product::{check_limit, page_default},
};
use crate::{
    ids::ProductId,
    mysql::{
        action::Deed,
        setting::{self, KNOWN_CHANNELS, Name, RATE_MAX, Settings},
    },
    producer::announce_limits,
    report::{
        Sources,
        dead::{self, DeadId, DeadRow},
        pending::{self, PendingId, PendingRow},
        rate::{self, RateRow},
    },
};

/// Which pending entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PendingAsked {
    /// Only those after this one: the `next` of the page before.
    #[param(pattern = "^[0-9]{1,4}:[a-z][a-z0-9_]{0,15}:[ja]:[0-9]{1,15}-[0-9]{1,15}$")]
    after: Option<String>,
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

/// Some pending entries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PendingEntries {
    /// By partition, channel and stream, the oldest first.
    items: Vec<PendingRow>,
    /// The `after` of the next page; null after the last.
    next: Option<String>,
}

/// List which entry of the job streams is with whom
///
/// As `XPENDING` shows them, with the lane that each stands for. There are at most as many as all workers have lanes.
#[utoipa::path(
    get, path = "/pending", tag = "Admin", operation_id = "listPending", params(PendingAsked),
    responses((status = 200, description = "A page of them", body = PendingEntries))
)]
pub(super) async fn pending(
    State(api): State<Arc<Api>>,
    Asked(asked): Asked<PendingAsked>,
) -> Result<Json<PendingEntries>, Problem> {
    let (ready, limit) = (api.ready()?, check_limit(asked.limit)?);
    let after = asked.after.map(|after| after.parse::<PendingId>());
    let after = after.transpose().map_err(|error| Problem::of_field(Kind::BadRequest, "after", error))?;
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let settings = &ready.sources().settings;
    let (found, next) = pending::page(ready.redis()?, settings, after.as_ref(), count).await?;
    Ok(Json(PendingEntries { items: found.rows, next: next.map(|id| id.to_string()) }))
}

/// Which dead letters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadAsked {
    /// Only those of this product.
    #[param(minimum = 1, maximum = 9_223_372_036_854_775_807_i64)]
    product: Option<u64>,
    /// Only those after this one: the `next` of the page before.
    #[param(pattern = "^([a-z][a-z0-9_]{0,15}:[0-9]{1,4}:[0-9]{1,15}-[0-9]{1,15}|row:[0-9]{1,15})$")]
    after: Option<String>,
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: u32,
}

/// Some dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dead {
    /// Rounds given up and entries that could not be read, then rows that MySQL refused.
    items: Vec<DeadRow>,
    /// The `after` of the next page; null after the last. With `product` a page may have few items, or none, and a next one.
    next: Option<String>,
}

/// List what was given up
#[utoipa::path(
    get, path = "/dead", tag = "Admin", operation_id = "listDead", params(DeadAsked),
    responses((status = 200, description = "A page of them, the oldest first", body = Dead))
)]
pub(super) async fn dead(State(api): State<Arc<Api>>, Asked(asked): Asked<DeadAsked>) -> Result<Json<Dead>, Problem> {
    let (ready, limit) = (api.ready()?, check_limit(asked.limit)?);
    let bad = |field| move |detail| Problem::of_field(Kind::BadRequest, field, detail);
    let product = asked.product.map(|id| id.to_string().parse::<ProductId>());
    let product = product.transpose().map_err(|error| bad("product")(error.to_string()))?;
    let after = asked.after.map(|after| after.parse::<DeadId>());
    let after = after.transpose().map_err(|error| bad("after")(error.to_string()))?;
    let count = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = dead::page(ready.redis()?, &ready.sources(), product, after.as_ref(), count).await?;
    Ok(Json(Dead { items: page.rows, next: page.next.map(|id| id.to_string()) }))
}

/// Show the pace that all workers share
#[utoipa::path(
    get, path = "/rate", tag = "Admin", operation_id = "showRate",
    responses((status = 200, description = "That of all, then each channel's", body = Vec<RateRow>))
)]
pub(super) async fn show_rate(State(api): State<Arc<Api>>) -> Result<Json<Vec<RateRow>>, Problem> {
    let ready = api.ready()?;
    // Another server may have changed it this very moment.
    let settings = Settings::load(&ready.producer.stores().mysql).await?;
    Ok(Json(rate::rows(&Sources { settings, ..ready.sources() }).await?))
}

/// A pace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RateWish {
    /// Starts a second over all channels and workers; 0 = no pace. Without it that stays as it is.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000, example = 500)]
    limit: Option<Whole>,
    /// Starts a second on these channels, within that; null takes a channel's own rate away. Others stay as they are.
    #[serde(default)]
    #[schema(value_type = ChannelRates, required = false)]
    channels: Rates,
}

/// Rates by channel, each given once.
#[derive(Debug, Default)]
struct Rates(BTreeMap<String, Option<Whole>>);

struct RatesVisitor;

impl<'de> Visitor<'de> for RatesVisitor {
    type Value = Rates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of channels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Rates, A::Error> {
        let mut rates = BTreeMap::new();
        while let Some((channel, rate)) = given.next_entry::<String, Option<Whole>>()? {
            if let Some((channel, _)) = rates.get_key_value(&channel) {
                return Err(A::Error::custom(format!("`{channel}` is given twice")));
            }
            rates.insert(channel, rate);
        }
        Ok(Rates(rates))
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RatesVisitor)
    }
}

/// The rates of channels, in the description.
struct ChannelRates;

impl PartialSchema for ChannelRates {
    fn schema() -> RefOr<Schema> {
        let rate = || {
            let types = SchemaType::from_iter([Type::Integer, Type::Null]);
            ObjectBuilder::new().schema_type(types).minimum(Some(1)).maximum(Some(RATE_MAX)).build()
        };
        let rates = KNOWN_CHANNELS.into_iter().fold(ObjectBuilder::new(), |rates, name| rates.property(name, rate()));
        let rates = rates.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
        RefOr::T(Schema::Object(rates.build()))
    }
}

impl ToSchema for ChannelRates {}

/// Change the pace, for all workers within a second
#[utoipa::path(
    put, path = "/rate", tag = "Admin", operation_id = "putRate", request_body = RateWish,
    responses((status = 200, description = "It is so now", body = Vec<RateRow>))
)]
pub(super) async fn put_rate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(wish): Given<RateWish>,
) -> Result<Json<Vec<RateRow>>, Problem> {
    api.ready()?;
    let total = wish.limit.map(|limit| (Name::Rate.as_str().to_owned(), limit.0.to_string()));
    let of_channel = |(channel, rate): (String, Option<Whole>)| {
        (format!("rate.{channel}"), rate.map_or_else(|| "none".to_owned(), |rate| rate.0.to_string()))
    };
    let values: Vec<(String, String)> = total.into_iter().chain(wish.channels.0.into_iter().map(of_channel)).collect();
    for (name, value) in &values {
        setting::check(name, value).map_err(|error| {
            let field = name.strip_prefix("rate.").map_or_else(|| "limit".to_owned(), |of| format!("channels.{of}"));
            Problem::of_field(Kind::InvalidFields, field, error)
        })?;
    }
    if !values.is_empty() {
        let said = values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
        let shared = api.clone();
        let work = async move { set_rates(&shared, &values).await };
        api.act(caller, Deed::of_all("rate set"), work, move |()| said).await?;
    }
    show_rate(State(api)).await
}

async fn set_rates(api: &Api, values: &[(String, String)]) -> Result<(), Problem> {
    let ready = api.ready()?;
    let mysql = &ready.producer.stores().mysql;
    setting::set_all(mysql, values).await?;
    let settings = Settings::load(mysql).await?;
    let announced = match ready.redis() {
        Ok(redis) => announce_limits(redis, &settings).await,
        // Workers hear of it from MySQL.
        Err(_) => return Ok(()),
    };
    match announced {
        Err(error) if error.is_unreachable() => Ok(()),
        announced => Ok(announced?),
    }
}
