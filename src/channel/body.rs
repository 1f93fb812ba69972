//! The JSON of one message: `docs/contract.md`, section Webhook.

use chrono::DateTime;
use serde::Serialize;

use super::Message;
use crate::ids::{ProductId, Round, Sku, UserId, rfc3339};

/// Enough for most names, so that a body is written into one allocation.
const BODY_BYTES_USUAL: usize = 256;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    product_id: ProductId,
    sku: Option<&'a Sku>,
    name: &'a str,
    restock_round: Round,
    user_id: UserId,
}

impl<'a> Body<'a> {
    fn new(message: &'a Message, key: Option<&'a str>) -> Self {
        let product = &message.product;
        Self {
            key,
            kind: "product.restocked",
            timestamp: rfc3339(DateTime::from_timestamp_micros(message.started_us).unwrap_or_default().naive_utc()),
            data: Data {
                product_id: product.id,
                sku: product.sku.as_ref(),
                name: &product.name,
                restock_round: message.round,
                user_id: message.user,
            },
        }
    }
}

/// The body of a request. `timestamp` is when the attempt started, RFC 3339, UTC, µs.
///
/// # Errors
/// Never for a [`Message`]: all it holds can be written as JSON.
pub(super) fn body(message: &Message) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BODY_BYTES_USUAL);
    serde_json::to_writer(&mut bytes, &Body::new(message, None))?;
    Ok(bytes)
}

/// Appends the same JSON with the message's key before it, and a line feed. Appends nothing on an error.
///
/// # Errors
/// Never for a [`Message`]: all it holds can be written as JSON.
pub(super) fn append_line(message: &Message, lines: &mut Vec<u8>) -> serde_json::Result<()> {
    let before = lines.len();
    serde_json::to_writer(&mut *lines, &Body::new(message, Some(&message.key())))
        .inspect(|()| lines.push(b'\n'))
        .inspect_err(|_| lines.truncate(before))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::channel::ProductCard;

    /// The message of the contract's example.
    pub(in crate::channel) fn example() -> Message {
        Message {
            product: Arc::new(ProductCard {
                id: ProductId(42),
                sku: Some("47566".parse().unwrap()),
                name: "Party bunting".to_owned(),
            }),
            round: Round(3),
            channel: "webhook".parse().unwrap(),
            user: UserId(1001),
            started_us: 1_700_000_000_123_456,
            traceparent: None,
        }
    }

    #[test]
    fn the_body_is_the_contracts_to_the_letter() {
        assert_eq!(
            String::from_utf8(body(&example()).unwrap()).unwrap(),
            r#"{"type":"product.restocked","timestamp":"2023-11-14T22:13:20.123456Z","data":{"product_id":42,"sku":"47566","name":"Party bunting","restock_round":3,"user_id":1001}}"#
        );
    }

    #[test]
    fn an_absent_sku_is_null_and_a_name_is_escaped() {
        let mut message = example();
        message.product = Arc::new(ProductCard { id: ProductId(1), sku: None, name: "\"깃발\"\n".to_owned() });
        let text = String::from_utf8(body(&message).unwrap()).unwrap();
        assert!(text.contains(r#""sku":null,"name":"\"깃발\"\n","#), "{text}");
    }

    #[test]
    fn a_line_is_the_body_behind_its_key() {
        let mut lines = b"{}\n".to_vec();
        append_line(&example(), &mut lines).unwrap();
        let text = String::from_utf8(lines).unwrap();
        let rest = String::from_utf8(body(&example()).unwrap()).unwrap();
        assert_eq!(text, format!("{{}}\n{{\"key\":\"42-3-webhook-1001\",{}\n", &rest[1..]));
    }
}
