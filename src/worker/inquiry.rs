//! Questions of many lanes to MySQL, asked together: while one query is under way, the next questions gather.
//!
//! Each kind has a connection of its own while it is busy: to take one from the pool costs a round trip, and each would
//! prepare the queries again.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{MySql, MySqlConnection, MySqlPool, pool::PoolConnection};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::line::PAGE_MIN;
use crate::{
    ids::ProductId,
    mysql::{
        answered,
        line::Person,
        many::{self, Look, Span},
    },
};

/// The most questions asked by one query.
const BATCH_MAX: usize = 64;
/// Questions that wait; who comes then waits for room.
const WAITING_MAX: usize = 1_024;
/// Without questions for so long, the connection goes back to the pool.
const IDLE_MAX: Duration = Duration::from_secs(1);

type Answers<'a, A> = BoxFuture<'a, sqlx::Result<Vec<A>>>;
/// Answers each question in its place.
type Ask<Q, A> = for<'a> fn(&'a mut MySqlConnection, &'a [Q]) -> Answers<'a, A>;

/// Where one kind of question is asked.
pub(crate) struct Inquiry<Q, A>(mpsc::Sender<(Q, oneshot::Sender<A>)>);

impl<Q, A> Clone for Inquiry<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q, A> fmt::Debug for Inquiry<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inquiry")
    }
}

/// What lanes ask when they begin.
#[derive(Debug, Clone)]
pub(crate) struct Inquiries {
    /// What is seen of a product.
    pub(crate) looks: Inquiry<ProductId, Option<Look>>,
    /// The first people of a lane, at most [`PAGE_MIN`].
    pub(crate) pages: Inquiry<Span, Vec<Person>>,
}

impl Inquiries {
    pub(crate) fn start(mysql: &MySqlPool) -> Self {
        Self {
            looks: Inquiry::start(mysql.clone(), |db, products| Box::pin(many::looks(db, products))),
            pages: Inquiry::start(mysql.clone(), |db, spans| Box::pin(many::pages(db, spans, PAGE_MIN))),
        }
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Inquiry<Q, A> {
    /// Asks with `ask`. Ends with the last clone.
    fn start(mysql: MySqlPool, ask: Ask<Q, A>) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(Asker { mysql, ask, waiting, db: None }.run());
        Self(sender)
    }

    /// The answer; `None` when the query failed: ask alone, and see the error.
    pub(crate) async fn ask(&self, question: Q) -> Option<A> {
        let (reply, answer) = oneshot::channel();
        self.0.send((question, reply)).await.ok()?;
        answer.await.ok()
    }
}

struct Asker<Q, A> {
    mysql: MySqlPool,
    ask: Ask<Q, A>,
    waiting: mpsc::Receiver<(Q, oneshot::Sender<A>)>,
    db: Option<PoolConnection<MySql>>,
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Asker<Q, A> {
    async fn run(mut self) {
        loop {
            let mut asked = Vec::new();
            match timeout(IDLE_MAX, self.waiting.recv_many(&mut asked, BATCH_MAX)).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) => {
                    self.db = None;
                    if self.waiting.recv_many(&mut asked, BATCH_MAX).await == 0 {
                        return;
                    }
                }
            }
            // Lanes that begin together ask together: those that can, do so first.
            tokio::task::yield_now().await;
            while asked.len() < BATCH_MAX {
                let Ok(more) = self.waiting.try_recv() else { break };
                asked.push(more);
            }
            let (questions, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
            match self.answer(&questions).await {
                Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| {
                    // Whoever asked may have gone away.
                    let _ = reply.send(answer);
                }),
                Err(error) => tracing::debug!(%error, "a question of many lanes failed; each asks alone"),
            }
        }
    }

    /// A connection that failed is not used again.
    async fn answer(&mut self, questions: &[Q]) -> sqlx::Result<Vec<A>> {
        let mut db = match self.db.take() {
            Some(db) => db,
            None => self.mysql.acquire().await?,
        };
        match answered((self.ask)(&mut db, questions)).await {
            Ok(answers) => {
                self.db = Some(db);
                Ok(answers)
            }
            Err(error) => {
                db.close_on_drop();
                Err(error)
            }
        }
    }
}
