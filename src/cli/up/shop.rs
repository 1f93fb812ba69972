//! What is in the shop of `up` at first, and a first command that does something with it.

use std::fs;

use chrono::Utc;
use tokio::task::spawn_blocking;

use super::{Data, Ground};
use crate::{
    cli::output,
    demo::data::Data as Sample,
    mysql::{
        self,
        import::{self, Catalogue, Source},
        product,
    },
};

/// Adds the sample where it is wanted, and answers a command to try.
pub(super) async fn furnish(ground: &Ground, wanted: Option<Data>) -> anyhow::Result<String> {
    let pool = mysql::connect(&ground.backends.mysql_url, 2).await?;
    let default = if ground.has_private_mysql() { Data::Sample } else { Data::None };
    let arguments = if wanted.unwrap_or(default) == Data::Sample {
        add_sample(&pool).await?
    } else if product::list(&pool, None, 1).await?.is_empty() {
        let own = this_program();
        format!(
            "product add 42 --name 'Party bunting' && {own} subscribe 42 1001 1002 1003 && {own} enqueue 42 --quantity \
             10 --wait"
        )
    } else {
        // A round of a real product tells real people: that is not for us to propose.
        "product list --limit 20".to_owned()
    };
    pool.close().await;
    Ok(format!("{} {arguments}", this_program()))
}

async fn add_sample(pool: &sqlx::MySqlPool) -> anyhow::Result<String> {
    output::note("importing the sample: Chen, D. (2015), Online Retail, UCI, CC BY 4.0 …");
    let catalogue = Catalogue::load(pool).await?;
    let (products, folder, wishes, first) = spawn_blocking(move || {
        let (data, folder) = (Sample::read()?, tempfile::tempdir()?);
        let (products, wishes) = (folder.path().join("products.csv"), folder.path().join("wishes.csv"));
        fs::write(&products, data.products_csv()?)?;
        fs::write(&wishes, data.wishes_csv()?)?;
        let first = data.most_wanted(1).first().map(|product| (product.sku.clone(), product.line.len()));
        let checked = import::check_products(&Source::File(products), &catalogue, |_| {})?;
        anyhow::Ok((checked, folder, wishes, first))
    })
    .await??;
    let added = import::import_products(pool, products, |_| {}).await?.added;
    let catalogue = Catalogue::load(pool).await?;
    let wishes = spawn_blocking(move || {
        let checked = import::check_subscriptions(&Source::File(wishes), &catalogue, Utc::now(), |_| {});
        // Only now may the files go.
        drop(folder);
        checked
    })
    .await??;
    let waiting = import::import_subscriptions(pool, wishes, |_| {}).await?.added;
    let (sku, people) = first.ok_or_else(|| anyhow::anyhow!("the sample has no products"))?;
    output::note(&format!("{added} products, {waiting} wishes to be told; {people} of them are for {sku}"));
    Ok(format!("enqueue sku:{sku} --quantity 1000 --wait"))
}

/// This program as a shell finds it: as it was called.
pub(super) fn this_program() -> String {
    std::env::args().next().unwrap_or_else(|| "restock-cli".to_owned())
}
