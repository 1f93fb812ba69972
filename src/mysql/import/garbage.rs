//! Whatever bytes are imported, each line is taken or refused, and the import ends.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::{Catalogue, Source, check_products, check_subscriptions};

/// Something that looks like a CSV of ours for some lines, and garbage elsewhere.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[0-9]{1,20},[0-9]{0,20},2026-0[1-9]-[0-3][0-9]T12:00:00(\\.[0-9]{0,9})?Z?",
        "[0-9A-Za-z\\x22,;.:-]{0,60}",
        ".{0,40}",
    ];
    let heading = "id,sku,name,stock|product_id,user_id,created_at|sku,user_id,created_at|.{0,30}";
    let lines = (heading, prop::collection::vec(line, 0..12), "\n|\r\n");
    let text = lines.prop_map(|(heading, lines, end)| [&[heading][..], &lines[..]].concat().join(&end).into_bytes());
    prop_oneof![3 => text, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let (source, catalogue) = (Source::File(file.path().to_owned()), Catalogue::default());
    let lines = bytes.split(|byte| *byte == b'\n' || *byte == b'\r').count() as u64;
    if let Ok(products) = check_products(&source, &catalogue, |_| {}) {
        assert!(products.rows() <= lines, "more rows than lines");
    }
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    if let Ok(subscriptions) = check_subscriptions(&source, &catalogue, now, |_| {}) {
        assert_eq!(subscriptions.rows(), 0, "nobody can wait for a product that there is not");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes in bytes(), cut in 0..200_usize, wrong in any::<u8>()) {
        check(&bytes);
        let mut packed = gzip(&bytes);
        let rows = packed.len();
        packed.truncate(rows - cut.min(rows));
        if let Some(byte) = packed.get_mut(cut % rows.max(1)) {
            *byte = wrong;
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&packed).unwrap();
        let (source, catalogue) = (Source::File(file.path().to_owned()), Catalogue::default());
        // Cut off or damaged: whatever it says, it ends.
        let _ = check_products(&source, &catalogue, |_| {});
    }
}
