//! The people of a round, page by page from MySQL, one page ahead of need: those in line, or those who FAILED.
//!
//! A page older than two seconds is read again before use, because somebody on it may have unsubscribed; unless
//! MySQL does not answer: then nobody can unsubscribe either.

use std::{collections::VecDeque, time::Duration};

use sqlx::MySqlPool;
use tokio::task::JoinHandle;

use super::inquiry::Inquiry;
use crate::{
    clock::BootTime,
    ids::{Place, ProductId},
    meter,
    mysql::{
        self,
        history::{self, PeopleOf},
        line::{self, Person},
        many::Span,
    },
    round::Stamp,
};

/// The age at which a page is read again, in µs.
const STALE_US: i64 = 2_000_000;
/// A read that takes longer is one that MySQL does not answer, in µs.
const ANSWER_MAX_US: i64 = 500_000;
/// The pause before MySQL is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
/// The most people on a page.
pub(crate) const PAGE_MAX: u32 = 5_000;
/// The fewest: a page costs a round trip.
pub(crate) const PAGE_MIN: u32 = 32;

/// Who is to be told.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// Who stands in line for a product.
    InLine(ProductId),
    /// Who FAILED in a round, once MySQL has all that was settled when the lane was taken: until then somebody who is
    /// told by now may still stand there as FAILED.
    Failed {
        /// In which round.
        of: PeopleOf,
        /// The state of the lane as it was taken.
        recorded: Stamp,
    },
}

/// What a read brought.
#[derive(Debug)]
struct Page {
    people: Vec<Person>,
    /// Up to where the line is known now; `None` when nothing lies beyond.
    read_upto: Option<Place>,
    at: BootTime,
    /// Whether it replaces what is in hand.
    again: bool,
}

impl Page {
    /// Of a read of up to `limit` people up to `upto`.
    fn of(people: Vec<Person>, limit: u32, upto: Place, at: BootTime, again: bool) -> Self {
        let full = people.len() >= limit as usize;
        let read_upto = people.last().map(|person| person.place).filter(|last| full && *last < upto);
        Self { people, read_upto, at, again }
    }
}

/// The people of a lane who are not in its window yet.
#[derive(Debug)]
pub(crate) struct Line {
    mysql: MySqlPool,
    source: Source,
    upto: Option<Place>,
    page_size: u32,
    /// The last person taken, or passed over.
    taken_upto: Option<Place>,
    people: VecDeque<Person>,
    read_upto: Option<Place>,
    /// Nobody lies beyond `people`.
    complete: bool,
    read_at: BootTime,
    reading: Option<JoinHandle<Option<Page>>>,
    reading_since: BootTime,
    /// Where the first page is asked for, together with other lanes.
    first: Option<Inquiry<Span, Vec<Person>>>,
}

impl Line {
    /// The people of `source` in (`after`, `upto`].
    pub(crate) fn new(
        mysql: MySqlPool,
        source: Source,
        after: Option<Place>,
        upto: Option<Place>,
        first: Option<Inquiry<Span, Vec<Person>>>,
    ) -> Self {
        let complete = upto.is_none() || after >= upto;
        Self {
            mysql,
            source,
            upto,
            page_size: PAGE_MIN,
            taken_upto: after,
            people: VecDeque::new(),
            read_upto: after,
            complete,
            read_at: BootTime::now(),
            reading: None,
            reading_since: BootTime::now(),
            first,
        }
    }

    /// Takes the whole line of the product, as it was asked for at this moment, for the first page.
    pub(crate) fn begin_with(&mut self, mut people: Vec<Person>, at: BootTime) {
        if let (Source::InLine(_), Some(upto), false) = (&self.source, self.upto, self.complete) {
            people.retain(|person| person.place <= upto);
            self.accept(Page { people, read_upto: None, at, again: false });
        }
    }

