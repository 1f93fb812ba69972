//! Whether a log and MySQL's position in it still belong together, and what is done when they do not.

use std::time::Instant;

use sqlx::MySqlConnection;

use super::{
    check,
    flush::Flush,
    lead,
    position::{Match, Position, hold_requests, judge, pass_requests},
    read::parse_id,
};
use crate::{
    mysql::answered,
    redis::{RedisError, entry_id::EntryId, scripts::random_hex},
    stores::StoreError,
};

impl Flush {
    /// Finds out whether this is still the log that the position is about. False: another flusher leads.
    pub(super) async fn examine(&mut self, db: &mut MySqlConnection) -> Result<bool, StoreError> {
        let (redis, partition) = (self.stores.redis.clone(), self.partition);
        let asked = async {
            Ok::<_, sqlx::Error>(
                lead::holds(db, &self.stores, partition).await? && self.position.stands(db, partition).await?,
            )
        };
        if !answered(asked).await? {
            return Ok(false);
        }
        let run_id = redis.run_id_of(partition).await?;
        if run_id != self.run_id {
            self.after = EntryId::ZERO;
            self.alarm.notify_one();
        }
        let head = redis.log_head(partition).await?;
        match judge(&self.position, &head).map_err(|_| RedisError::Unreadable {
            what: "log",
            field: "last-generated-id".to_owned(),
            text: format!("{} {}", head.last_id, head.max_deleted_id),
        })? {
            Match::Sound => {}
            Match::TailLost if head.last_id == EntryId::ZERO.to_string() => {
                // The whole log is gone, and what it still held is only in the products and lanes themselves.
                self.after = EntryId::ZERO;
                self.has_lost_log = true;
            }
            Match::TailLost => {
                tracing::warn!(%partition, last = head.last_id, position = %self.position.last, "Redis lost the end of the log");
                redis.raise_log(partition, &self.position.last.to_string()).await?;
                self.after = EntryId::ZERO;
                self.alarm.notify_one();
            }
            Match::Another => {
                let incarnation = redis.name_log(partition, &random_hex()).await?;
                if !self.position.incarnation.is_empty() {
                    tracing::warn!(%partition, incarnation, "Redis was emptied or replaced: the log starts anew");
                }
                // What an earlier Redis, come back, had deleted is nothing that MySQL lacks.
                let last = parse_id(&head.max_deleted_id)?;
                if !self.follow(db, Position { incarnation, last }).await? {
                    return Ok(false);
                }
            }
            // Or a second batch, of a leader that has just lost its lock, was committed and deleted since the position was read.
            Match::WentBack if !self.position.stands(db, partition).await? => return Ok(false),
            Match::WentBack => {
                let (held, last) = (hold_requests(db, partition).await?, parse_id(&head.max_deleted_id)?);
                tracing::warn!(%partition, position = %self.position.last, deleted = %last, held_upto_request = held,
                    "MySQL was set back: what Redis holds is logged again; people's outcomes since then are lost, and \
                     pending requests are held until `restock-cli verify --repair`");
                // Numbers given out again would be taken for the requests that had them before.
                if let Some(newest) = redis.newest_request(partition).await? {
                    pass_requests(db, newest).await?;
                }
                lead::kept_alive(db, check::check_all(&self.stores, partition)).await??;
                let incarnation = head.incarnation.unwrap_or_default();
                if !self.follow(db, Position { incarnation, last }).await? {
                    return Ok(false);
                }
            }
        }
        // The first product that is logged again makes the log look sound: a walk that failed is not forgotten for that.
        if self.has_lost_log {
            let products = lead::kept_alive(db, check::check_all(&self.stores, partition)).await??;
            if products > 0 {
                tracing::warn!(%partition, products, "Redis lost the log: what it holds otherwise is logged again");
            }
            self.has_lost_log = false;
        }
        self.run_id = run_id;
        self.examined = Some(Instant::now());
        Ok(true)
    }

    /// Goes on from another position, reading all that is there.
    async fn follow(&mut self, db: &mut MySqlConnection, position: Position) -> sqlx::Result<bool> {
        self.after = EntryId::ZERO;
        self.alarm.notify_one();
        let moved = self.position.move_to(&position, db, self.partition).await?;
        self.position = position;
        Ok(moved)
    }
}
