//! What people did by hand: who, when, to what, and what came of it.
//!
//! A row is written before the deed and closed after it, so that a deed without a row does not exist; one whose program
//! died in between stays without a result.

use chrono::NaiveDateTime;
use nix::unistd::{Uid, User};
use sqlx::{FromRow, MySqlExecutor, MySqlPool, Row, mysql::MySqlRow};

use super::decode_error;
use crate::ids::{Channel, ParseError, ProductId, Round};

/// The longest name of an operator, in characters.
const OPERATOR_CHARS_MAX: usize = 64;
/// The longest result that is kept, in characters.
const RESULT_CHARS_MAX: usize = 255;

/// The name of whoever acts: 1 to 64 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);

impl Operator {
    /// The system's user: who called sudo, else whom the environment names, else whose process it is. The environment names
    /// nobody under cron, systemd and in containers.
    #[must_use]
    pub fn of_system() -> Self {
        let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
        let named = named.filter_map(|name| name.parse().ok()).next();
        let uid = Uid::current();
        let owner = || User::from_uid(uid).ok().flatten().and_then(|user| user.name.parse().ok());
        named.or_else(owner).unwrap_or_else(|| Self(format!("uid {uid}")))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Operator {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let name = text.trim();
        if (1..=OPERATOR_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ParseError::new("name of an operator", text, "1 to 64 characters, none of them a control character"))
        }
    }
}

/// Something about to be done by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The command, such as `pause`.
    pub action: &'static str,
    /// The product; `None` for all, or none at all.
    pub product: Option<ProductId>,
    /// The channel, if it is about one.
    pub channel: Option<Channel>,
    /// The round, if it is about one.
    pub round: Option<Round>,
}

impl Deed {
    /// A deed that is about the whole deployment.
    #[must_use]
    pub fn of_all(action: &'static str) -> Self {
        Self { action, product: None, channel: None, round: None }
    }

    /// A deed that is about a product with all its lanes.
    #[must_use]
    pub fn of_product(action: &'static str, product: ProductId) -> Self {
        Self { product: Some(product), ..Self::of_all(action) }
    }
}

/// What came of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upshot {
    /// In words.
    pub result: String,
    /// The round that it was about, where that is known only now.
    pub round: Option<Round>,
}

impl Upshot {
    /// Of something that was done to these rounds: one on several channels is the round of the deed.
    #[must_use]
    pub fn of_rounds(result: String, rounds: &[Round]) -> Self {
        let first = rounds.first().copied();
        Self { result, round: first.filter(|first| rounds.iter().all(|round| round == first)) }
    }
}

impl From<String> for Upshot {
    fn from(result: String) -> Self {
        Self { result, round: None }
    }
}

/// A deed as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRow {
    /// Counts up.
    pub id: i64,
    /// When it was begun, UTC.
    pub at: NaiveDateTime,
    /// Who did it.
    pub operator: String,
    /// The command.
    pub action: String,
    /// To which product.
    pub product: Option<ProductId>,
    /// On which channel.
    pub channel: Option<Channel>,
    /// In which round.
    pub round: Option<Round>,
    /// What came of it; `None` when its program died before the end.
    pub result: Option<String>,
}

impl<'r> FromRow<'r, MySqlRow> for ActionRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let channel: Option<String> = row.try_get("channel")?;
        Ok(Self {
            id: row.try_get("id")?,
            at: row.try_get("at")?,
            operator: row.try_get("operator")?,
            action: row.try_get("action")?,
            product: row.try_get::<Option<i64>, _>("product_id")?.map(ProductId),
            channel: channel.map(|channel| channel.parse()).transpose().map_err(decode_error)?,
            round: row.try_get::<Option<u32>, _>("restock_round")?.map(Round),
            result: row.try_get("result")?,
        })
    }
}

/// Writes that it is about to be done, and answers the row's id for [`close`].
///
/// # Errors
/// Those of MySQL: the deed must not be done then.
pub async fn open(db: impl MySqlExecutor<'_>, operator: &Operator, deed: &Deed) -> sqlx::Result<i64> {
    let inserted = sqlx::query(
        "INSERT INTO operator_action (operator, action, product_id, channel, restock_round) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(operator.as_str())
    .bind(deed.action)
    .bind(deed.product.map(|product| product.0))
    .bind(deed.channel.as_ref().map(Channel::as_str))
    .bind(deed.round.map(|round| round.0))
    .execute(db)
    .await?;
    i64::try_from(inserted.last_insert_id()).map_err(decode_error)
}

/// Writes what came of it; a longer text is cut.
///
/// # Errors
/// Those of MySQL.
pub async fn close(db: impl MySqlExecutor<'_>, id: i64, upshot: &Upshot) -> sqlx::Result<()> {
    let result: String = upshot.result.chars().take(RESULT_CHARS_MAX).collect();
    sqlx::query("UPDATE operator_action SET result = ?, restock_round = COALESCE(?, restock_round) WHERE id = ?")
        .bind(result)
        .bind(upshot.round.map(|round| round.0))
        .bind(id)
        .execute(db)
        .await
        .map(drop)
}

/// Does something by hand between [`open`] and [`close`]; `upshot` says what came of it.
///
/// # Errors
/// Those of the work; those of MySQL, before anything is done.
pub async fn record<T, E: From<sqlx::Error>, U: Into<Upshot>>(
    pool: &MySqlPool,
    operator: &Operator,
    deed: &Deed,
    work: impl Future<Output = Result<T, E>>,
    upshot: impl FnOnce(&Result<T, E>) -> U,
) -> Result<T, E> {
    let row = open(pool, operator, deed).await?;
    let done = work.await;
    if let Err(error) = close(pool, row, &upshot(&done).into()).await {
        tracing::warn!(%error, row, "the row about what was done stays open");
    }
    done
}

/// The newest `limit` deeds, of one product or of all, newest first.
///
/// # Errors
/// Those of MySQL.
pub async fn newest(
    db: impl MySqlExecutor<'_>,
    product: Option<ProductId>,
    limit: u32,
) -> sqlx::Result<Vec<ActionRow>> {
    let query = match product {
        Some(product) => sqlx::query_as("SELECT * FROM operator_action WHERE product_id = ? ORDER BY id DESC LIMIT ?")
            .bind(product.0),
        None => sqlx::query_as("SELECT * FROM operator_action ORDER BY id DESC LIMIT ?"),
    };
    query.bind(limit).fetch_all(db).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_that_a_person_can_read() {
        for good in ["ann", " ann ", "Ann Lee (on call)", "안나"] {
            assert!(good.parse::<Operator>().is_ok(), "{good}");
        }
        for bad in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert!(bad.parse::<Operator>().is_err(), "{bad}");
        }
    }
}
