//! The shop of the demo: real products, and who bought them, in the order of their first purchase.
//!
//! Chen, D. (2015). Online Retail \[Dataset\]. UCI Machine Learning Repository. <https://doi.org/10.24432/C5BW33>,
//! CC BY 4.0; see `demo/data/README.md`. The data has no wishes to be notified: a customer's first purchase stands for
//! one here.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use flate2::read::GzDecoder;
use serde::Deserialize;

const PRODUCTS: &[u8] = include_bytes!("../../demo/data/products.csv");
const ORDERS: &[u8] = include_bytes!("../../demo/data/orders.csv.gz");

#[derive(Deserialize)]
struct ProductLine {
    stock_code: String,
    description: String,
}

#[derive(Deserialize)]
struct OrderLine {
    stock_code: String,
    quantity: i64,
    invoice_date: String,
    unit_price: f64,
    customer_id: Option<i64>,
}

/// A product with its line and its sales.
#[derive(Debug, Default)]
pub struct Product {
    /// Its number.
    pub id: i64,
    /// Its code.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Customers in the order of their first purchase, with its time.
    pub line: Vec<(i64, String)>,
    /// The quantities of its sales, in the order in which they were made.
    pub sales: Vec<i64>,
}

/// The shop.
#[derive(Debug)]
pub struct Data {
    /// Its products, by number.
    pub products: Vec<Product>,
}

impl Data {
    /// Reads the data that is part of this program.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn read() -> anyhow::Result<Self> {
        let mut products = Vec::new();
        let mut index = HashMap::new();
        for (id, product) in (1..).zip(csv::Reader::from_reader(PRODUCTS).deserialize::<ProductLine>()) {
            let ProductLine { stock_code: sku, description } = product.context("products.csv")?;
            let name = if description.is_empty() { sku.clone() } else { description };
            index.insert(sku.clone(), products.len());
            products.push(Product { id, sku, name, ..Product::default() });
        }
        let mut seen = HashSet::new();
        for order in csv::Reader::from_reader(GzDecoder::new(ORDERS)).deserialize::<OrderLine>() {
            let order = order.context("orders.csv.gz")?;
            let (Some(at), true) = (index.get(&order.stock_code), order.quantity > 0 && order.unit_price > 0.0) else {
                continue;
            };
            let product: &mut Product = &mut products[*at];
            product.sales.push(order.quantity);
            if let Some(customer) = order.customer_id
                && seen.insert((*at, customer))
            {
                product.line.push((customer, order.invoice_date));
            }
        }
        Ok(Self { products })
    }

    /// The products for which most customers wait, merchandise only: their codes begin with five digits.
    #[must_use]
    pub fn most_wanted(&self, count: usize) -> Vec<&Product> {
        let is_merchandise = |p: &&Product| p.sku.len() >= 5 && p.sku.bytes().take(5).all(|b| b.is_ascii_digit());
        let mut wanted: Vec<&Product> = self.products.iter().filter(is_merchandise).collect();
        wanted.sort_by_key(|product| (std::cmp::Reverse(product.line.len()), product.id));
        wanted.truncate(count);
        wanted
    }

    /// How many wishes there are.
    #[must_use]
    pub fn wishes(&self) -> usize {
        self.products.iter().map(|product| product.line.len()).sum()
    }

    /// What `restock-cli import products` reads.
    ///
    /// # Errors
    /// Those of the writer: none, in memory.
    pub fn products_csv(&self) -> anyhow::Result<Vec<u8>> {
        let rows =
            self.products.iter().map(|product| [product.id.to_string(), product.sku.clone(), product.name.clone()]);
        csv_of(["id", "sku", "name"], rows)
    }

    /// What `restock-cli import subscriptions` reads.
    ///
    /// # Errors
    /// Those of the writer: none, in memory.
    pub fn wishes_csv(&self) -> anyhow::Result<Vec<u8>> {
        let rows = self.products.iter().flat_map(|product| {
            product.line.iter().map(|(customer, at)| [product.id.to_string(), customer.to_string(), at.clone()])
        });
        csv_of(["product_id", "user_id", "created_at"], rows)
    }
}

fn csv_of(heading: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> anyhow::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(heading)?;
    for row in rows {
        csv.write_record(row)?;
    }
    Ok(csv.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_products_have_lines_that_are_long_enough_to_watch() {
        let data = Data::read().expect("the data is part of the program");
        assert_eq!(data.products.len(), 4_070);
        let wanted = data.most_wanted(6);
        assert!(wanted.iter().all(|product| product.line.len() > 500), "a line is too short");
    }
}
