//! How people are written: nearly all rows are theirs, so their statements are kept, and the next is filled while MySQL
//! takes one.

use std::sync::{Arc, LazyLock};

use futures_util::future::join;
use sqlx::{Arguments, AssertSqlSafe, MySqlConnection, mysql::MySqlArguments};

use super::{
    batch::{Person, Said},
    entry::Subject,
    rows::Row,
    words::{self, Words},
};
use crate::{
    ids::{Place, UserId},
    mysql::{self, sizes::portions},
};

/// The most people of one statement.
const ROWS_MAX: usize = 1_024;
const COLUMNS: &str = "product_id, restock_round, channel, place, user_id, outcome, sent_at, tries";
const VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?)";
/// About how many bytes the values of one person take.
const PERSON_BYTES: usize = 80;

/// The statements that insert 1, 2, 4, … people.
static INSERTS: LazyLock<Vec<Arc<str>>> =
    LazyLock::new(|| (0..=ROWS_MAX.ilog2()).map(|log| Arc::from(insert(1 << log))).collect());

fn insert(rows: usize) -> String {
    format!("INSERT INTO product_user_notification_history ({COLUMNS}) VALUES {}", vec![VALUES; rows].join(", "))
}

fn values(rows: &[Said<Person>]) -> sqlx::Result<MySqlArguments> {
    let mut values = MySqlArguments::default();
    values.reserve(rows.len() * 8, rows.len() * PERSON_BYTES);
    let mut fill = || {
        for Said { what, .. } in rows {
            values.add(what.product.0)?;
            values.add(what.round.0)?;
            values.add(what.channel.as_str())?;
            values.add(what.settled.place.datetime())?;
            values.add(what.settled.user.0)?;
            values.add(what.settled.outcome.number())?;
            values.add(Place(what.settled.at_us).datetime())?;
            values.add(u16::try_from(what.settled.tries).unwrap_or(u16::MAX))?;
        }
        Ok(())
    };
    fill().map_err(sqlx::Error::Encode)?;
    Ok(values)
}

/// Writes people of whom no row is there; fails on one that is.
async fn write_new(rows: &[Said<Person>], new: MySqlArguments, db: &mut MySqlConnection) -> sqlx::Result<()> {
    let log = rows.len().is_power_of_two().then(|| rows.len().ilog2() as usize);
    let kept = log.and_then(|log| INSERTS.get(log)).map(Arc::clone);
    let sql = kept.unwrap_or_else(|| Arc::from(insert(rows.len())));
    sqlx::query_with(AssertSqlSafe(sql), new).execute(db).await.map(drop)
}

/// As [`write_new`], any number of them.
///
/// # Errors
/// Those of MySQL; a duplicate key for one who is there already.
pub(super) async fn write_all_new(rows: &[Said<Person>], db: &mut MySqlConnection) -> sqlx::Result<()> {
    write_portions(rows, true, db).await
}

/// Writes portion after portion, and fills the next one while MySQL takes one.
async fn write_portions(rows: &[Said<Person>], are_new: bool, db: &mut MySqlConnection) -> sqlx::Result<()> {
    let mut portions = portions(rows, ROWS_MAX);
    let mut fill_next = || portions.next().map(|rows| values(rows).map(|values| (rows, values))).transpose();
    let mut next = fill_next()?;
    while let Some((rows, values)) = next {
        let written = async {
            if are_new { write_new(rows, values, &mut *db).await } else { write(rows, values, &mut *db).await }
        };
        // The first of the two is asked first: so the statement is on its way when the next one is filled.
        let (written, filled) = join(written, async { fill_next() }).await;
        written?;
        next = filled?;
    }
    Ok(())
}

/// For one person SENT beats any other outcome, else the later one stands. `sent_at` is assigned before the outcome that
/// its rule looks at; once assigned, the rule still gives the same answer.
///
/// Nearly always all rows are new, and to say what is to become of an old one makes the statement dearer: so that is said
/// only after one was found.
async fn write(rows: &[Said<Person>], new: MySqlArguments, db: &mut MySqlConnection) -> sqlx::Result<()> {
    match write_new(rows, new, db).await {
        Err(error) if mysql::is_duplicate(&error) => {}
        inserted => return inserted,
    }
    const STANDS: &str = "outcome = 'SENT' OR (VALUES(outcome) <> 'SENT' AND VALUES(sent_at) < sent_at)";
    let upsert = format!(
        "{} ON DUPLICATE KEY UPDATE tries = IF({STANDS}, tries, VALUES(tries)),
         sent_at = IF({STANDS}, sent_at, VALUES(sent_at)), outcome = IF({STANDS}, outcome, VALUES(outcome))",
        insert(rows.len())
    );
    sqlx::query_with(AssertSqlSafe(upsert), values(rows)?).execute(db).await.map(drop)
}

impl Row for Person {
    const KIND: &'static str = "person";
    const ROWS_MAX: usize = ROWS_MAX;

    fn about(&self) -> Subject {
        Subject { product: Some(self.product), channel: Some(self.channel.clone()), round: Some(self.round) }
    }

    fn words(&self) -> Words {
        words::of_person(self)
    }

    fn name(&self) -> String {
        let Self { product, round, channel, settled } = self;
        // Of those who were erased there may be many in a round.
        let whose = match settled.user {
            UserId::NOBODY => format!("somebody at {}", settled.place),
            user => format!("user {user}"),
        };
        format!("{whose} in round {round} of {product}/{channel}")
    }

    async fn write(rows: &[Said<Self>], db: &mut MySqlConnection) -> sqlx::Result<()> {
        write(rows, values(rows)?, db).await
    }

    async fn write_all(rows: &[Said<Self>], db: &mut MySqlConnection) -> sqlx::Result<()> {
        write_portions(rows, false, db).await
    }
}
