//! The fault suite: real processes and servers, a receiver that records, a seeded schedule of faults, and at the end a
//! checker for each promise over the whole state.
//!
//! ```text
//! seed ─► deck ─► strike ─► workers, flushers, Redis, MySQL, the wires between, the receiver, producers
//!                              │        ▲
//!                              ▼        └── load: shopkeepers announce, sell out, cancel, resume
//!                           ledger ─► end: what the receiver saw, MySQL, Redis ─► checkers ─► report
//! ```
//!
//! The short form runs with all tests; `make faults` runs the long one. `docs/faults.md` says how to read the report.

#[path = "../support/proxy.rs"]
mod proxy;

mod checkers;
mod crew;
mod deck;
mod end;
mod failed;
mod form;
mod ledger;
mod load;
mod moods;
mod report;
mod run;
mod stage;
mod standstill;
mod strike;
mod watch;

use form::Form;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_nobody_is_lost() {
    let form = Form::asked();
    let seed = form::seed(&form);
    let report = run::run(form, seed).await;
    eprintln!("{report}");
    report.write();
    assert!(report.breaches.is_empty(), "{} promises were broken, see above", report.breaches.len());
}
