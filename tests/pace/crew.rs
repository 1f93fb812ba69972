//! Processes of a shop, and what they say.

use std::process::{Output, Stdio};

use restock::redis::scripts::PaceUse;
use tokio::process::Child;

use super::shop::Shop;

impl Shop {
    /// A role whose last words are kept.
    pub(crate) fn witnessed(&self, program: &str) -> Child {
        self.role(program).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Runs `restock-cli`, which must succeed.
    pub(crate) async fn cli(&self, args: &[&str]) -> Output {
        let output = self.role(env!("CARGO_BIN_EXE_restock-cli")).args(args).output().await.expect("it runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The rate that Redis goes by.
    pub(crate) async fn rate_in_redis(&self) -> Option<i64> {
        let PaceUse { rate, .. } = self.stores.redis.pace_use("total").await.expect("Redis answers");
        rate
    }
}
