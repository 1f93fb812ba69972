//! `enqueue --from`: many restocks from a file, one a line: all of them are accepted, or none.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use anyhow::Context as _;
use csv::{ReaderBuilder, Trim};
use sqlx::MySqlPool;

use super::super::exit::{Exit, Failure};
use crate::{
    config::Backends,
    ids::ProductRef,
    mysql::product::{self, ProductRow},
    producer::Order,
};

/// The most lines of one file.
const LINES_MAX: usize = 100_000;

/// A line of the file that can be read.
#[derive(Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    /// The product, as MySQL has it.
    pub(super) row: ProductRow,
    /// What is to be announced.
    pub(super) order: Order,
}

struct Wish {
    number: u64,
    product: ProductRef,
    quantity: u32,
    key: Option<crate::ids::IdempotencyKey>,
}

/// The name of the input for people.
pub(super) fn name_of(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

/// Reads the whole file and looks up its products. `on_line` hears of each.
///
/// # Errors
/// One bad line, and none is taken; the message names the first.
pub(super) async fn read(mysql: &MySqlPool, path: &Path, on_line: impl Fn()) -> anyhow::Result<Vec<Line>> {
    let name = name_of(path);
    let input: Box<dyn Read> = match path {
        path if path == Path::new("-") => Box::new(io::stdin().lock()),
        path => {
            let opened = File::open(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("--from {name} cannot be read: {error}; check the path"))
            });
            Box::new(opened?)
        }
    };
    let wishes = wishes(&name, input)?;
    let mut products: HashMap<String, ProductRow> = HashMap::new();
    let mut lines = Vec::with_capacity(wishes.len());
    for Wish { number, product, quantity, key } in wishes {
        let text = product.to_string();
        let row = match products.get(&text) {
            Some(row) => row.clone(),
            None => product::find(mysql, &product).await?.ok_or_else(|| {
                let what = format!("there is no product {product}; see `restock-cli product list`");
                refused(&name, number, Exit::NotFound, &what)
            })?,
        };
        products.insert(text, row.clone());
        let order = Order { product: row.id, quantity, key };
        lines.push(Line { number, row, order });
        on_line();
    }
    Ok(lines)
}

/// What is said of a line that makes the whole file useless.
pub(super) fn refused(name: &str, number: u64, code: Exit, why: &str) -> Failure {
    Failure::new(code, format!("{name}, line {number}: {why}; nothing was enqueued"))
}

/// An error of one line, with the line.
pub(super) fn of_line(name: &str, number: u64, error: &anyhow::Error, backends: &Backends, end: &str) -> Failure {
    let Failure { code, message } = Failure::of(error, backends);
    Failure::new(code, format!("{name}, line {number}: {message}; {end}"))
}

fn wishes(name: &str, input: Box<dyn Read>) -> anyhow::Result<Vec<Wish>> {
    let (mut wishes, mut bad): (Vec<Wish>, Vec<(u64, String)>) = (Vec::new(), Vec::new());
    let mut is_first = true;
    for (number, bytes) in (1..).zip(BufReader::new(input).split(b'\n')) {
        let bytes = bytes.with_context(|| format!("reading {name}"))?;
        let Ok(text) = str::from_utf8(&bytes) else {
            bad.push((number, "it is not UTF-8".to_owned()));
            continue;
        };
        let text = text.trim();
        let is_heading = std::mem::take(&mut is_first) && text.starts_with("product");
        if is_heading || text.is_empty() || text.starts_with('#') {
            continue;
        }
        match wish(number, text) {
            Ok(wish) => wishes.push(wish),
            Err(why) => bad.push((number, why)),
        }
        if wishes.len() > LINES_MAX {
            let what = format!("{name} has more than {LINES_MAX} lines: split it; nothing was enqueued");
            return Err(Failure::new(Exit::Usage, what).into());
        }
    }
    match bad.as_slice() {
        [] if wishes.is_empty() => {
            let what = format!("{name} names no product; write one a line, `product_id[,quantity][,key]`");
            Err(Failure::new(Exit::Usage, what).into())
        }
        [] => Ok(wishes),
        [(number, why)] => Err(refused(name, *number, Exit::Usage, why).into()),
        [(number, why), more @ ..] => {
            Err(refused(name, *number, Exit::Usage, &format!("{why} (and {} more bad lines)", more.len())).into())
        }
    }
}

fn wish(number: u64, text: &str) -> Result<Wish, String> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    let field = |at: usize| record.get(at).filter(|text| !text.is_empty());
    if record.len() > 3 {
        return Err(format!("it has {} fields, and is to be `product_id[,quantity][,key]`", record.len()));
    }
    let product = record.get(0).unwrap_or_default().parse::<ProductRef>().map_err(|error| error.to_string())?;
    let quantity = match field(1) {
        None => 0,
        Some(text) => {
            text.parse::<u32>().ok().filter(|quantity| i32::try_from(*quantity).is_ok()).ok_or_else(|| {
                format!("quantity `{}` is not a whole number from 0 to {}", text.escape_debug(), i32::MAX)
            })?
        }
    };
    let key = field(2).map(str::parse).transpose().map_err(|error: crate::ids::ParseError| error.to_string())?;
    Ok(Wish { number, product, quantity, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (u64, String, u32, Option<String>);

    fn read(text: &'static str) -> Result<Vec<Seen>, String> {
        let wishes = wishes("f", Box::new(text.as_bytes())).map_err(|error| error.to_string())?;
        let seen = |wish: Wish| {
            (wish.number, wish.product.to_string(), wish.quantity, wish.key.map(|key| key.as_str().to_owned()))
        };
        Ok(wishes.into_iter().map(seen).collect())
    }

    #[test]
    fn one_product_a_line_with_and_without_a_heading() {
        let expected = vec![(2, "42".to_owned(), 0, None), (4, "sku:a".to_owned(), 3, Some("k".to_owned()))];
        assert_eq!(read("product_id,quantity,key\n42\n\nsku:a, 3 ,k\n"), Ok(expected));
        assert_eq!(read("7,,k").unwrap(), [(1, "7".to_owned(), 0, Some("k".to_owned()))]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, word) in [
            ("42\n4x\n7\n", "line 2: product `4x`"),
            ("42,-1\n", "line 1: quantity `-1`"),
            ("42,1,k,z\n", "line 1: it has 4 fields"),
            ("42,1,#k\nx\ny\n", "(and 2 more bad lines)"),
            ("\n", "names no product"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(word), "{text:?}: {said}");
        }
    }
}
