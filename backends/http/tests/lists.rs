//! Lists from servers that page, order and answer as no real Glance does on demand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod server;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Method;
use image_service::{
    Caller, Context, Direction, ErrorKind, Filter, Image, ImageService, Page, Query, Result, Secret, Sort,
    SortKey,
};
use portico_http::{Auth, Dialect, GlanceV2, Options, TextOrder};
use serde_json::{Value, json};
use server::{Habits, Server, answer, id, image, listing, page, reply};

fn options(server: &Server) -> Options {
    let endpoint = format!("http://{}", server.address).parse().unwrap();
    Options { answer_timeout: Duration::from_secs(10), ..Options::new(Dialect::GlanceV2, endpoint) }
}

async fn glance(server: &Server) -> GlanceV2 {
    GlanceV2::open("there", options(server)).await.unwrap()
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-lists")
}

fn sorted(key: SortKey, direction: Direction) -> Query {
    Query { sort: Sort::by([(key, direction)]), filters: vec![Filter::Hidden(false)], ..Query::default() }
}

/// The numbers of the images on a page.
fn numbers(page: &Page<Image>) -> Vec<usize> {
    page.items.iter().map(|image| image.id.as_str().rsplit('-').next().unwrap().parse().unwrap()).collect()
}

/// All pages of a query, one after the other.
async fn walk(glance: &GlanceV2, query: &Query, limit: usize) -> Result<Vec<usize>> {
    let mut query = Query { limit: NonZeroUsize::new(limit), ..query.clone() };
    let mut all = Vec::new();
    for _ in 0..1000 {
        let page = glance.detail(&admin(), &query).await?;
        assert!(page.items.len() <= limit);
        all.extend(numbers(&page));
        match page.items.last() {
            Some(last) if page.more => query.position = Some(query.sort.position_of(last)),
            _ => return Ok(all),
        }
    }
    panic!("a walk without end");
}

/// Thirty images, ten in each of three seconds, newest second first, in an order within the second that is not
/// by id: that of microseconds which nobody sees.
fn thirty() -> Vec<Value> {
    let order = [7, 2, 9, 0, 5, 1, 8, 3, 6, 4];
    (0..3).rev().flat_map(|second| order.map(|n| image(second as usize * 10 + n, second))).collect()
}

#[tokio::test]
async fn every_cap_on_pages_and_every_kind_of_next_gives_each_image_once_in_order() {
    let newest_first: Vec<usize> = (0..30).rev().collect();
    for cap in [1, 7, 10, 25, 1000] {
        for next in [Some("/v2/images?marker=x"), Some("http://elsewhere.invalid/"), Some("?garbage"), None] {
            let habits = Habits { cap, next: next.map(str::to_owned) };
            let server = listing(thirty(), habits).await;
            let glance = glance(&server).await;
            for limit in [1, 4, 29, 30, 31] {
                let query = Query { filters: vec![Filter::Hidden(false)], ..Query::default() };
                let all = walk(&glance, &query, limit).await.unwrap();
                assert_eq!(all, newest_first, "cap {cap}, next {next:?}, limit {limit}");
            }
        }
    }
}

