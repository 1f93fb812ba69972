//! Who has an outcome in a round: everybody once, in order, and as many as the round counts.
//!
//! The line and the outcomes are read side by side, both in line order, a page at a time.

use std::collections::{BTreeSet, VecDeque};

use chrono::NaiveDateTime;

use super::{
    Finding, Kind, Verifier, last_user,
    order::{Order, Tally},
    rounds::subject,
};
use crate::{
    ids::{Place, UserId},
    mysql::history::{self, PeopleOf, PersonRow},
    outcome::Outcome,
    round::{Counts, RoundState, Status},
    stores::StoreError,
};

/// People read at once.
const PAGE_PEOPLE: u32 = 5_000;
/// What a look at a round came to.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) findings: Vec<Finding>,
    pub(super) people: u64,
}

/// The outcomes of a round, in line order.
struct Outcomes<'a> {
    verifier: &'a Verifier,
    of: PeopleOf,
    after: Option<Place>,
    page: VecDeque<PersonRow>,
    is_last: bool,
}

impl Outcomes<'_> {
    async fn next(&mut self) -> sqlx::Result<Option<PersonRow>> {
        if self.page.is_empty() && !self.is_last {
            let page = history::people(&self.verifier.stores.mysql, &self.of, self.after, PAGE_PEOPLE).await?;
            self.is_last = page.len() < PAGE_PEOPLE as usize;
            self.after = page.last().map(|row| row.place).or(self.after);
            self.page = page.into();
        }
        Ok(self.page.pop_front())
    }
}

/// Somebody in line to whom the round owed an outcome.
type Owed = (Place, UserId);

struct Line<'a> {
    verifier: &'a Verifier,
    state: &'a RoundState,
    after: Option<Place>,
    upto: Option<Place>,
    page: VecDeque<Owed>,
    is_last: bool,
}

impl Line<'_> {
    /// The next active person who was in line before the round began.
    async fn next(&mut self) -> sqlx::Result<Option<Owed>> {
        while self.page.is_empty() && !self.is_last {
            let Some(upto) = self.upto else { return Ok(None) };
            let rows: Vec<(NaiveDateTime, i64, bool, NaiveDateTime)> = sqlx::query_as(
                "SELECT created_at, user_id, is_active, added_at FROM product_user_notification FORCE INDEX (PRIMARY)
                 WHERE product_id = ? AND created_at > ? AND created_at <= ? ORDER BY created_at LIMIT ?",
            )
            .bind(self.state.lane.product.0)
            .bind(self.after.unwrap_or(Place(0)).datetime())
            .bind(upto.datetime())
            .bind(PAGE_PEOPLE)
            .fetch_all(&self.verifier.stores.mysql)
            .await?;
            self.is_last = rows.len() < PAGE_PEOPLE as usize;
            self.after = rows.last().map(|row| Place::from_datetime(row.0)).or(self.after);
            let began_us = self.state.started_us.unwrap_or(0);
            let is_owed = |row: &&(NaiveDateTime, i64, bool, NaiveDateTime)| {
                row.2 && row.3.and_utc().timestamp_micros() < began_us
            };
            self.page = rows.iter().filter(is_owed).map(|row| (Place::from_datetime(row.0), UserId(row.1))).collect();
        }
        Ok(self.page.pop_front())
    }
}

/// What the outcomes of a round come to.
struct Count {
    counts: Counts,
    stray: Tally,
    order: Order,
    /// Whose outcome lies at the cursor.
    last_user: Option<UserId>,
}

impl Verifier {
    /// Reads the people of a round that has begun.
    pub(super) async fn scan_people(
        &self,
        state: &RoundState,
        before: Option<&RoundState>,
        scan: &mut Scan,
    ) -> Result<(), StoreError> {
        let upto = if state.retry_of.unwrap_or(state.status) == Status::Completed { state.upto } else { state.cursor };
        let of = PeopleOf { product: state.lane.product, round: state.round, channel: state.lane.channel.clone() };
        let mut outcomes = Outcomes { verifier: self, of, after: None, page: VecDeque::new(), is_last: false };
        let mut line = Line { verifier: self, state, after: state.from, upto, page: VecDeque::new(), is_last: false };
        // A round that starts over owes an outcome also to those who were ahead in the one before.
        let goes_on = before.filter(|before| before.status.is_canceled() && before.cursor == state.from);
        let inherited: BTreeSet<Place> =
            goes_on.map(|before| before.ahead.iter().copied().collect()).unwrap_or_default();
        let ahead: BTreeSet<Place> = state.ahead.iter().copied().collect();
        // Whoever was ahead in a round whose row was pruned is not known any more.
        let is_judged = state.from.is_none() || before.is_some();
        let order = Order::new(self.window_max);
        let mut count = Count { counts: Counts::default(), stray: Tally::default(), order, last_user: None };
        let mut lost = Tally::default();
        let mut owed = line.next().await?;
        while let Some(row) = outcomes.next().await? {
            scan.people += 1;
            while let Some((place, user)) = owed.filter(|(place, _)| *place < row.place) {
                if !inherited.contains(&place) {
                    lost.add(place, user);
                }
                owed = line.next().await?;
            }
            if owed.is_some_and(|(place, _)| place == row.place) {
                owed = line.next().await?;
            }
            count.see(&row, state, upto, &ahead);
        }
        while let Some((place, user)) = owed {
            if !inherited.contains(&place) {
                lost.add(place, user);
            }
            owed = line.next().await?;
        }
        if is_judged {
            scan.findings.extend(lost.finding(Kind::PersonLost, state, "people have no outcome"));
        }
        if let (None, Some(before), Some(cursor)) = (count.last_user, goes_on, state.cursor)
            && inherited.contains(&cursor)
        {
            count.last_user = self.user_at(before, cursor).await?;
        }
        let findings = count.findings(state).filter(|finding| match finding.kind {
            // The outcomes of those who are told again change while they are read.
            Kind::CountDiffers => state.retry_of.is_none(),
            _ => true,
        });
        for finding in findings {
            // Who FAILED and was told again later seems to have held everybody up.
            if finding.kind != Kind::OrderBroken || !self.was_resumed(state).await? {
                scan.findings.push(finding);
            }
        }
        scan.findings.extend(self.repeated(state).await?);
        Ok(())
    }

