//! The demo, and the webhook receiver that it and the tests send to.

pub mod receiver;
