//! `restock-cli product add | list | show`.

use clap::Subcommand;

use super::{
    Context,
    exit::Exit,
    output::{self, Output, Record, or_dash},
};
use crate::{
    ids::{ParseError, ProductId, ProductRef, Sku},
    limit::STOCK_MAX,
    mysql::product::{self, NewProduct, ProductRow},
};

/// Products read at a time.
const PAGE_ROWS: u32 = 5_000;

/// Options of `product`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a product
    Add {
        /// Its number
        id: ProductId,
        /// Its name
        #[arg(long, value_parser = parse_name)]
        name: String,
        /// Its code; upper and lower case differ
        #[arg(long)]
        sku: Option<Sku>,
        /// Pieces in stock
        #[arg(long, default_value_t = 0, allow_negative_numbers = true,
              value_parser = clap::value_parser!(i64).range(0..=STOCK_MAX))]
        stock: i64,
    },
    /// List products by number
    List {
        /// Only those after this number
        #[arg(long, value_name = "ID")]
        after: Option<ProductId>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// Show one product
    Show {
        /// 42, or sku:85123A
        product: ProductRef,
    },
}

fn parse_name(text: &str) -> Result<String, ParseError> {
    product::parse_name(text)
}

impl Record for ProductRow {
    const HEADINGS: &'static [&'static str] = &[">ID", "SKU", "NAME", ">STOCK", ">ROUND"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            or_dash(self.sku.as_ref()),
            self.name.clone(),
            self.stock.to_string(),
            self.restock_round.to_string(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (pool, _) = context.mysql().await?;
    match args.action {
        Action::Add { id, name, sku, stock } => {
            product::add(&pool, &NewProduct { id, sku, name, stock }).await?;
            let added = context.product(&pool, &ProductRef::Id(id)).await?;
            output::record(context.output, &added)?;
        }
        Action::List { after, limit } => {
            let rows = list(&pool, after, limit.unwrap_or(u32::MAX)).await?;
            output::records(context.output, &rows)?;
        }
        Action::Show { product } => show(context, &pool, &product).await?,
    }
    Ok(Exit::Done)
}

async fn list(pool: &sqlx::MySqlPool, mut after: Option<ProductId>, limit: u32) -> sqlx::Result<Vec<ProductRow>> {
    let mut rows: Vec<ProductRow> = Vec::new();
    loop {
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let page = product::list(pool, after, left.min(PAGE_ROWS)).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        after = Some(last.id);
        rows.extend(page);
    }
}

/// Prints a product, as MySQL knows it.
pub(super) async fn show(context: &Context, pool: &sqlx::MySqlPool, name: &ProductRef) -> anyhow::Result<()> {
    let product = context.product(pool, name).await?;
    match context.output {
        Output::Table => output::records(Output::Table, &[product]),
        Output::Json => output::record(Output::Json, &product),
    }
}
