//! Lists in every order, from databases that order otherwise than we do, and places to go on from.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::num::NonZeroUsize;

use image_service::{
    Caller, Context, Direction, ErrorKind, Filter, Image, ImageId, ImageService, Position, Query, Result,
    Resume, Sort, SortKey,
};
use portico_http::{Dialect, GlanceV2, Options, TextOrder};
use serde_json::json;
use server::database::{Database, Kind, Row, row};

fn options(database: &Database) -> Options {
    let endpoint = format!("http://{}", database.server.address).parse().unwrap();
    Options::new(Dialect::GlanceV2, endpoint)
}

async fn glance(database: &Database) -> GlanceV2 {
    GlanceV2::open("there", options(database)).await.unwrap()
}

/// One that need not find out how the server orders text.
async fn told(database: &Database) -> GlanceV2 {
    let options = Options { text_order: TextOrder::Bytes, ..options(database) };
    GlanceV2::open("there", options).await.unwrap()
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-orders")
}

fn by(keys: &[(SortKey, Direction)]) -> Query {
    Query { sort: Sort::by(keys.iter().copied()), filters: vec![Filter::Hidden(false)], ..Query::default() }
}

/// Every image as the server shows it, in the query's order.
async fn sorted(database: &Database, query: &Query) -> Vec<Image> {
    let glance = glance(database).await;
    let ids: Vec<ImageId> = {
        let rows = database.rows.lock().unwrap();
        rows.iter().map(|row| ImageId::lookup(row.shown["id"].as_str().unwrap())).collect()
    };
    let mut images = Vec::new();
    for id in &ids {
        images.push(glance.show(&admin(), id).await.unwrap());
    }
    images.retain(|image| query.filters.iter().all(|filter| filter.matches(image)));
    images.sort_by(|a, b| query.sort.compare(a, b));
    images
}

fn named(images: &[Image]) -> Vec<(Option<&str>, &str)> {
    images.iter().map(|image| (image.name.as_deref(), &image.id.as_str()[32..])).collect()
}

async fn walk(glance: &GlanceV2, query: &Query, limit: usize) -> Result<Vec<Image>> {
    let mut query = Query { limit: NonZeroUsize::new(limit), ..query.clone() };
    let mut all: Vec<Image> = Vec::new();
    for _ in 0..1000 {
        let page = glance.detail(&admin(), &query).await?;
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        match all.last() {
            Some(last) if page.more => query.position = Some(query.sort.position_of(last)),
            _ => return Ok(all),
        }
    }
    panic!("a walk without end");
}