#[tokio::test]
async fn hidden_images_and_the_others_are_woven_into_one_list() {
    let mut images = thirty();
    for image in images.iter_mut().step_by(3) {
        image["os_hidden"] = json!(true);
    }
    let server = listing(images, Habits::default()).await;
    let glance = glance(&server).await;
    let all: Vec<usize> = (0..30).rev().collect();
    for limit in [1, 7, 30] {
        assert_eq!(walk(&glance, &Query::default(), limit).await.unwrap(), all, "limit {limit}");
    }
    let hidden = Query { filters: vec![Filter::Hidden(true)], ..Query::default() };
    assert_eq!(walk(&glance, &hidden, 4).await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_next_on_another_host_is_never_followed() {
    let trap = Server::start(|_| answer(200, &json!({"images": []}))).await;
    let next = Some(format!("http://{}/v2/images?marker=x", trap.address));
    let server = listing(thirty(), Habits { cap: 7, next }).await;
    let all = walk(&glance(&server).await, &Query::default(), 30).await.unwrap();
    assert_eq!((all.len(), trap.calls().len()), (30, 0));
}

#[tokio::test]
async fn a_server_that_gives_next_is_not_asked_twice_whether_a_short_page_was_the_last() {
    let server = listing(thirty(), Habits::default()).await;
    let glance = glance(&server).await;
    let query = Query { filters: vec![Filter::Hidden(false)], ..Query::default() };
    glance.detail(&admin(), &query).await.unwrap();
    let learning = server.calls().len();
    glance.detail(&admin(), &query).await.unwrap();
    assert_eq!((learning, server.calls().len()), (2, 3));
}

#[tokio::test]
async fn a_server_that_ignores_the_marker_is_an_error_and_no_hang() {
    let server = Server::start(|call| {
        let mut blind = call.clone();
        blind.query.remove("marker");
        page(&thirty(), &Habits { cap: 7, ..Habits::default() }, &blind)
    })
    .await;
    let error = walk(&glance(&server).await, &Query::default(), 30).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(server.calls().len() < 20, "{}", server.calls().len());
}

#[tokio::test]
async fn a_server_whose_pages_go_round_in_circles_is_an_error_and_no_hang() {
    let turn = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let images = thirty();
        let third = turn.fetch_add(1, Ordering::Relaxed) % 3;
        answer(200, &json!({"images": &images[third * 10..third * 10 + 10], "next": "/on"}))
    })
    .await;
    let query =
        Query { filters: vec![Filter::Hidden(false)], limit: NonZeroUsize::new(100), ..Query::default() };
    let error = glance(&server).await.detail(&admin(), &query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(server.calls().len() < 20, "{}", server.calls().len());
}

#[tokio::test]
async fn pages_cut_short_at_will_with_and_without_next_lose_and_double_nothing() {
    for next in [Some("/v2/images?marker=x"), None] {
        let server = Server::start(move |call| {
            // As many as the last digit of the marker says, or fewer.
            let marker = call.query.get("marker").and_then(|marker| marker.chars().last()?.to_digit(10));
            let cap = 1 + marker.unwrap_or(2) as usize % 4;
            page(&thirty(), &Habits { cap, next: next.map(str::to_owned) }, call)
        })
        .await;
        let glance = glance(&server).await;
        let query = Query { filters: vec![Filter::Hidden(false)], ..Query::default() };
        for limit in [1, 3, 10, 30, 1000] {
            let all = walk(&glance, &query, limit).await.unwrap();
            assert_eq!(all, (0..30).rev().collect::<Vec<_>>(), "next {next:?}, limit {limit}");
        }
    }
}

#[tokio::test]
async fn a_list_that_never_ends_is_left_at_the_bound_on_requests() {
    let made = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let from = made.fetch_add(5, Ordering::Relaxed);
        let images: Vec<Value> = (from..from + 5).map(|number| image(number, 0)).collect();
        answer(200, &json!({"images": images, "next": "/v2/images?marker=on"}))
    })
    .await;
    let options = Options { max_pages: NonZeroUsize::new(20).unwrap(), ..options(&server) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let none = vec![Filter::Hidden(false), Filter::text(image_service::Field::Name, "nobody")];
    let error = glance.detail(&admin(), &Query { filters: none, ..Query::default() }).await.unwrap_err();
    assert_eq!((error.kind(), server.calls().len()), (ErrorKind::Unavailable, 20));
    assert!(error.message().contains("max_pages"), "{error}");
}

#[tokio::test]
async fn a_page_out_of_order_by_time_is_noticed_and_such_lists_sorted_here_from_then_on() {
    let mut images = thirty();
    images.swap(0, 25);
    images.swap(3, 17);
    let server = listing(images, Habits { cap: 10, ..Habits::default() }).await;
    let glance = glance(&server).await;
    let query = Query { filters: vec![Filter::Hidden(false)], ..Query::default() };
    for limit in [30, 4, 1] {
        let all = walk(&glance, &query, limit).await.unwrap();
        assert_eq!(all, (0..30).rev().collect::<Vec<_>>(), "limit {limit}");
    }
}