    async fn was_resumed(&self, state: &RoundState) -> sqlx::Result<bool> {
        let resumed: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM operator_action
             WHERE (action LIKE 'resume%' OR action = 'dead replay') AND (product_id = ? OR product_id IS NULL)
               AND at >= ? LIMIT 1",
        )
        .bind(state.lane.product.0)
        .bind(Place(state.started_us.unwrap_or(0)).datetime())
        .fetch_optional(&self.stores.mysql)
        .await?;
        Ok(resumed.is_some())
    }

    /// Users with several outcomes in one round; MySQL groups them.
    async fn repeated(&self, state: &RoundState) -> Result<Option<Finding>, StoreError> {
        let rows: Vec<(i64, NaiveDateTime)> = sqlx::query_as(
            "SELECT user_id, MIN(place) FROM product_user_notification_history
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND user_id > 0
             GROUP BY user_id HAVING COUNT(*) > 1 LIMIT 1000",
        )
        .bind(state.lane.product.0)
        .bind(state.round.0)
        .bind(state.lane.channel.as_str())
        .fetch_all(&self.stores.mysql)
        .await?;
        let mut tally = Tally::default();
        for (user, place) in rows {
            tally.add(Place::from_datetime(place), UserId(user));
        }
        Ok(tally.finding(Kind::PersonRepeated, state, "people have two outcomes"))
    }

    /// Whether a state of a round is what its outcomes say: as many as it counts, none beyond, nobody left out at the
    /// end.
    pub(super) async fn agrees(&self, state: &RoundState) -> Result<bool, StoreError> {
        if state.started_us.is_none() {
            return Ok(true);
        }
        let mut scan = Scan::default();
        let before = self.round_before(state).await?;
        self.scan_people(state, before.as_ref(), &mut scan).await?;
        Ok(scan.findings.is_empty())
    }

    async fn round_before(&self, state: &RoundState) -> sqlx::Result<Option<RoundState>> {
        let row: Option<history::RoundRow> = sqlx::query_as(
            "SELECT h.*, p.sku, p.is_paused FROM product_notification_history h LEFT JOIN product p ON p.id = h.product_id
             WHERE h.product_id = ? AND h.channel = ? AND h.restock_round < ? AND h.status <> 'SUPERSEDED'
               AND NOT (h.reason <=> ?) ORDER BY h.restock_round DESC LIMIT 1",
        )
        .bind(state.lane.product.0)
        .bind(state.lane.channel.as_str())
        .bind(state.round.0)
        .bind(history::CANCELED_WHILE_WAITING)
        .fetch_optional(&self.stores.mysql)
        .await?;
        Ok(row.map(|row| row.state))
    }
}

impl Count {
    fn see(&mut self, row: &PersonRow, state: &RoundState, upto: Option<Place>, ahead: &BTreeSet<Place>) {
        let is_behind = Some(row.place) <= upto;
        let is_ahead = ahead.contains(&row.place);
        if Some(row.place) == state.cursor {
            self.last_user = Some(row.user);
        }
        let is_within = Some(row.place) > state.from && Some(row.place) <= state.upto;
        // What an open round has beyond its cursor was settled after its row was read.
        if !is_within || (!is_behind && !is_ahead && !state.status.is_open()) {
            self.stray.add(row.place, row.user);
        }
        if is_behind || is_ahead {
            self.order.see(row.place, row.user, row.sent_at.and_utc().timestamp_micros());
            *match row.outcome {
                Outcome::Sent => &mut self.counts.sent,
                Outcome::Skipped => &mut self.counts.skipped,
                Outcome::Failed => &mut self.counts.failed,
                Outcome::Unknown => &mut self.counts.unknown,
            } += 1;
        }
    }

    fn findings(&self, state: &RoundState) -> impl Iterator<Item = Finding> {
        let text = |counts: &Counts| {
            let Counts { sent, skipped, failed, unknown } = counts;
            format!("{sent} sent, {skipped} skipped, {failed} failed, {unknown} unknown")
        };
        let differs = (self.counts != state.counts).then(|| {
            let detail = format!("it counts {}, and its outcomes are {}", text(&state.counts), text(&self.counts));
            Finding::new(Kind::CountDiffers, subject(state), detail)
        });
        let stray = self.stray.finding(Kind::OutcomeStray, state, "outcomes lie outside of what the round has passed");
        let what = "people were told before somebody far ahead of them was settled";
        let order = self.order.broken.finding(Kind::OrderBroken, state, what);
        [differs, stray, order, last_user::differs(state, self.last_user)].into_iter().flatten()
    }
}