/// The names a capital of which stands last for everybody but those who count bytes.
fn capital_late() -> Vec<Row> {
    let names = ["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "B", "c"];
    names.iter().enumerate().map(|(n, name)| row(n, Some(name), n as u32 / 4)).collect()
}

/// Names that no two kinds of database order alike, twice the same, empty and unset; formats and sizes of all
/// kinds; seconds that several share.
fn motley() -> Vec<Row> {
    let names = [
        Some("beta"),
        None,
        Some("Alpha"),
        Some("alpha"),
        Some("élan"),
        Some("a-b"),
        Some("ab"),
        Some("Zeta"),
        Some(""),
        Some("beta"),
        Some("beta "),
        None,
        Some("_x"),
        Some("eagle"),
        Some("BETA"),
        Some("zeta"),
    ];
    let formats = [Some("raw"), None, Some("qcow2"), Some("iso")];
    let mut rows: Vec<Row> =
        names.iter().enumerate().map(|(n, name)| row(n, *name, n as u32 * 5 % 7)).collect();
    for (number, row) in rows.iter_mut().enumerate() {
        row.shown["disk_format"] = json!(formats[number % 4]);
        row.shown["container_format"] = json!(formats[number / 3 % 3].map(|_| "bare"));
        row.shown["size"] = json!([None, Some(0), Some(7), Some(7), Some(1000)][number % 5]);
        row.shown["status"] = json!(["active", "queued"][number % 2]);
    }
    rows
}

const ASC: Direction = Direction::Asc;
const DESC: Direction = Direction::Desc;

fn orders() -> Vec<Vec<(SortKey, Direction)>> {
    let single = SortKey::ALL.iter().flat_map(|key| [vec![(*key, ASC)], vec![(*key, DESC)]]);
    let several = [
        vec![(SortKey::Name, ASC), (SortKey::CreatedAt, ASC)],
        vec![(SortKey::Name, DESC), (SortKey::CreatedAt, ASC)],
        vec![(SortKey::CreatedAt, DESC), (SortKey::Name, ASC)],
        vec![(SortKey::CreatedAt, ASC), (SortKey::Name, DESC), (SortKey::Size, ASC)],
        vec![(SortKey::UpdatedAt, ASC), (SortKey::CreatedAt, DESC)],
        vec![(SortKey::Status, ASC), (SortKey::Size, DESC)],
        vec![(SortKey::DiskFormat, DESC), (SortKey::Name, ASC), (SortKey::CreatedAt, DESC)],
        vec![(SortKey::Size, DESC), (SortKey::CreatedAt, DESC)],
    ];
    single.chain(several).collect()
}

async fn every_order_from(kind: Kind, rows: fn() -> Vec<Row>, caps: &[(usize, Option<&'static str>)]) {
    for (round, (cap, next)) in caps.iter().enumerate() {
        let limits: &[usize] = if round == 0 { &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] } else { &[2, 7] };
        let database = Database::start(kind, rows(), *cap, *next).await;
        for keys in orders() {
            let query = by(&keys);
            let expected = sorted(&database, &query).await;
            for limit in limits {
                // Each walk begins without knowing anything.
                let walked = walk(&glance(&database).await, &query, *limit).await.unwrap();
                assert_eq!(
                    named(&walked),
                    named(&expected),
                    "{kind:?}, cap {cap}, next {next:?}, {keys:?}, limit {limit}"
                );
            }
        }
    }
}

const ON: Option<&str> = Some("/v2/images?marker=on");

#[tokio::test]
async fn lists_from_sqlite_are_exact_in_every_order_at_every_page_size() {
    every_order_from(Kind::Sqlite, motley, &[(1000, ON), (3, None)]).await;
    every_order_from(Kind::Sqlite, capital_late, &[(1000, ON)]).await;
}

#[tokio::test]
async fn lists_from_mysql_are_exact_in_every_order_at_every_page_size() {
    every_order_from(Kind::Mysql, motley, &[(1000, ON), (3, None)]).await;
    every_order_from(Kind::Mysql, capital_late, &[(1000, ON), (1, ON)]).await;
}

#[tokio::test]
async fn lists_from_postgres_are_exact_in_every_order_at_every_page_size() {
    every_order_from(Kind::Postgres, motley, &[(1000, ON), (3, None)]).await;
    every_order_from(Kind::Postgres, capital_late, &[(1000, ON), (1, ON)]).await;
}

/// A hundred and twenty images with names of their own, eight to a second, among them capitals if `telling`.
fn many(telling: bool) -> Vec<Row> {
    (0..120)
        .map(|n| {
            let initial = if telling && n % 10 == 3 { "Image" } else { "image" };
            row(n, Some(&format!("{initial}-{:03}", n * 37 % 120)), n as u32 / 8)
        })
        .collect()
}

#[tokio::test]
async fn once_two_names_have_told_that_the_order_is_ours_it_is_relied_upon() {
    let database = Database::start(Kind::Sqlite, many(true), 1000, ON).await;
    let options = Options { page_size: NonZeroUsize::new(20).unwrap(), ..options(&database) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let query = by(&[(SortKey::Name, ASC), (SortKey::CreatedAt, ASC)]);
    let expected = sorted(&database, &query).await;
    assert_eq!(named(&walk(&glance, &query, 10).await.unwrap()), named(&expected));
    let (before, calls) = (database.sent(), database.server.calls().len());
    assert_eq!(named(&walk(&glance, &query, 10).await.unwrap()), named(&expected));
    let pages = 12;
    // For each page: itself, what lies around it, and the last of all names, for it could be unset.
    assert!(database.sent() - before <= pages * (20 + 4 + 1), "{} images", database.sent() - before);
    assert!(
        database.server.calls().len() - calls <= pages * 3 + 2,
        "{}",
        database.server.calls().len() - calls
    );
}

#[tokio::test]
async fn a_server_that_orders_otherwise_is_asked_for_two_images_once_and_not_for_that_order_again() {
    let database = Database::start(Kind::Mysql, many(true), 1000, ON).await;
    let options = Options { page_size: NonZeroUsize::new(50).unwrap(), ..options(&database) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let query = by(&[(SortKey::Name, ASC)]);
    walk(&glance, &query, 50).await.unwrap();
    let by_name = |call: &server::Call| call.query["sort"].starts_with("name");
    let asked: Vec<_> = database.server.calls().into_iter().filter(by_name).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].query["id"].starts_with("in:"));
}

#[tokio::test]
async fn a_list_too_long_to_tell_its_order_is_an_error_that_names_what_can_be_set() {
    let database = Database::start(Kind::Sqlite, many(false), 1000, ON).await;
    let query = by(&[(SortKey::Name, ASC)]);
    let few = NonZeroUsize::new(50).unwrap();
    let bounded = || Options { page_size: few, resort_limit: few, ..options(&database) };
    let doubtful = GlanceV2::open("there", bounded()).await.unwrap();
    let error = walk(&doubtful, &query, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("text_order") && error.message().contains("resort_limit"), "{error}");

    let told = Options { text_order: TextOrder::Bytes, ..bounded() };
    let glance = GlanceV2::open("there", told).await.unwrap();
    let expected = sorted(&database, &query).await;
    assert_eq!(named(&walk(&glance, &query, 10).await.unwrap()), named(&expected));
}

#[tokio::test]
async fn a_position_by_time_in_another_store_costs_no_more_than_its_second_and_the_page() {
    let database = Database::start(Kind::Sqlite, many(true), 1000, ON).await;
    for keys in [
        vec![(SortKey::CreatedAt, DESC)],
        vec![(SortKey::CreatedAt, ASC)],
        vec![(SortKey::UpdatedAt, DESC)],
        vec![(SortKey::UpdatedAt, ASC)],
        vec![(SortKey::CreatedAt, DESC), (SortKey::Name, ASC)],
        vec![(SortKey::CreatedAt, ASC), (SortKey::Name, DESC)],
        vec![(SortKey::UpdatedAt, ASC), (SortKey::Size, DESC), (SortKey::CreatedAt, DESC)],
    ] {
        let query = by(&keys);
        let expected = sorted(&database, &query).await;
        let glance = glance(&database).await;
        // The server has told once that it gives `next`.
        walk(&glance, &query, 60).await.unwrap();
        for at in (0..100).step_by(9) {
            let mut position = query.sort.position_of(&expected[at]);
            // Not an image of this Glance, and just before one of it.
            position.id = ImageId::lookup(format!("{}x", position.id));
            let behind: Vec<Image> =
                expected.iter().filter(|image| query.sort.is_after(image, &position)).cloned().collect();
            let (sent, calls) = (database.sent(), database.server.calls().len());
            let asked = Query { position: Some(position), limit: NonZeroUsize::new(10), ..query.clone() };
            let page = glance.detail(&admin(), &asked).await.unwrap();
            assert_eq!(named(&page.items), named(&behind[..10]), "{keys:?} behind {at}");
            let (sent, calls) = (database.sent() - sent, database.server.calls().len() - calls);
            // Eighteen, and twice as many where eight of these were of the position's second.
            assert!(sent <= 18 + 36 && calls <= 2, "{keys:?} behind {at}: {sent} images, {calls} calls");
        }
    }
}

/// Positions of images that another store holds, all over a list.
fn elsewhere(query: &Query, expected: &[Image]) -> Vec<Position> {
    let foreign = |image: &Image| Position {
        id: ImageId::lookup(format!("{}x", image.id)),
        ..query.sort.position_of(image)
    };
    expected.iter().map(foreign).collect()
}

#[tokio::test]
async fn a_resume_spares_reading_from_the_start_whatever_the_order() {
    let rows = (0..600).map(|n| row(n, Some(&format!("{n:03}{}", ["x", "A", "b"][n % 3])), n as u32 / 3));
    let database = Database::start(Kind::Sqlite, rows.collect(), 1000, ON).await;
    for keys in [
        vec![(SortKey::Name, ASC)],
        vec![(SortKey::Name, DESC)],
        vec![(SortKey::Name, ASC), (SortKey::CreatedAt, ASC)],
        vec![(SortKey::Status, DESC), (SortKey::CreatedAt, DESC)],
        vec![(SortKey::Id, ASC)],
    ] {
        let query = by(&keys);
        let expected = sorted(&database, &query).await;
        let glance = told(&database).await;
        walk(&glance, &query, 400).await.unwrap();
        for (at, position) in elsewhere(&query, &expected).into_iter().enumerate().skip(1).step_by(71) {
            let own = expected[..=at].iter().rfind(|image| !query.sort.is_after(image, &position)).unwrap();
            let behind: Vec<Image> =
                expected.iter().filter(|image| query.sort.is_after(image, &position)).cloned().collect();
            let (sent, calls) = (database.sent(), database.server.calls().len());
            let asked = Query {
                position: Some(position),
                resume: Some(Resume::Behind(own.id.clone())),
                limit: NonZeroUsize::new(10),
                ..query.clone()
            };
            let page = glance.detail(&admin(), &asked).await.unwrap();
            let first: Vec<Image> = behind.into_iter().take(10).collect();
            assert_eq!(named(&page.items), named(&first), "{keys:?} behind {at}");
            let (sent, calls) = (database.sent() - sent, database.server.calls().len() - calls);
            assert!(
                sent <= 10 + 8 + 8 + 4 + 1 && calls <= 4,
                "{keys:?} behind {at}: {sent} images, {calls} calls"
            );
        }
    }
}

#[tokio::test]
async fn a_stale_or_made_up_resume_changes_nothing_in_what_is_listed() {
    let database = Database::start(Kind::Sqlite, many(true), 7, ON).await;
    for keys in [
        vec![(SortKey::Name, ASC)],
        vec![(SortKey::Name, DESC), (SortKey::CreatedAt, ASC)],
        vec![(SortKey::Status, ASC), (SortKey::CreatedAt, DESC)],
        vec![(SortKey::CreatedAt, DESC)],
    ] {
        let query = by(&keys);
        let expected = sorted(&database, &query).await;
        let glance = glance(&database).await;
        for (at, position) in elsewhere(&query, &expected).into_iter().enumerate().step_by(13) {
            let behind: Vec<Image> =
                expected.iter().filter(|image| query.sort.is_after(image, &position)).cloned().collect();
            let first: Vec<Image> = behind.into_iter().take(9).collect();
            let hints = [0, at.saturating_sub(1), at, at + 1, at + 3, at + 40, 119];
            let hints = hints.iter().filter_map(|hint| expected.get(*hint)).map(|image| image.id.clone());
            for hint in hints.chain([ImageId::random(), ImageId::lookup("../x"), ImageId::lookup("")]) {
                let asked = Query {
                    position: Some(position.clone()),
                    resume: Some(Resume::Behind(hint.clone())),
                    limit: NonZeroUsize::new(9),
                    ..query.clone()
                };
                let page = glance.detail(&admin(), &asked).await.unwrap();
                assert_eq!(named(&page.items), named(&first), "{keys:?} behind {at}, hint {hint}");
            }
        }
    }
}

#[tokio::test]
async fn a_resume_at_an_unset_size_where_the_server_loses_its_place_does_no_harm() {
    let rows = (0..30).map(|n| {
        let mut row = row(n, Some("image"), n as u32 / 3);
        row.shown["size"] = json!((n % 2 == 0).then_some(n));
        row
    });
    let database = Database::start(Kind::Sqlite, rows.collect(), 1000, ON).await;
    for direction in [ASC, DESC] {
        let query = by(&[(SortKey::Size, direction), (SortKey::CreatedAt, ASC)]);
        let expected = sorted(&database, &query).await;
        for position in elsewhere(&query, &expected) {
            let behind: Vec<Image> =
                expected.iter().filter(|image| query.sort.is_after(image, &position)).cloned().collect();
            for hint in expected.iter().step_by(4) {
                let asked = Query {
                    position: Some(position.clone()),
                    resume: Some(Resume::Behind(hint.id.clone())),
                    ..query.clone()
                };
                let page = glance(&database).await.detail(&admin(), &asked).await.unwrap();
                assert_eq!(named(&page.items), named(&behind), "{direction} {position:?} {}", hint.id);
            }
        }
    }
}

#[tokio::test]
async fn an_image_that_was_renamed_since_is_no_place_to_go_on_from() {
    for (name, direction) in [("zzz", ASC), ("0", ASC), ("zzz", DESC), ("0", DESC)] {
        let database = Database::start(Kind::Sqlite, many(true), 1000, ON).await;
        let query = by(&[(SortKey::Name, direction), (SortKey::CreatedAt, ASC)]);
        let glance = told(&database).await;
        let before = sorted(&database, &query).await;
        let position = query.sort.position_of(&before[60]);
        for row in database.rows.lock().unwrap().iter_mut() {
            if row.shown["id"] == json!(position.id.as_str()) {
                row.shown["name"] = json!(name);
            }
        }
        let mut expected = sorted(&database, &query).await;
        expected.retain(|image| query.sort.is_after(image, &position));
        for resume in [None, Some(Resume::Behind(position.id.clone()))] {
            let asked = Query { position: Some(position.clone()), resume, ..query.clone() };
            let page = glance.detail(&admin(), &asked).await.unwrap();
            assert_eq!(named(&page.items), named(&expected), "{name} {direction}");
        }
    }
}

#[tokio::test]
async fn an_image_that_is_renamed_while_it_serves_as_the_place_loses_nothing() {
    // Whichever image is gone on behind is renamed to the very end just before it is looked up.
    let database = Database::changing(Kind::Sqlite, many(true), 1000, ON, |_, call, rows| {
        let forward = call.query.get("sort").is_some_and(|sort| sort.starts_with("name:asc"));
        if let (true, Some(marker)) = (forward, call.query.get("marker")) {
            for row in rows.iter_mut().filter(|row| row.shown["id"] == json!(marker)) {
                row.shown["name"] = json!("zzz");
            }
        }
    })
    .await;
    let query = by(&[(SortKey::Name, ASC), (SortKey::CreatedAt, ASC)]);
    let glance = told(&database).await;
    let before = sorted(&database, &query).await;
    let position = query.sort.position_of(&before[60]);
    let asked = Query { position: Some(position.clone()), ..query.clone() };
    let page = glance.detail(&admin(), &asked).await.unwrap();
    let renamed =
        database.rows.lock().unwrap().iter().filter(|row| row.shown["name"] == json!("zzz")).count();
    assert_eq!(renamed, 1, "nothing was put to the test");
    let kept = |images: &[Image]| -> Vec<String> {
        images
            .iter()
            .filter(|image| image.name.as_deref() != Some("zzz"))
            .map(|image| image.id.to_string())
            .collect()
    };
    assert_eq!(kept(&page.items), kept(&before[61..]));
}

#[tokio::test]
async fn every_cap_and_every_kind_of_next_gives_each_image_once_by_name_too() {
    let query = by(&[(SortKey::Name, ASC), (SortKey::CreatedAt, ASC)]);
    let some: Vec<Row> = many(true).into_iter().take(32).collect();
    for cap in [1, 25, 1000] {
        for next in [ON, Some("http://elsewhere.invalid/v2/images?marker=x"), Some("?garbage"), None] {
            let database = Database::start(Kind::Sqlite, some.clone(), cap, next).await;
            let expected = sorted(&database, &query).await;
            let glance = glance(&database).await;
            for limit in [7, 25, 32] {
                let walked = walk(&glance, &query, limit).await.unwrap();
                assert_eq!(named(&walked), named(&expected), "cap {cap}, next {next:?}, limit {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_place_to_go_on_from_costs_one_small_request() {
    let database = Database::start(Kind::Sqlite, many(true), 1000, ON).await;
    let glance = told(&database).await;
    let query = by(&[(SortKey::Name, ASC)]);
    walk(&glance, &query, 50).await.unwrap();
    let calls = database.server.calls().len();
    walk(&glance, &query, 50).await.unwrap();
    // Three pages, two of them behind a place, each with a look at where an unset name would be.
    assert_eq!(database.server.calls().len() - calls, 3 + 2 + 3);
}
