//! The pages in a real Chromium, on real servers: what is seen, what the buttons do, and what happens when a stream is cut off.
//! `make test-page` runs them; `docs/page.md` has what they need.

mod axe;
mod browser;
mod cut;
mod driver;
mod duty;
mod pictures;
mod provider;
mod proxy;
mod shop;
