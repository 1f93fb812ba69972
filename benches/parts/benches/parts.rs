//! The small parts that a million people pass through: what the log carries, places, the lines of an import.
//!
//! `cargo bench --bench parts`

use std::{fs, hint::black_box};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use restock::{
    ids::{Place, UserId},
    mysql::import::{Catalogue, Source, check_products},
    outcome::{self, Outcome, Settled},
    round::{decode_places, encode_places},
};

/// People of a full window.
const WINDOW: i64 = 256;
/// Lines of the file.
const LINES: u64 = 10_000;

fn people() -> Vec<Settled> {
    let person = |n: i64| Settled {
        place: Place(1_704_067_200_000_000 + n * 977),
        user: UserId(1_000_000 + n),
        outcome: if n % 100 == 0 { Outcome::Failed } else { Outcome::Sent },
        at_us: 1_763_683_200_000_000 + n,
        tries: 1,
    };
    (0..WINDOW).map(person).collect()
}

fn log_entries(c: &mut Criterion) {
    let mut group = c.benchmark_group("log entry of a window");
    group.throughput(Throughput::Elements(WINDOW.unsigned_abs()));
    let people = people();
    let text = outcome::encode(&people);
    group.bench_function("write", |b| b.iter(|| outcome::encode(black_box(&people))));
    group.bench_function("read", |b| b.iter(|| outcome::decode(black_box(&text))));
    group.finish();
}

fn places(c: &mut Criterion) {
    let mut group = c.benchmark_group("places ahead");
    group.throughput(Throughput::Elements(WINDOW.unsigned_abs()));
    let places: Vec<Place> = people().iter().map(|person| person.place).collect();
    let text = encode_places(&places);
    group.bench_function("write", |b| b.iter(|| encode_places(black_box(&places))));
    group.bench_function("read", |b| b.iter(|| decode_places(black_box(&text))));
    group.bench_function("as MySQL's time and back", |b| {
        b.iter(|| places.iter().map(|place| Place::from_datetime(black_box(place.datetime())).0).sum::<i64>());
    });
    group.finish();
}

fn csv_lines(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("products.csv");
    let lines: String = (1..=LINES).map(|n| format!("{n},SKU-{n},\"Party bunting, {n}\",{}\n", n % 50)).collect();
    fs::write(&path, format!("id,sku,name,stock\n{lines}")).expect("the file is written");
    let mut group = c.benchmark_group("import");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("lines of products", |b| {
        b.iter_batched(
            || Source::parse(&path.display().to_string()),
            |source| check_products(&source, &Catalogue::default(), |_| ()).expect("the file is good"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(parts, log_entries, places, csv_lines);
criterion_main!(parts);