#[tokio::test]
async fn pages_that_overlap_are_an_error_and_no_hang() {
    let server = Server::start(|call| {
        let images = thirty();
        let marker = call.query.get("marker");
        let at = images.iter().position(|image| marker.is_some_and(|marker| image["id"] == json!(marker)));
        // The marker's image is on the page behind it.
        answer(
            200,
            &json!({"images": &images[at.unwrap_or(0)..][..5.min(30 - at.unwrap_or(0))], "next": "/on"}),
        )
    })
    .await;
    let error = walk(&glance(&server).await, &Query::default(), 30).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(server.calls().len() < 20, "{}", server.calls().len());
}

#[tokio::test]
async fn a_marker_that_vanishes_between_two_pages_stops_no_walk() {
    // Each image is deleted as soon as it has been used to go on from, but only once.
    let gone = std::sync::Mutex::new(false);
    let server = Server::start(move |call| {
        let mut gone = gone.lock().unwrap();
        if call.query.contains_key("marker") && !*gone {
            *gone = true;
            return answer(400, &json!({}));
        }
        page(&thirty(), &Habits { cap: 7, ..Habits::default() }, call)
    })
    .await;
    let query =
        Query { filters: vec![Filter::Hidden(false)], limit: NonZeroUsize::new(30), ..Query::default() };
    let page = glance(&server).await.detail(&admin(), &query).await.unwrap();
    assert_eq!(numbers(&page), (0..30).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_marker_that_always_vanishes_is_an_error_in_the_end() {
    let server = Server::start(|call| match call.query.contains_key("marker") {
        true => answer(400, &json!({})),
        false => page(&thirty(), &Habits { cap: 7, ..Habits::default() }, call),
    })
    .await;
    let error = walk(&glance(&server).await, &Query::default(), 30).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

/// A server that orders names without regard to case, unless it is to order by id.
async fn careless_about_case() -> Server {
    let names = ["a", "B", "c", "D", "e"];
    let images: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let mut image = image(n, 0);
            image["name"] = json!(name);
            image
        })
        .collect();
    listing(images, Habits { cap: 3, ..Habits::default() }).await
}

#[tokio::test]
async fn a_page_out_of_order_is_noticed_and_the_list_sorted_here() {
    let server = careless_about_case().await;
    let glance = glance(&server).await;
    let query = sorted(SortKey::Name, Direction::Asc);
    assert_eq!(walk(&glance, &query, 5).await.unwrap(), [1, 3, 0, 2, 4]);
    let before = server.calls().len();
    assert_eq!(walk(&glance, &query, 2).await.unwrap(), [1, 3, 0, 2, 4]);
    let later = server.calls().split_off(before);
    assert!(
        later.iter().all(|call| call.query.get("sort").is_some_and(|sort| sort == "id:asc")),
        "{later:?}"
    );
}

#[tokio::test]
async fn a_server_said_to_order_names_otherwise_is_never_asked_to() {
    let server = careless_about_case().await;
    let options = Options { text_order: TextOrder::Other, ..options(&server) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    // With so small pages nothing out of order would be seen.
    assert_eq!(walk(&glance, &sorted(SortKey::Name, Direction::Asc), 1).await.unwrap(), [1, 3, 0, 2, 4]);
}

#[tokio::test]
async fn a_list_too_long_to_be_sorted_here_is_an_error_that_names_the_bound() {
    let server = careless_about_case().await;
    let options = Options { resort_limit: NonZeroUsize::new(4).unwrap(), ..options(&server) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let error = walk(&glance, &sorted(SortKey::Name, Direction::Asc), 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("resort_limit"), "{error}");
    assert!(!error.speaks_against_store() && !error.is_passing(), "the bound is ours");
}

#[tokio::test]
async fn behind_an_image_where_glance_loses_its_place_it_is_not_asked_to_go_on() {
    // All sizes are unset. Glance would find nothing behind the first page.
    let images: Vec<Value> = (0..9).map(|n| image(n, 0)).collect();
    let server = Server::start(move |call| {
        let by_size = call.query.get("sort").is_some_and(|sort| sort.starts_with("size"));
        if by_size && call.query.contains_key("marker") {
            return answer(200, &json!({"images": []}));
        }
        page(&images, &Habits { cap: 4, ..Habits::default() }, call)
    })
    .await;
    let query = sorted(SortKey::Size, Direction::Asc);
    assert_eq!(walk(&glance(&server).await, &query, 2).await.unwrap(), (0..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_position_by_name_holds_when_its_image_has_gone() {
    let images: Vec<Value> = (100..130).filter(|n| *n != 110).map(|n| image(n, 0)).collect();
    let server = listing(images, Habits::default()).await;
    let mut query = sorted(SortKey::Name, Direction::Asc);
    query.position = Some(image_service::Position {
        values: vec![image_service::SortValue::Text("image-110".into())],
        id: image_service::ImageId::lookup(id(110)),
    });
    let page = glance(&server).await.detail(&admin(), &query).await.unwrap();
    assert_eq!(numbers(&page), (111..130).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_that_costs_too_many_requests_is_short_and_says_that_there_is_more() {
    let server = listing(thirty(), Habits { cap: 5, ..Habits::default() }).await;
    let options = Options { max_pages: NonZeroUsize::new(5).unwrap(), ..options(&server) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let query = Query { filters: vec![Filter::Hidden(false)], ..Query::default() };
    let page = glance.detail(&admin(), &query).await.unwrap();
    assert!(page.more && page.items.len() == 20, "{:?}", numbers(&page));
    assert_eq!(walk(&glance, &query, 30).await.unwrap(), (0..30).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_that_comes_to_nothing_within_its_requests_is_an_error_and_not_the_end() {
    let server = listing(thirty(), Habits { cap: 5, ..Habits::default() }).await;
    let options = Options { max_pages: NonZeroUsize::new(4).unwrap(), ..options(&server) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let rare = Filter::text(image_service::Field::Name, "image-0");
    let error =
        glance.detail(&admin(), &Query { filters: vec![rare], ..Query::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("max_pages"), "{error}");
    assert!(!error.speaks_against_store() && !error.is_passing(), "the bound is ours");
}

#[tokio::test]
async fn what_a_server_does_not_filter_is_filtered_here() {
    let server = listing(thirty(), Habits::default()).await;
    let filters = vec![Filter::text(image_service::Field::Name, "image-12"), Filter::Hidden(false)];
    let page = glance(&server).await.detail(&admin(), &Query { filters, ..Query::default() }).await.unwrap();
    assert_eq!((numbers(&page), page.more), (vec![12], false));
}

#[tokio::test]
async fn an_image_that_is_just_being_deleted_is_not_there_any_more() {
    let mut images = thirty();
    images[0]["status"] = json!("deleted");
    let gone = images[0]["id"].as_str().unwrap().to_owned();
    let server = listing(images, Habits::default()).await;
    let glance = glance(&server).await;
    assert_eq!(walk(&glance, &Query::default(), 10).await.unwrap().len(), 29);
    let shown = glance.show(&admin(), &image_service::ImageId::lookup(gone)).await;
    assert_eq!(shown.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn answers_that_are_no_list_are_errors_that_tell_a_client_nothing_of_the_server() {
    let endless = || {
        let chunk = Bytes::from(vec![b' '; 1 << 16]);
        Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone())))
    };
    let said = json!({"message": "secret-host is broken"});
    type Script = Box<dyn Fn() -> axum::response::Response + Send + Sync>;
    let table: Vec<(&str, Script, ErrorKind)> = vec![
        ("an endless body", Box::new(move || reply(200, &[], endless())), ErrorKind::Internal),
        (
            "bad JSON",
            Box::new(|| reply(200, &[], Body::from("{\"images\": [secret-host"))),
            ErrorKind::Internal,
        ),
        ("HTML", Box::new(|| reply(200, &[], Body::from("<html>secret-host</html>"))), ErrorKind::Internal),
        ("nothing", Box::new(|| reply(204, &[], Body::empty())), ErrorKind::Internal),
        (
            "400",
            {
                let said = said.clone();
                Box::new(move || answer(400, &said))
            },
            ErrorKind::Internal,
        ),
        (
            "401",
            {
                let said = said.clone();
                Box::new(move || answer(401, &said))
            },
            ErrorKind::Refused,
        ),
        (
            "403",
            {
                let said = said.clone();
                Box::new(move || answer(403, &said))
            },
            ErrorKind::Refused,
        ),
        (
            "429",
            {
                let said = said.clone();
                Box::new(move || answer(429, &said))
            },
            ErrorKind::Unavailable,
        ),
        (
            "500",
            {
                let said = said.clone();
                Box::new(move || answer(500, &said))
            },
            ErrorKind::Internal,
        ),
        (
            "503",
            {
                let said = said.clone();
                Box::new(move || answer(503, &said))
            },
            ErrorKind::Unavailable,
        ),
    ];
    for (what, script, expected) in table {
        let server = Server::start(move |_| script()).await;
        let options = Options { max_response: bytesize::ByteSize::mib(1), ..options(&server) };
        let glance = GlanceV2::open("there", options).await.unwrap();
        let error = glance.detail(&admin(), &Query::default()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{what}");
        let message = error.message();
        assert!(!message.contains("secret-host") && !message.contains("127.0.0.1"), "{what}: {message}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_refuses_and_one_that_is_silent_times_out() {
    let server = Server::start(|_| answer(200, &json!({}))).await;
    let nowhere = options(&server);
    drop(server);
    let glance = GlanceV2::open("there", nowhere).await.unwrap();
    // The port may take a moment to close; until then the connection breaks.
    let kind = glance.detail(&admin(), &Query::default()).await.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::Refused | ErrorKind::Unavailable), "{kind:?}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let options =
        Options { answer_timeout: Duration::from_millis(50), ..Options::new(Dialect::GlanceV2, endpoint) };
    let glance = GlanceV2::open("there", options).await.unwrap();
    let error = glance.detail(&admin(), &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_token_along() {
    let trap = Server::start(|_| answer(200, &json!({"images": []}))).await;
    let target = format!("http://{}/v2/images", trap.address);
    let server = Server::start(move |_| reply(302, &[("location", target.clone())], Body::empty())).await;
    let token = Auth::Token { token: Some(Secret::new("ours")), token_file: None, token_env: None };
    for auth in [Auth::Caller {}, token] {
        let glance = GlanceV2::open("there", Options { auth, ..options(&server) }).await.unwrap();
        let caller = Caller { token: Some(Secret::new("theirs")), ..Caller::administrator() };
        let error = glance.detail(&Context::new(caller, "r"), &Query::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    assert_eq!(trap.calls().len(), 0);
    let tokens: Vec<_> = server.calls().iter().map(|call| call.headers["x-auth-token"].clone()).collect();
    assert!(tokens.contains(&"theirs".parse().unwrap()) && tokens.contains(&"ours".parse().unwrap()));
}

#[tokio::test]
async fn a_callers_token_is_shown_only_where_that_was_said() {
    let server = listing(thirty(), Habits::default()).await;
    let caller = Caller { token: Some(Secret::new("theirs")), ..Caller::member_of("p") };
    glance(&server).await.detail(&Context::new(caller, "r"), &Query::default()).await.unwrap();
    assert!(server.calls().iter().all(|call| !call.headers.contains_key("x-auth-token")));

    let glance =
        GlanceV2::open("there", Options { auth: Auth::Caller {}, ..options(&server) }).await.unwrap();
    let before = server.calls().len();
    let error = glance.detail(&admin(), &Query::default()).await.unwrap_err();
    assert_eq!((error.kind(), server.calls().len()), (ErrorKind::Unauthenticated, before));
}

#[tokio::test]
async fn a_refusal_of_the_callers_own_token_is_not_called_a_refusal_of_ours() {
    let server = Server::start(|_| answer(401, &json!({}))).await;
    let glance =
        GlanceV2::open("there", Options { auth: Auth::Caller {}, ..options(&server) }).await.unwrap();
    let caller = Caller { token: Some(Secret::new("old")), ..Caller::member_of("p") };
    let error = glance.detail(&Context::new(caller, "r"), &Query::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn the_request_id_is_passed_on_unless_glance_would_fail_on_it() {
    let server = listing(thirty(), Habits::default()).await;
    let glance = glance(&server).await;
    let query = Query { filters: vec![Filter::Hidden(false)], ..Query::default() };
    for (request_id, expected) in
        [("req-7".to_owned(), Some("req-7")), ("x".repeat(65), None), ("a\nb".into(), None)]
    {
        let before = server.calls().len();
        glance.detail(&Context::new(Caller::administrator(), request_id), &query).await.unwrap();
        let call = server.calls().swap_remove(before);
        let sent = call.headers.get("x-openstack-request-id").map(|id| id.to_str().unwrap().to_owned());
        assert_eq!(sent.as_deref(), expected);
    }
}

/// A server with one image of each visibility, whose shared one has `member` as a member.
async fn with_member(status: &'static str) -> Arc<Server> {
    let visibilities = ["public", "community", "shared", "private", "shared"];
    let mut images: Vec<Value> = visibilities
        .iter()
        .enumerate()
        .map(|(n, visibility)| {
            let mut image = image(n, 0);
            image["visibility"] = json!(visibility);
            image
        })
        .collect();
    images.reverse();
    let server = Server::start(move |call| match call.path.split('/').collect::<Vec<_>>()[..] {
        ["", "v2", "images"] => page(&images, &Habits::default(), call),
        ["", "v2", "images", image, "members", "member"] if image == id(2) => answer(
            200,
            &json!({
                "image_id": image, "member_id": "member", "status": status,
                "created_at": "2026-11-23T12:00:00Z", "updated_at": "2026-11-23T12:00:00Z",
            }),
        ),
        ["", "v2", "images", wanted] => {
            let found = images.iter().find(|image| image["id"] == json!(wanted));
            found.map_or_else(|| answer(404, &json!({})), |image| answer(200, image))
        }
        _ => answer(404, &json!({})),
    });
    Arc::new(server.await)
}

#[tokio::test]
async fn where_the_server_knows_only_us_tenancy_is_enforced_here() {
    let (accepted, pending) = (with_member("accepted").await, with_member("pending").await);
    let member = Context::new(Caller::member_of("member"), "r");
    let stranger = Context::new(Caller::member_of("stranger"), "r");
    let owner = Context::new(Caller::member_of("them"), "r");
    for (server, context, expected) in [
        (&accepted, &member, vec![2, 0]),
        (&pending, &member, vec![0]),
        (&accepted, &stranger, vec![0]),
        (&accepted, &owner, vec![4, 3, 2, 1, 0]),
        (&accepted, &admin(), vec![4, 3, 2, 0]),
    ] {
        let page = glance(server).await.detail(context, &Query::default()).await.unwrap();
        assert_eq!(numbers(&page), expected, "{:?}", context.caller);
    }
    let glance = glance(&pending).await;
    for (number, context, seen) in [
        (2, &member, true),
        (4, &member, false),
        (2, &stranger, false),
        (3, &stranger, false),
        (1, &stranger, true),
    ] {
        let shown = glance.show(context, &image_service::ImageId::lookup(id(number))).await;
        assert_eq!(shown.is_ok(), seen, "{number} {:?}", context.caller);
        assert!(seen || shown.unwrap_err().kind() == ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn memberships_are_looked_up_only_where_something_hangs_on_them() {
    let server = with_member("accepted").await;
    for (caller, expected) in
        [(Caller::administrator(), 0), (Caller::member_of("them"), 0), (Caller::member_of("member"), 2)]
    {
        let before = server.calls().len();
        glance(&server).await.detail(&Context::new(caller, "r"), &Query::default()).await.unwrap();
        let later = server.calls().split_off(before);
        assert_eq!(later.iter().filter(|call| call.path.contains("/members/")).count(), expected);
    }
    assert_eq!(server.count(&Method::POST, ""), 0);
}
