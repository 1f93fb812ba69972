//! `id,sku,name,stock`: products.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
};

use sqlx::{MySqlPool, QueryBuilder};

use super::{
    BATCH_ROWS, BadLines, Catalogue, ImportError, Source,
    csv_file::{CsvFile, Fault, Line},
    spool::{Spool, SpoolWriter, Spooled, read_i64, read_text, write_i64, write_text},
};
use crate::{
    ids::{ProductId, Sku},
    limit::STOCK_MAX,
    mysql::product::{NewProduct, parse_name},
};

/// Columns that are read.
const COLUMNS: [&str; 4] = ["id", "sku", "name", "stock"];

/// A product file of which every line has been read.
#[derive(Debug)]
pub struct CheckedProducts {
    /// What cannot be imported.
    pub bad: BadLines,
    /// Columns of the file that mean nothing here.
    pub unused_columns: Vec<String>,
    spool: Spool<NewProduct>,
}

impl CheckedProducts {
    /// Good lines.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.spool.rows()
    }
}

/// What an import of products did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportedProducts {
    /// New ones.
    pub added: u64,
    /// Those whose id existed: left as they are, because their stock is live.
    pub kept: u64,
}

impl Spooled for NewProduct {
    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        write_i64(to, self.id.0)?;
        write_i64(to, self.stock)?;
        write_text(to, self.sku.as_ref().map_or("", Sku::as_str))?;
        write_text(to, &self.name)
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        let (id, stock) = (ProductId(read_i64(from)?), read_i64(from)?);
        let sku = read_text(from)?;
        let sku = if sku.is_empty() { None } else { Some(sku.parse().map_err(io::Error::other)?) };
        Ok(Self { id, sku, name: read_text(from)?, stock })
    }
}

/// Reads and checks every line, without writing anything. Blocks.
///
/// # Errors
/// When the input cannot be read or has no usable heading; bad lines are in the answer.
pub fn check_products(
    source: &Source,
    catalogue: &Catalogue,
    on_bytes: impl Fn(u64) + Send + 'static,
) -> Result<CheckedProducts, ImportError> {
    let fault = |fault| ImportError::of_fault(source, fault);
    let mut file = CsvFile::open(source, on_bytes).map_err(fault)?;
    let mut checker = Checker::new(&file, catalogue).map_err(fault)?;
    let mut spool = SpoolWriter::new().map_err(ImportError::Spool)?;
    let mut bad = BadLines::default();
    while let Some(line) = file.next().map_err(fault)? {
        match checker.check(&line) {
            Ok(product) => spool.push(&product).map_err(ImportError::Spool)?,
            Err(what) => bad.add(line.number, what),
        }
    }
    let spool = spool.finish().map_err(ImportError::Spool)?;
    Ok(CheckedProducts { bad, unused_columns: file.unused(&COLUMNS), spool })
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    id: usize,
    name: usize,
    sku: Option<usize>,
    stock: Option<usize>,
    line_of_id: HashMap<ProductId, u64>,
    line_of_sku: HashMap<Sku, u64>,
}

impl<'a> Checker<'a> {
    fn new(file: &CsvFile, catalogue: &'a Catalogue) -> Result<Self, Fault> {
        Ok(Self {
            catalogue,
            id: file.need("id")?,
            name: file.need("name")?,
            sku: file.find("sku"),
            stock: file.find("stock"),
            line_of_id: HashMap::new(),
            line_of_sku: HashMap::new(),
        })
    }

    fn check(&mut self, line: &Line<'_>) -> Result<NewProduct, String> {
        line.check_len()?;
        let id: ProductId = line.text(self.id)?.parse().map_err(text)?;
        let name = parse_name(line.text(self.name)?).map_err(text)?;
        let sku: Option<Sku> = match self.sku.map(|column| line.text(column)).transpose()? {
            None | Some("") => None,
            Some(code) => Some(code.parse().map_err(text)?),
        };
        let stock = match self.stock.map(|column| line.text(column)).transpose()? {
            None | Some("") => 0,
            Some(pieces) => pieces.parse().ok().filter(|pieces| (0..=STOCK_MAX).contains(pieces)).ok_or_else(|| {
                format!("stock `{}` is not a whole number from 0 to {STOCK_MAX}", pieces.escape_debug())
            })?,
        };
        if let Some(before) = self.line_of_id.get(&id) {
            return Err(format!("id {id} is on line {before} already"));
        }
        if let Some(sku) = &sku {
            if let Some(before) = self.line_of_sku.get(sku) {
                return Err(format!("sku `{sku}` is on line {before} already"));
            }
            if let Some(other) = self.catalogue.by_sku(sku)
                && other != id
            {
                return Err(format!("sku `{sku}` is product {other} already"));
            }
            self.line_of_sku.insert(sku.clone(), line.number);
        }
        self.line_of_id.insert(id, line.number);
        Ok(NewProduct { id, sku, name, stock })
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Adds the good lines of a file, 10,000 in a commit; `on_rows` hears how many each time.
///
/// # Errors
/// Those of MySQL, also when somebody took one of the codes since the check.
pub async fn import_products(
    pool: &MySqlPool,
    mut checked: CheckedProducts,
    on_rows: impl Fn(u64),
) -> Result<ImportedProducts, ImportError> {
    let mut done = ImportedProducts::default();
    loop {
        let mut batch = checked.spool.batch(BATCH_ROWS).map_err(ImportError::Spool)?;
        if batch.is_empty() {
            return Ok(done);
        }
        batch.sort_by_key(|product| product.id);
        let rows = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let added = insert(pool, &batch).await?;
        done.added += added;
        done.kept += rows.saturating_sub(added);
        on_rows(rows);
    }
}

/// Adds those that are not there; answers how many.
async fn insert(pool: &MySqlPool, batch: &[NewProduct]) -> sqlx::Result<u64> {
    let mut tx = pool.begin().await?;
    let mut known = QueryBuilder::new("SELECT id FROM product WHERE id IN (");
    let mut list = known.separated(", ");
    for product in batch {
        list.push_bind(product.id.0);
    }
    known.push(") FOR UPDATE");
    let known: Vec<i64> = known.build_query_scalar().persistent(false).fetch_all(&mut *tx).await?;
    let known: std::collections::HashSet<i64> = known.into_iter().collect();
    let fresh: Vec<&NewProduct> = batch.iter().filter(|product| !known.contains(&product.id.0)).collect();
    if !fresh.is_empty() {
        let mut query = QueryBuilder::new("INSERT INTO product (id, sku, name, stock) ");
        query.push_values(&fresh, |mut row, product| {
            row.push_bind(product.id.0)
                .push_bind(product.sku.as_ref().map(Sku::as_str))
                .push_bind(&product.name)
                .push_bind(product.stock);
        });
        query.build().persistent(false).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(u64::try_from(fresh.len()).unwrap_or(u64::MAX))
}
