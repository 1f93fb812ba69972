//! `restock-cli pending`: which entry is with whom, beside what `redis-cli XPENDING` shows.

use super::{
    Context,
    exit::Exit,
    hands::both_or_alone,
    output::{self, Record, or_dash},
};
use crate::{
    ids::time_us,
    report::pending::{self, PendingRow},
};

impl Record for PendingRow {
    const HEADINGS: &'static [&'static str] = &[
        "STREAM",
        "ENTRY",
        "CONSUMER",
        ">IDLE MS",
        ">DELIVERIES",
        ">PRODUCT",
        ">ROUND",
        "STATUS",
        "OWNER",
        ">LEASE MS",
        "CURSOR",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.stream.clone(),
            if self.current { self.entry.clone() } else { format!("{} (stale)", self.entry) },
            self.consumer.clone(),
            self.idle_ms.to_string(),
            self.deliveries.to_string(),
            or_dash(self.product),
            or_dash(self.round),
            or_dash(self.status),
            or_dash(self.owner.as_ref()),
            or_dash(self.lease_ms),
            or_dash(self.cursor.map(|place| time_us(place.0))),
        ]
    }
}

pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let both = async {
        let stores = context.stores().await?;
        Ok(pending::entries(&stores.redis, &stores.settings).await?)
    };
    let alone = async {
        let redis = context.redis_alone().await?;
        let pending = pending::entries_of(&redis, redis.mirrored_everywhere().await.ok()??).await.ok()?;
        context.note_no_mysql("this is what Redis was told of the channels last");
        Some(pending)
    };
    let pending = both_or_alone(both, alone).await?;
    output::note_unreadable(&pending.unreadable);
    output::records(context.output, &pending.rows)?;
    Ok(Exit::Done)
}