    /// Whether everybody has been taken.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.complete && self.people.is_empty()
    }

    /// How many people can be taken now.
    pub(crate) fn ready(&self, now: BootTime) -> usize {
        if self.is_stale(now) { 0 } else { self.people.len() }
    }

    fn is_stale(&self, now: BootTime) -> bool {
        // While MySQL lets a read wait for long, it lets nobody unsubscribe either.
        let is_left_waiting = self.reading.is_some() && self.reading_since.age_us(now) > ANSWER_MAX_US;
        !self.people.is_empty() && self.read_at.age_us(now) > STALE_US && !is_left_waiting
    }

    /// The next person in line.
    pub(crate) fn take(&mut self) -> Option<Person> {
        let person = self.people.pop_front()?;
        self.taken_upto = Some(person.place);
        Some(person)
    }

    /// Starts a read where one is due: the page in hand is old, or nearly used up. The page then has the size that fits
    /// the lanes of that moment.
    pub(crate) fn read_ahead(&mut self, now: BootTime, page_size: impl FnOnce() -> u32) {
        let Some(upto) = self.upto.filter(|_| self.reading.is_none()) else { return };
        let stale = self.is_stale(now);
        let low = self.people.len() < self.page_size as usize / 2 && !self.complete;
        if !stale && !low {
            return;
        }
        let after = if stale { self.taken_upto } else { self.read_upto };
        self.page_size = page_size().clamp(PAGE_MIN, PAGE_MAX);
        let (mysql, source, limit) = (self.mysql.clone(), self.source.clone(), self.page_size);
        let first = self.first.take();
        self.reading_since = now;
        self.reading = Some(tokio::spawn(async move {
            if let (Some(first), Source::InLine(product)) = (first, &source) {
                let at = BootTime::now();
                if let Some(people) = first.ask(Span { product: *product, after, upto }).await {
                    return Some(Page::of(people, PAGE_MIN, upto, at, stale));
                }
            }
            read(&mysql, &source, after, upto, limit, stale).await
        }));
    }

    /// Waits for the read under way; never, when there is none.
    pub(crate) async fn arrived(&mut self) {
        let Some(reading) = self.reading.as_mut() else { return std::future::pending().await };
        let page = reading.await;
        self.reading = None;
        match page {
            Ok(Some(page)) => self.accept(page),
            // MySQL did not answer: what is in hand is good for another while.
            Ok(None) => self.read_at = BootTime::now(),
            Err(error) => tracing::error!(%error, source = ?self.source, "reading a page of the line broke off"),
        }
    }

    fn accept(&mut self, page: Page) {
        if page.again {
            self.people.clear();
        }
        if self.people.is_empty() {
            // A MySQL that takes longer for a page than a page lasts must not bring the lane to a halt.
            self.read_at = if page.again { BootTime::now() } else { page.at };
        }
        self.people
            .extend(page.people.into_iter().filter(|person| person.active && Some(person.place) > self.taken_upto));
        self.complete = page.read_upto.is_none();
        self.read_upto = page.read_upto.or(self.upto);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

impl Source {
    /// One page; `None` while MySQL lags behind.
    async fn page(
        &self,
        mysql: &MySqlPool,
        after: Option<Place>,
        upto: Place,
        limit: u32,
    ) -> sqlx::Result<Option<Vec<Person>>> {
        match self {
            Self::InLine(product) => line::page(mysql, *product, after, upto, limit).await.map(Some),
            Self::Failed { of, recorded } if history::is_recorded(mysql, of, *recorded).await? => {
                history::failed(mysql, of, after, upto, limit).await.map(Some)
            }
            Self::Failed { .. } => Ok(None),
        }
    }
}

/// One page; insists on it, unless it is only to refresh what is in hand.
async fn read(
    pool: &MySqlPool,
    source: &Source,
    after: Option<Place>,
    upto: Place,
    limit: u32,
    again: bool,
) -> Option<Page> {
    loop {
        let at = BootTime::now();
        match mysql::answered(source.page(pool, after, upto, limit)).await {
            Ok(None) => tokio::time::sleep(RETRY_PAUSE).await,
            Ok(Some(people)) => {
                return Some(Page::of(people, limit, upto, at, again));
            }
            Err(error) if again => {
                meter::count_sql_error(mysql::is_unreachable(&error));
                tracing::debug!(%error, ?source, "could not read a page again; using it as it is");
                return None;
            }
            Err(error) => {
                meter::count_sql_error(mysql::is_unreachable(&error));
                tracing::warn!(%error, ?source, "could not read a page of the line; asking again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}
