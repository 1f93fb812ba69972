//! Questions of many lanes to MySQL, asked together: while some are under way, the next gather.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use sqlx::MySqlPool;
use tokio::sync::{Semaphore, mpsc, oneshot};

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
/// Queries under way at once.
const QUERIES_MAX: usize = 2;
/// Questions that wait; who comes then waits for room.
const WAITING_MAX: usize = 1_024;

type Answers<A> = BoxFuture<'static, sqlx::Result<Vec<A>>>;

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
        let (looks, pages) = (mysql.clone(), mysql.clone());
        Self {
            looks: Inquiry::start(move |products: Vec<ProductId>| {
                let mysql = looks.clone();
                Box::pin(async move { many::looks(&mysql, &products).await })
            }),
            pages: Inquiry::start(move |spans: Vec<Span>| {
                let mysql = pages.clone();
                Box::pin(async move { many::pages(&mysql, &spans, PAGE_MIN).await })
            }),
        }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Inquiry<Q, A> {
    /// Asks with `ask`, which answers each question in its place. Ends with the last clone.
    fn start(ask: impl Fn(Vec<Q>) -> Answers<A> + Send + 'static) -> Self {
        let (sender, mut waiting) = mpsc::channel::<(Q, oneshot::Sender<A>)>(WAITING_MAX);
        tokio::spawn(async move {
            let queries = Arc::new(Semaphore::new(QUERIES_MAX));
            // First a query that is free, then the questions: so many gather while none is.
            while let Ok(query) = queries.clone().acquire_owned().await {
                let mut asked = Vec::new();
                if waiting.recv_many(&mut asked, BATCH_MAX).await == 0 {
                    return;
                }
                let (questions, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
                let answers = ask(questions);
                tokio::spawn(async move {
                    match answered(answers).await {
                        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| {
                            // Whoever asked may have gone away.
                            let _ = reply.send(answer);
                        }),
                        Err(error) => tracing::debug!(%error, "a question of many lanes failed; each asks alone"),
                    }
                    drop(query);
                });
            }
        });
        Self(sender)
    }

    /// The answer; `None` when the query failed: ask alone, and see the error.
    pub(crate) async fn ask(&self, question: Q) -> Option<A> {
        let (reply, answer) = oneshot::channel();
        self.0.send((question, reply)).await.ok()?;
        answer.await.ok()
    }
}
