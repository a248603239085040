//! A Glance on a database of a certain kind: it sorts, goes on behind a marker and filters as Glance has it done
//! there, with microseconds that no answer shows.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use serde_json::{Value, json};

use super::{Call, Server, answer};

/// How a database orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text by bytes, null first.
    Sqlite,
    /// Text without regard to case, accents and blanks at its end, null first.
    Mysql,
    /// Text by the letters in it, then by all else, null last.
    Postgres,
}

/// One image of a Glance, with what it does not show.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) shown: Value,
    pub(crate) microsecond: u32,
}

/// A Glance over rows that a test may change.
pub(crate) struct Database {
    pub(crate) server: Server,
    pub(crate) rows: Arc<Mutex<Vec<Row>>>,
    sent: Arc<Mutex<usize>>,
}

/// What happens to the rows before a request is answered. The number counts requests.
type Meanwhile = dyn Fn(usize, &Call, &mut Vec<Row>) + Send + Sync;

impl Database {
    pub(crate) async fn start(kind: Kind, rows: Vec<Row>, cap: usize, next: Option<&'static str>) -> Self {
        Self::changing(kind, rows, cap, next, |_, _, _| {}).await
    }

    pub(crate) async fn changing(
        kind: Kind,
        rows: Vec<Row>,
        cap: usize,
        next: Option<&'static str>,
        meanwhile: impl Fn(usize, &Call, &mut Vec<Row>) + Send + Sync + 'static,
    ) -> Self {
        let rows = Arc::new(Mutex::new(rows));
        let sent = Arc::new(Mutex::new(0));
        let (held, counted) = (Arc::clone(&rows), Arc::clone(&sent));
        let meanwhile: Box<Meanwhile> = Box::new(meanwhile);
        let calls = Mutex::new(0);
        let server = Server::start(move |call| {
            let mut rows = held.lock().unwrap();
            let number = {
                let mut calls = calls.lock().unwrap();
                *calls += 1;
                *calls - 1
            };
            meanwhile(number, call, &mut rows);
            match call.path.strip_prefix("/v2/images") {
                Some("") => list(kind, &rows, cap, next, call, &mut counted.lock().unwrap()),
                Some(rest) => {
                    let found = rows.iter().find(|row| row.shown["id"].as_str() == rest.strip_prefix('/'));
                    found.map_or_else(|| answer(404, &json!({})), |row| answer(200, &row.shown))
                }
                None => answer(404, &json!({})),
            }
        })
        .await;
        Self { server, rows, sent }
    }

    /// How many images it has given in lists so far.
    pub(crate) fn sent(&self) -> usize {
        *self.sent.lock().unwrap()
    }
}

fn list(kind: Kind, rows: &[Row], cap: usize, next: Option<&str>, call: &Call, sent: &mut usize) -> Response {
    let sort: Vec<(&str, bool)> = call.query["sort"]
        .split(',')
        .map(|word| word.split_once(':').map(|(key, way)| (key, way == "asc")).unwrap())
        .collect();
    let mut listed: Vec<&Row> = rows.iter().filter(|row| is_asked_for(row, call)).collect();
    listed.sort_by(|a, b| {
        let mut keys = sort.iter().map(|(key, asc)| directed(*asc, compare(kind, key, a, b)));
        keys.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    });
    if let Some(marker) = call.query.get("marker") {
        let Some(marker) = rows.iter().find(|row| row.shown["id"] == json!(marker)) else {
            return answer(400, &json!({"message": "no image found with that ID"}));
        };
        listed.retain(|row| {
            let mut keys = sort.iter().map(|(key, asc)| match *key {
                // Glance compares sizes with a text if the marker's is unset: for SQLite all texts are larger.
                "size" if marker.shown["size"].is_null() => directed(*asc, Ordering::Less),
                _ => directed(*asc, behind(kind, key, row, marker)),
            });
            keys.find(|ordering| ordering.is_ne()) == Some(Ordering::Greater)
        });
    }
    let limit = call.query["limit"].parse::<usize>().unwrap().min(cap);
    let full = listed.len() >= limit;
    let images: Vec<&Value> = listed.iter().take(limit).map(|row| &row.shown).collect();
    *sent += images.len();
    let mut body = json!({"images": images});
    if let (true, Some(next)) = (full, next) {
        body["next"] = json!(next);
    }
    answer(200, &body)
}

fn directed(asc: bool, ordering: Ordering) -> Ordering {
    if asc { ordering } else { ordering.reverse() }
}

/// As `ORDER BY` has it.
fn compare(kind: Kind, key: &str, a: &Row, b: &Row) -> Ordering {
    match (a.shown[key].is_null(), b.shown[key].is_null()) {
        (true, true) => Ordering::Equal,
        (one, other) if one != other => directed(kind != Kind::Postgres, other.cmp(&one)),
        _ => values(kind, key, a, b),
    }
}

/// As Glance's conditions have it, which take null for an empty text or a zero.
fn behind(kind: Kind, key: &str, row: &Row, marker: &Row) -> Ordering {
    values(kind, key, row, marker)
}

fn values(kind: Kind, key: &str, a: &Row, b: &Row) -> Ordering {
    if key == "size" {
        return a.shown[key].as_u64().unwrap_or(0).cmp(&b.shown[key].as_u64().unwrap_or(0));
    }
    let text = |row: &Row| row.shown[key].as_str().unwrap_or_default().to_owned();
    match key {
        "created_at" | "updated_at" => (text(a), a.microsecond).cmp(&(text(b), b.microsecond)),
        _ => texts(kind, &text(a), &text(b)),
    }
}

fn texts(kind: Kind, a: &str, b: &str) -> Ordering {
    let fold = |text: &str| text.to_lowercase().replace(['é', 'è'], "e").replace('ö', "o");
    match kind {
        Kind::Sqlite => a.cmp(b),
        Kind::Mysql => fold(a).trim_end().cmp(fold(b).trim_end()),
        Kind::Postgres => {
            let letters = |text: &str| fold(text).chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            let small_first = |text: &str| text.chars().map(char::is_uppercase).collect::<Vec<_>>();
            (letters(a), small_first(a), a).cmp(&(letters(b), small_first(b), b))
        }
    }
}

fn is_asked_for(row: &Row, call: &Call) -> bool {
    let image = &row.shown;
    call.query.iter().all(|(name, value)| match name.as_str() {
        "os_hidden" => image["os_hidden"] == json!(value == "true"),
        "id" | "name" => {
            let value = value.trim_start_matches("eq:").trim_start_matches("in:");
            value.split(',').any(|one| image[name] == json!(one.trim_matches('"')))
        }
        "created_at" | "updated_at" => {
            let shown = image[name].as_str().unwrap();
            match value.split_once(':') {
                Some(("lt", bound)) => shown < bound,
                Some(("gte", bound)) => shown >= bound,
                other => panic!("a bound that would look at microseconds: {other:?}"),
            }
        }
        "sort" | "limit" | "marker" | "visibility" => true,
        other => panic!("a parameter that this server does not know: {other}"),
    })
}

/// An image of this number, name and second. Its microsecond runs against its number.
pub(crate) fn row(number: usize, name: Option<&str>, second: u32) -> Row {
    let mut shown = super::image(number, second);
    shown["name"] = json!(name);
    Row { shown, microsecond: 999_999 - (number as u32 * 7919) % 1000 }
}
