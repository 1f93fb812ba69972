//! `product_id` or `sku`, `user_id`, `created_at`: subscriptions. Reading and checking them.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read, Write},
};

use chrono::{DateTime, NaiveDateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::MySqlPool;

use super::{
    BadLines, ImportError, Source,
    csv_file::{CsvFile, Fault, Line},
    spool::{Spool, SpoolWriter, Spooled, read_i64, write_i64},
};
use crate::{
    ids::{Place, ProductId, Sku, UserId},
    mysql::decode_error,
};

/// Columns that are read.
const COLUMNS: [&str; 4] = ["product_id", "sku", "user_id", "created_at"];

/// The products that exist, by number and by code.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    ids: HashSet<ProductId>,
    skus: HashMap<Sku, ProductId>,
}

impl Catalogue {
    /// Reads all products; memory grows with their number.
    ///
    /// # Errors
    /// Those of MySQL.
    pub async fn load(pool: &MySqlPool) -> sqlx::Result<Self> {
        let mut rows = sqlx::query_as::<_, (i64, Option<String>)>("SELECT id, sku FROM product").fetch(pool);
        let mut catalogue = Self::default();
        while let Some((id, sku)) = rows.try_next().await? {
            catalogue.ids.insert(ProductId(id));
            if let Some(sku) = sku {
                catalogue.skus.insert(sku.parse().map_err(decode_error)?, ProductId(id));
            }
        }
        Ok(catalogue)
    }

    /// Whose code this is.
    #[must_use]
    pub fn by_sku(&self, sku: &Sku) -> Option<ProductId> {
        self.skus.get(sku).copied()
    }
}

/// A subscription as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) product: ProductId,
    pub(super) user: UserId,
    pub(super) at: Place,
}

impl Spooled for Wish {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        write_i64(to, self.product.0)?;
        write_i64(to, self.user.0)?;
        write_i64(to, self.at.0)
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        Ok(Self { product: ProductId(read_i64(from)?), user: UserId(read_i64(from)?), at: Place(read_i64(from)?) })
    }
}

/// A subscription file of which every line has been read.
#[derive(Debug)]
pub struct CheckedSubscriptions {
    /// What cannot be imported.
    pub bad: BadLines,
    /// Columns of the file that mean nothing here.
    pub unused_columns: Vec<String>,
    pub(super) spool: Spool<Wish>,
}

impl CheckedSubscriptions {
    /// Good lines.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.spool.rows()
    }
}

/// Reads and checks every line, without writing anything; times after `now` are refused. Blocks.
///
/// # Errors
/// When the input cannot be read or has no usable heading; bad lines are in the answer.
pub fn check_subscriptions(
    source: &Source,
    catalogue: &Catalogue,
    now: DateTime<Utc>,
    on_bytes: impl Fn(u64) + Send + 'static,
) -> Result<CheckedSubscriptions, ImportError> {
    let fault = |fault| ImportError::of_fault(source, fault);
    let mut file = CsvFile::open(source, on_bytes).map_err(fault)?;
    let checker = Checker::new(&file, catalogue, Place(now.timestamp_micros())).map_err(fault)?;
    let mut spool = SpoolWriter::new().map_err(ImportError::Spool)?;
    let mut bad = BadLines::default();
    while let Some(line) = file.next().map_err(fault)? {
        match checker.check(&line) {
            Ok(wish) => spool.push(&wish).map_err(ImportError::Spool)?,
            Err(what) => bad.add(line.number, what),
        }
    }
    let spool = spool.finish().map_err(ImportError::Spool)?;
    Ok(CheckedSubscriptions { bad, unused_columns: file.unused(&COLUMNS), spool })
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    now: Place,
    product: Option<usize>,
    sku: Option<usize>,
    user: usize,
    at: usize,
}

impl<'a> Checker<'a> {
    fn new(file: &CsvFile, catalogue: &'a Catalogue, now: Place) -> Result<Self, Fault> {
        let (product, sku) = (file.find("product_id"), file.find("sku"));
        if product.is_none() && sku.is_none() {
            return Err(Fault::Heading("the first line must name the column `product_id` or `sku`".to_owned()));
        }
        Ok(Self { catalogue, now, product, sku, user: file.need("user_id")?, at: file.need("created_at")? })
    }

    fn check(&self, line: &Line<'_>) -> Result<Wish, String> {
        line.check_len()?;
        let product = self.product(line)?;
        let user = line.text(self.user)?.parse().map_err(text)?;
        let at = parse_time(line.text(self.at)?)?;
        if at > self.now {
            return Err(format!("created_at `{}` is in the future", line.text(self.at)?));
        }
        Ok(Wish { product, user, at })
    }

    fn product(&self, line: &Line<'_>) -> Result<ProductId, String> {
        let field = |column: Option<usize>| column.map(|column| line.text(column)).transpose();
        if let Some(id) = field(self.product)?.filter(|id| !id.is_empty()) {
            let id: ProductId = id.parse().map_err(text)?;
            if !self.catalogue.ids.contains(&id) {
                return Err(format!("there is no product {id}"));
            }
            // A code that is nobody's may be the shop's own; one that is another's makes it unclear who is meant.
            let code: Option<Sku> = field(self.sku)?.and_then(|code| code.parse().ok());
            return match code.and_then(|code| Some((self.catalogue.by_sku(&code)?, code))) {
                Some((other, code)) if other != id => {
                    Err(format!("it names product {id}, and sku `{code}` is product {other}"))
                }
                _ => Ok(id),
            };
        }
        match field(self.sku)? {
            None | Some("") => Err("it names no product".to_owned()),
            Some(code) => {
                let sku: Sku = code.parse().map_err(text)?;
                self.catalogue.by_sku(&sku).ok_or_else(|| format!("there is no product with the sku `{sku}`"))
            }
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// RFC 3339, or without an offset as UTC, also as MySQL writes it, with a space; what is finer than a microsecond is cut off.
fn parse_time(text: &str) -> Result<Place, String> {
    let at = match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.naive_utc(),
        Err(_) => without_offset(text).map_err(|_| {
            let shown = text.chars().take(80).collect::<String>();
            format!("created_at `{}` is not a time such as 2026-01-31T12:00:00.000001Z", shown.escape_debug())
        })?,
    };
    let place = Place::from_datetime(at);
    // MySQL would round; the line compares whole microseconds.
    if place > Place(0) { Ok(place) } else { Err(format!("created_at `{text}` is before 1970")) }
}

fn without_offset(text: &str) -> chrono::ParseResult<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_or_without_an_offset() {
        for text in [
            "2026-01-31T12:00:00.5Z",
            "2026-01-31T21:00:00.500000+09:00",
            "2026-01-31T12:00:00.5",
            "2026-01-31 12:00:00.500000",
        ] {
            assert_eq!(parse_time(text), Ok(Place(1_769_860_800_500_000)), "{text}");
        }
        assert!(parse_time("2026-01-31T12:00:00").is_ok() && parse_time("2026-01-31 12:00:00").is_ok());
        for bad in ["", "2026-01-31", "31.01.2026 12:00", "2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z", "now"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
