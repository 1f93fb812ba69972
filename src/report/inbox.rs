//! Messages of the inbox, as people and programs are shown them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ids::{ProductId, Sku, UserId, rfc3339},
    mysql::inbox::InboxRow,
};

/// A message that the channel `inbox` has for a person. All but `id`, `key` and `read_at` is as in a webhook.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Notification)]
pub struct NotificationView {
    /// Its number: greater than that of every message that could be read before it. Not without gaps.
    #[schema(minimum = 1, example = 1_763_735_306_510_001_i64)]
    pub id: i64,
    /// Names the delivery: `<product>-<round>-inbox-<user>`.
    #[schema(example = "42-3-inbox-1001")]
    pub key: String,
    /// What it is about.
    #[serde(rename = "type")]
    #[schema(example = "product.restocked")]
    pub kind: &'static str,
    /// When the attempt started that wrote it.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// What is back.
    pub data: Restocked,
    /// When its reader said that they have read it; null before.
    #[schema(format = DateTime)]
    pub read_at: Option<String>,
}

/// A product that is back, as it was when the message was written.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Restocked {
    /// Which product.
    pub product_id: ProductId,
    /// Its code.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: String,
    /// In which round; 0 for a test.
    #[schema(minimum = 0, maximum = 4_294_967_295_i64)]
    pub restock_round: u32,
    /// For whom.
    pub user_id: UserId,
}

impl From<InboxRow> for NotificationView {
    fn from(row: InboxRow) -> Self {
        Self {
            id: row.id,
            key: format!("{}-{}-inbox-{}", row.product, row.round, row.user),
            kind: "product.restocked",
            timestamp: rfc3339(row.started_at),
            data: Restocked {
                product_id: row.product,
                sku: row.sku,
                name: row.name,
                restock_round: row.round.0,
                user_id: row.user,
            },
            read_at: row.read_at.map(rfc3339),
        }
    }
}
