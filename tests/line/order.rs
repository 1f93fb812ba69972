//! Many subscribe, unsubscribe and import at once, while somebody walks along each line as a running round does.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use chrono::Utc;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use restock::{
    ids::{Place, ProductId, UserId, rfc3339},
    local::fresh_database_name,
    mysql::{
        self,
        import::{Catalogue, Source, check_subscriptions, import_subscriptions},
        line, schema, subscription,
    },
};
use sqlx::MySqlPool;

use super::{execute, support::servers::servers};

const PRODUCTS: i64 = 3;
const WRITERS: u64 = 12;
const STEPS: usize = 40;
/// Imported users have numbers from here on: they may come to stand behind the walker.
const IMPORTED: i64 = 1_000_000_000;

static NEXT_USER: AtomicI64 = AtomicI64::new(1);

fn fresh_users(count: i64) -> Vec<UserId> {
    let first = NEXT_USER.fetch_add(count, Ordering::Relaxed);
    (first..first + count).map(UserId).collect()
}

/// Subscribes new users and old ones again, unsubscribes some, imports some: on connections of its own.
async fn write(url: String, seed: u64) -> u64 {
    let pool = mysql::connect(&url.into(), 2).await.expect("MySQL answers");
    let mut random = StdRng::seed_from_u64(seed);
    let mut known: Vec<(ProductId, UserId)> = Vec::new();
    let mut imported = 0;
    for _ in 0..STEPS {
        let product = ProductId(random.random_range(1..=PRODUCTS));
        let some_known = |random: &mut StdRng| {
            let mut users: Vec<UserId> = known.iter().filter(|(of, _)| *of == product).map(|(_, user)| *user).collect();
            users.retain(|_| random.random_bool(0.3));
            users
        };
        match random.random_range(0..10) {
            0..=4 => {
                let users = fresh_users(random.random_range(1..=30));
                let done = subscription::subscribe(&pool, product, &users).await.expect("they subscribe");
                assert_eq!(done.added, users.len() as u64);
                known.extend(users.into_iter().map(|user| (product, user)));
            }
            5 | 6 => {
                let users = some_known(&mut random);
                subscription::unsubscribe(&pool, product, &users).await.expect("they unsubscribe");
            }
            7 | 8 => {
                let users = some_known(&mut random);
                let done = subscription::subscribe(&pool, product, &users).await.expect("they subscribe again");
                assert_eq!((done.added, done.returned + done.kept), (0, users.len() as u64));
            }
            _ => imported += import(&pool, product, &mut random).await,
        }
    }
    imported
}

/// Imports people who asked just now, some of them in the same microsecond.
async fn import(pool: &MySqlPool, product: ProductId, random: &mut StdRng) -> u64 {
    let mut csv = "product_id,user_id,created_at\n".to_owned();
    let (now, rows) = (Utc::now(), 50);
    for user in fresh_users(rows) {
        let at = Place(now.timestamp_micros() - random.random_range(0..20) * 1_000);
        writeln!(csv, "{product},{},{}", IMPORTED + user.0, rfc3339(at.datetime())).expect("text");
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(csv.as_bytes()).expect("the file is written");
    let catalogue = Catalogue::load(pool).await.expect("the catalogue");
    let source = Source::File(file.path().to_owned());
    let checked = tokio::task::spawn_blocking(move || check_subscriptions(&source, &catalogue, now, |_| {}));
    let checked = checked.await.expect("it ends").expect("it can be read");
    assert_eq!((checked.rows(), checked.bad.count), (rows.unsigned_abs(), 0));
    let done = import_subscriptions(pool, checked, |_| {}).await.expect("it is imported");
    assert_eq!(done.added, rows.unsigned_abs());
    done.added
}

/// Walks along a line: the last active person is the end of what is walked now, as with `upto`; then on from there.
async fn walk(pool: MySqlPool, product: ProductId, written: Arc<AtomicBool>) -> BTreeMap<Place, UserId> {
    let mut seen = BTreeMap::new();
    let mut cursor = None;
    loop {
        // Read before the line: the last lap begins after the last commit.
        let is_last = written.load(Ordering::Acquire);
        let upto = line::newest_active(&pool, product).await.expect("MySQL answers");
        while let Some(upto) = upto {
            let page = line::page(&pool, product, cursor, upto, 7).await.expect("MySQL answers");
            let Some(last) = page.last() else { break };
            cursor = Some(last.place);
            seen.extend(page.iter().map(|person| (person.place, person.user)));
        }
        if is_last {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_committed_behind_somebody_who_walks_along_the_line() {
    let url = servers().await.database(&fresh_database_name());
    schema::create_database(&url.clone().into()).await.expect("MySQL answers");
    let pool = mysql::connect(&url.clone().into(), 8).await.expect("MySQL answers");
    schema::migrate(&pool).await.expect("the schema is made");
    for product in 1..=PRODUCTS {
        execute(&pool, &format!("INSERT INTO product (id, name, stock) VALUES ({product}, 'product', 1)")).await;
    }
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let written = Arc::new(AtomicBool::new(false));
    let products = (1..=PRODUCTS).map(ProductId);
    let walkers: Vec<_> =
        products.map(|product| (product, tokio::spawn(walk(pool.clone(), product, written.clone())))).collect();
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(url.clone(), seed.wrapping_add(n)))).collect();
    let mut imported = 0;
    for writer in writers {
        imported += writer.await.expect("nobody fails");
    }
    written.store(true, Ordering::Release);

    let mut missed_imports = 0;
    for (product, walker) in walkers {
        let seen = walker.await.expect("the walker ends");
        let end = line::newest_active(&pool, product).await.expect("MySQL answers").expect("somebody");
        let people = line::page(&pool, product, None, end, 1_000_000).await.expect("MySQL answers");
        let users: HashSet<UserId> = people.iter().map(|person| person.user).collect();
        assert_eq!(users.len(), people.len(), "nobody stands twice in the line of {product}");
        let (imports, holes): (Vec<line::Person>, Vec<line::Person>) = people
            .iter()
            .copied()
            .filter(|person| seen.get(&person.place) != Some(&person.user))
            .partition(|person| person.user.0 >= IMPORTED);
        assert!(holes.is_empty(), "of {} in the line of {product} these were passed by: {holes:?}", people.len());
        missed_imports += imports.len();
        eprintln!("product {product}: {} in line, all seen but {} imported behind", people.len(), imports.len());
    }
    assert!(missed_imports as u64 <= imported);
}
