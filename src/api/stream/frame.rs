//! Events as they are written: [Server-Sent Events](https://html.spec.whatwg.org/multipage/server-sent-events.html).
//!
//! A frame holds whole events and is written once, however many get it.

use std::io::Write;

use axum::body::Bytes;
use serde::Serialize;

use crate::{mysql::inbox::InboxRow, report::inbox::NotificationView};

/// The name of the event that a message is.
pub(super) const NOTIFICATION: &str = "restock-notification";

/// Those who are cut off together come back spread over this time, in ms.
const RETRY_MS: std::ops::Range<u32> = 500..2_500;
/// Enough for most messages.
const BYTES_USUAL: usize = 384;

/// The first that a stream says: when to come back when it is cut off, and from where to go on then. A block without data is
/// no event, but its number counts.
pub(super) fn greeting(position: Option<i64>) -> Bytes {
    let retry_ms = rand::random_range(RETRY_MS);
    let id = position.map(|position| format!("id: {position}\n")).unwrap_or_default();
    Bytes::from(format!("retry: {retry_ms}\n{id}\n"))
}

/// A sign of life. Whoever got it has everything up to the position that concerns them.
pub(super) fn beat(position: Option<i64>) -> Bytes {
    let id = position.map(|position| format!("id: {position}\n")).unwrap_or_default();
    Bytes::from(format!(":\n{id}\n"))
}

/// Messages, in their order.
pub(super) fn messages(rows: impl IntoIterator<Item = InboxRow>) -> Bytes {
    let mut text = Vec::with_capacity(BYTES_USUAL);
    for row in rows {
        append(&mut text, Some(row.id), NOTIFICATION, &NotificationView::from(row));
    }
    Bytes::from(text)
}

/// One event without a number.
pub(super) fn event(name: &str, value: &impl Serialize) -> Bytes {
    let mut text = Vec::with_capacity(BYTES_USUAL);
    append(&mut text, None, name, value);
    Bytes::from(text)
}

/// Appends an event, or nothing when it cannot be written as JSON: that is never so with what is given here.
fn append(text: &mut Vec<u8>, id: Option<i64>, name: &str, value: &impl Serialize) {
    let before = text.len();
    let written = (|| {
        if let Some(id) = id {
            writeln!(text, "id: {id}")?;
        }
        write!(text, "event: {name}\ndata: ")?;
        // JSON of this library holds no line feed.
        serde_json::to_writer(&mut *text, value)?;
        text.write_all(b"\n\n")
    })();
    if let Err(error) = written {
        tracing::error!(%error, event = name, "an event cannot be written");
        text.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::ids::{ProductId, Round, UserId};

    #[test]
    fn a_message_is_one_event_whatever_its_name_holds() {
        let row = InboxRow {
            id: 1_763_735_306_510_001,
            product: ProductId(42),
            round: Round(3),
            user: UserId(1001),
            sku: None,
            name: "bunting\n\ndata: red".to_owned(),
            started_at: DateTime::from_timestamp_micros(1_763_735_306_500_000).expect("a time").naive_utc(),
            read_at: None,
        };
        assert_eq!(
            messages([row]),
            "id: 1763735306510001\nevent: restock-notification\ndata: {\"id\":1763735306510001,\"key\":\"42-3-inbox-1001\",\
             \"type\":\"product.restocked\",\"timestamp\":\"2025-11-21T14:28:26.500000Z\",\"data\":{\"product_id\":42,\
             \"sku\":null,\"name\":\"bunting\\n\\ndata: red\",\"restock_round\":3,\"user_id\":1001},\"read_at\":null}\n\n"
        );
    }

    #[test]
    fn a_sign_of_life_is_no_event_and_has_the_position() {
        assert_eq!(beat(Some(7)), ":\nid: 7\n\n");
        assert_eq!(beat(None), ":\n\n");
        assert!(greeting(Some(7)).ends_with(b"\nid: 7\n\n") && greeting(None).starts_with(b"retry: "));
    }
}
