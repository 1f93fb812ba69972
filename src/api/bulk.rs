//! Many users into one line, by newline-delimited JSON: nobody, unless every line can be used.
//!
//! The body is read as it comes, a line at a time, so that memory grows with the users and not with the text. Only then are
//! they written, so many in each transaction, so that others get into the same line meanwhile.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    http::HeaderMap,
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Api,
    ask::{At, Whole, broken_off, check_type, in_time, read_json, too_large},
    guard::Deadline,
    line::LineWrites,
    problem::{FieldError, Kind, Problem},
};
use crate::{
    ids::{ProductId, UserId},
    mysql::subscription::{self, Subscribed},
};

/// Users in one request.
const USERS_MAX: usize = 100_000;
/// Users in one transaction: the line is locked meanwhile.
const CHUNK_USERS: usize = 1_000;
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 1_024;
/// The longest body, in bytes: as many lines with room for spaces.
const BYTES_MAX: usize = USERS_MAX * 128;
/// Bad lines that are shown.
const BAD_SHOWN_MAX: usize = 10;
/// The type of the body.
const NDJSON: &str = "application/x-ndjson";

/// One line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct SubscriptionLine {
    /// Who.
    #[schema(value_type = i64, minimum = 1, example = 1001)]
    user: Whole,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscribedMany {
    /// To which product.
    product: ProductId,
    /// In line for the first time.
    added: u64,
    /// Back in line, at its end.
    returned: u64,
    /// In line already; they keep their place.
    kept: u64,
}

/// Put many users at the end of a product's line, in this order
///
/// The body has a line for each, such as `{"user":1001}`; at most 100,000. All lines are checked first: one bad line, and nobody
/// is subscribed. Then they are written a thousand at a time. When that is cut off in between (503), the first of them stand in
/// line, and how many is said; the same body again adds the others, and who stands in line keeps the place.
#[utoipa::path(
    post, path = "/products/{productId}/subscriptions", tag = "Subscriptions", operation_id = "subscribeMany",
    params(("productId" = ProductId, Path, description = "The product's number")),
    request_body(content = Vec<SubscriptionLine>, content_type = "application/x-ndjson", description = "The items of this array, each on a line of its own",
                 example = "{\"user\":1001}\n{\"user\":1002}\n"),
    responses(
        (status = 200, description = "All of them stand in line", body = SubscribedMany),
        (status = 422, description = "Lines that cannot be used, the first ten by number; nobody was subscribed"),
    )
)]
pub(super) async fn subscribe(
    State(api): State<Arc<Api>>,
    At(product): At<ProductId>,
    deadline: Deadline,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<SubscribedMany>, Problem> {
    check_type(&headers, NDJSON)?;
    let ready = api.ready()?;
    ready.product(product).await?;
    let users = in_time(deadline, read(request)).await?;
    let shared = api.clone();
    let work = async move { write(&shared.ready()?.lines, product, &users).await };
    let Subscribed { added, returned, kept } = api.finish(work).await??;
    Ok(Json(SubscribedMany { product, added, returned, kept }))
}

async fn write(lines: &LineWrites, product: ProductId, users: &[UserId]) -> Result<Subscribed, Problem> {
    let _turn = lines.bulk_turn().await?;
    let mut seen = HashSet::new();
    let users: Vec<UserId> = users.iter().copied().filter(|user| seen.insert(*user)).collect();
    let mut done = Subscribed::default();
    for (n, chunk) in users.chunks(CHUNK_USERS).enumerate() {
        let chunk = subscription::subscribe(&lines.mysql, product, chunk).await.map_err(|error| {
            let so_far = n * CHUNK_USERS;
            Problem::from(error)
                .behind(&format!("the first {so_far} of {} users stand in line, the others may not", users.len()))
        })?;
        done.added += chunk.added;
        done.returned += chunk.returned;
        done.kept += chunk.kept;
    }
    Ok(done)
}

async fn read(request: Request) -> Result<Vec<UserId>, Problem> {
    let (mut lines, mut chunks, mut bytes) = (Lines::default(), request.into_body().into_data_stream(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| broken_off())?;
        bytes += chunk.len();
        if bytes > BYTES_MAX {
            return Err(too_large(BYTES_MAX));
        }
        lines.push(&chunk)?;
    }
    lines.finish()
}

/// The lines so far.
#[derive(Debug, Default)]
struct Lines {
    users: Vec<UserId>,
    /// What has come of the line that is not ended yet.
    rest: Vec<u8>,
    line: u64,
    bad: Vec<FieldError>,
    bad_count: u64,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        let mut parts = chunk.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            // What is beyond the limit is never looked at, and must not be kept.
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.rest.len());
            self.rest.extend_from_slice(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Problem> {
        self.line += 1;
        let line = std::mem::take(&mut self.rest);
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let read = if line.len() > LINE_BYTES_MAX {
            Err(format!("it is longer than {LINE_BYTES_MAX} bytes"))
        } else {
            let wish = read_json::<SubscriptionLine>(&line).map_err(|problem| problem.detail().to_owned());
            wish.and_then(
                |wish| if wish.user.0 > 0 { Ok(UserId(wish.user.0)) } else { Err("user: it is above zero".into()) },
            )
        };
        match read {
            Ok(user) => self.users.push(user),
            Err(detail) => {
                self.bad_count += 1;
                if self.bad.len() < BAD_SHOWN_MAX {
                    self.bad.push(FieldError { field: format!("line {}", self.line), detail });
                }
            }
        }
        if self.users.len() > USERS_MAX {
            let detail = format!("more than {USERS_MAX} users; send several requests, one after the other");
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<UserId>, Problem> {
        self.end_line()?;
        if self.bad_count > 0 {
            let detail = format!("{} lines cannot be used; nobody was subscribed", self.bad_count);
            return Err(Problem::new(Kind::InvalidFields, detail).with_errors(self.bad));
        }
        Ok(self.users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Result<Vec<UserId>, Problem> {
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.push(chunk)?;
            assert!(lines.rest.len() <= LINE_BYTES_MAX + 1);
        }
        lines.finish()
    }

    #[test]
    fn lines_are_read_however_they_are_cut() {
        let text = b"{\"user\":1}\n\r\n{\"user\":2}\r\n{\"user\":3}";
        for at in 0..text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(lines(&[left, right]).ok(), Some(vec![UserId(1), UserId(2), UserId(3)]), "cut at {at}");
        }
    }

    #[test]
    fn bad_lines_are_named_by_their_number() {
        let long = format!("{{\"user\":1{}}}\n", " ".repeat(5_000));
        let text = format!("{{\"user\":1}}\n{{\"user\":0}}\nx\n{long}{{\"user\":1,\"at\":2}}\n");
        let problem = lines(&text.as_bytes().chunks(1_000).collect::<Vec<_>>()).expect_err("bad lines");
        assert!(problem.detail().starts_with("4 lines"), "{}", problem.detail());
        assert_eq!(lines(&[b"\n\n"]).ok(), Some(Vec::new()));
    }
}
