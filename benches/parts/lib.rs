//! Only to have a package for `benches/parts.rs`.
