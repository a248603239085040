//! Answers that real services gave, word for word, and what they come to: a Glance 15, and a Nova 34 with a Glance 33.
//!
//! The answers are in `recorded/`, as `curl -i` wrote them, but for the ends of lines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use futures::TryStreamExt;
use image_service::{
    Caller, Context, Direction, ErrorKind, Filter, ImageId, ImageService, Query, Secret, Sort, SortKey,
    Status, Visibility,
};
use portico_http::{Auth, ComputeImages, Dialect, GlanceV1, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The answer to a request line, as it was recorded.
type Recordings = fn(&str) -> &'static str;

/// A server that says again what was said. It is gone when this is dropped.
struct Replay {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Replay {
    async fn start(recordings: Recordings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                say(stream, recordings).await;
            }
        });
        Self { address, task }
    }

    fn options(&self, dialect: Dialect) -> Options {
        Options::new(dialect, format!("http://{}", self.address).parse().unwrap())
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn say(mut stream: TcpStream, recordings: Recordings) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let line = request.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
    let (head, body) = recordings(line).split_once("\n\n").unwrap();
    let head = head.replace('\n', "\r\n");
    let answer = format!("{head}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn admin() -> Context {
    Context::new(Caller::administrator(), "req-recorded")
}

fn ids(page: &image_service::Page<image_service::Image>) -> Vec<&str> {
    page.items.iter().map(|image| image.id.as_str()).collect()
}

fn newest_first() -> Query {
    Query { sort: Sort::by([(SortKey::CreatedAt, Direction::Desc)]), ..Query::default() }
}

mod glance_15 {
    use super::*;

    const ACTIVE: &str = "6a1f0c52-3b4e-4b8e-9d56-0c7a51c4a101";
    const QUEUED: &str = "6a1f0c52-3b4e-4b8e-9d56-0c7a51c4a102";
    const NAMED: &str = "6a1f0c52-3b4e-4b8e-9d56-0c7a51c4a103";

    fn recordings(line: &str) -> &'static str {
        let list = line.starts_with("GET /v1/images/detail?");
        match line.rsplit('/').next().unwrap() {
            _ if list && line.contains("marker=") => include_str!("recorded/glance-15/end.txt"),
            _ if list => include_str!("recorded/glance-15/detail.txt"),
            "members" => include_str!("recorded/glance-15/members.txt"),
            "theirs" => include_str!("recorded/glance-15/shared-images.txt"),
            ACTIVE if line.starts_with("HEAD") => include_str!("recorded/glance-15/head.txt"),
            ACTIVE => include_str!("recorded/glance-15/get.txt"),
            QUEUED => include_str!("recorded/glance-15/head-queued.txt"),
            _ => include_str!("recorded/glance-15/not-found.txt"),
        }
    }

    async fn glance() -> (Replay, GlanceV1) {
        let replay = Replay::start(recordings).await;
        let glance = GlanceV1::open("there", replay.options(Dialect::GlanceV1)).await.unwrap();
        (replay, glance)
    }

    #[tokio::test]
    async fn a_list_is_read_and_its_elements_are_what_is_shown() {
        let (_replay, glance) = glance().await;
        let page = glance.detail(&admin(), &newest_first()).await.unwrap();
        assert_eq!((ids(&page), page.more), (vec![NAMED, QUEUED, ACTIVE], false));
        for image in &page.items[1..] {
            assert_eq!(glance.show(&admin(), &image.id).await.unwrap(), *image);
        }
        let image = page.items.last().unwrap();
        assert_eq!((image.name.as_deref(), image.status), (Some("squeeze ä"), Status::Active));
        assert_eq!((image.size, image.visibility, image.protected), (Some(6), Visibility::Public, true));
        assert_eq!(image.checksum.as_deref(), Some("50484c19f1afdaf3841a0d821ed393d2"));
        assert_eq!((image.owner.as_deref(), image.min_ram, &image.hash), (Some("ours"), 64, &None));
        assert_eq!(image.properties["os_distro"], "debian");
        assert!(image.updated_at >= image.created_at);
        let queued = &page.items[1];
        assert_eq!((queued.status, queued.size, &queued.name), (Status::Queued, None, &None));
    }

    #[tokio::test]
    async fn data_comes_with_the_record_in_front_of_it() {
        let (_replay, glance) = glance().await;
        let download = glance.get(&admin(), &ImageId::lookup(ACTIVE), None).await.unwrap();
        let bytes: Vec<_> = download.data.unwrap().into_stream().try_collect().await.unwrap();
        assert_eq!(bytes.concat(), b"kernel");
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found_and_a_page_of_html_is_not_shown() {
        let (_replay, glance) = glance().await;
        let error = glance.delete(&admin(), &ImageId::random()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!error.message().contains('<'), "{error}");
    }

    #[tokio::test]
    async fn members_are_read_from_either_side() {
        let (_replay, glance) = glance().await;
        let theirs = Context::new(Caller::member_of("theirs"), "req-recorded");
        let page = glance.detail(&theirs, &newest_first()).await.unwrap();
        assert_eq!(ids(&page), [NAMED, QUEUED, ACTIVE], "one of nobody, one shared and one public");
        assert!(glance.show(&theirs, &ImageId::lookup(QUEUED)).await.is_ok());
        let others = Context::new(Caller::member_of("others"), "req-recorded");
        assert!(glance.show(&others, &ImageId::lookup(QUEUED)).await.is_err());
    }
}

mod nova_34 {
    use super::*;

    const ACTIVE: &str = "6a1f0c52-3b4e-4b8e-9d56-0c7a51c4a201";
    const QUEUED: &str = "6a1f0c52-3b4e-4b8e-9d56-0c7a51c4a202";
    const DEACTIVATED: &str = "6a1f0c52-3b4e-4b8e-9d56-0c7a51c4a203";

    fn recordings(line: &str) -> &'static str {
        let list = line.starts_with("GET /v2.1/images/detail?");
        match line.rsplit('/').next().unwrap() {
            _ if list && line.contains("marker=") => include_str!("recorded/nova-34/end.txt"),
            _ if list => include_str!("recorded/nova-34/detail.txt"),
            ACTIVE => include_str!("recorded/nova-34/show.txt"),
            _ => include_str!("recorded/nova-34/not-found.txt"),
        }
    }

    async fn nova() -> (Replay, ComputeImages) {
        let replay = Replay::start(recordings).await;
        let nova = ComputeImages::open(replay.options(Dialect::ComputeImages)).await.unwrap();
        (replay, nova)
    }

    #[tokio::test]
    async fn a_list_is_read_and_its_elements_are_what_is_shown() {
        let (_replay, nova) = nova().await;
        let page = nova.detail(&admin(), &newest_first()).await.unwrap();
        assert_eq!((ids(&page), page.more), (vec![DEACTIVATED, QUEUED, ACTIVE], false));
        let image = page.items.last().unwrap();
        assert_eq!(nova.show(&admin(), &ImageId::lookup(ACTIVE)).await.unwrap(), *image);
        assert_eq!((image.name.as_deref(), image.status), (Some("bookworm ä"), Status::Active));
        assert_eq!((image.size, image.min_disk, image.min_ram), (Some(6), 3, 64));
        assert_eq!(image.properties["os_distro"], "debian");
        assert_eq!((image.visibility, &image.owner, &image.disk_format), (Visibility::Public, &None, &None));
        let others: Vec<_> = page.items.iter().map(|image| (image.status, image.size)).collect();
        assert_eq!(others[..2], [(Status::Deactivated, Some(4)), (Status::Queued, None)]);
    }

    #[tokio::test]
    async fn any_order_and_any_filter_can_be_asked_for() {
        let (_replay, nova) = nova().await;
        let by_name = Sort::by([(SortKey::Name, Direction::Asc)]);
        let page = nova.detail(&admin(), &Query { sort: by_name, ..Query::default() }).await.unwrap();
        assert_eq!(ids(&page), [QUEUED, ACTIVE, DEACTIVATED]);
        let debian = Filter::Property { key: "os_distro".into(), value: "debian".into() };
        let page = nova.detail(&admin(), &Query { filters: vec![debian], ..Query::default() }).await.unwrap();
        assert_eq!(ids(&page), [ACTIVE]);
    }

    #[tokio::test]
    async fn there_is_no_data_and_what_is_not_there_is_not_found() {
        let (_replay, nova) = nova().await;
        let error = nova.get(&admin(), &ImageId::lookup(ACTIVE), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotImplemented);
        assert!(error.message().contains("compute service"), "{error}");
        let error = nova.get(&admin(), &ImageId::random(), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn with_an_owner_images_are_private_to_that_project() {
        use image_service::{Scope, VisibilityScope};
        let replay = Replay::start(recordings).await;
        let owner = Some(String::from("theirs"));
        let options = Options { owner: owner.clone(), ..replay.options(Dialect::ComputeImages) };
        let nova = ComputeImages::open(options).await.unwrap();
        let active = ImageId::lookup(ACTIVE);
        let only = |visibility| Scope { visibility: VisibilityScope::Only(visibility), ..Scope::default() };
        for (caller, sees) in [
            (Caller::administrator(), true),
            (Caller::member_of("theirs"), true),
            (Caller::member_of("others"), false),
            (Caller::default(), false),
        ] {
            let context = Context::new(caller, "req-recorded");
            let shown = nova.show(&context, &active).await;
            let page = nova.detail(&context, &newest_first()).await.unwrap();
            let private = Query { scope: only(Visibility::Private), ..newest_first() };
            let index = nova.index(&context, &private).await.unwrap();
            let public = Query { scope: only(Visibility::Public), ..newest_first() };
            assert!(nova.detail(&context, &public).await.unwrap().items.is_empty());
            if sees {
                let image = shown.unwrap();
                assert_eq!((image.visibility, &image.owner), (Visibility::Private, &owner));
                assert_eq!((page.items.last(), page.items.len()), (Some(&image), 3));
                assert_eq!(index.items.len(), 3);
            } else {
                assert_eq!(shown.unwrap_err().kind(), ErrorKind::NotFound);
                assert_eq!(nova.get(&context, &active, None).await.unwrap_err().kind(), ErrorKind::NotFound);
                assert_eq!((page.items.len(), index.items.len()), (0, 0));
            }
        }
    }

    #[tokio::test]
    async fn callers_with_tokens_of_their_own_are_shown_what_nova_shows_them_as_private() {
        let replay = Replay::start(recordings).await;
        let options = Options { auth: Auth::Caller {}, ..replay.options(Dialect::ComputeImages) };
        let nova = ComputeImages::open(options).await.unwrap();
        let nameless = nova.show(&admin(), &ImageId::lookup(ACTIVE)).await.unwrap_err();
        assert_eq!(nameless.kind(), ErrorKind::Unauthenticated);
        let token = Some(Secret::new("theirs"));
        let caller = Context::new(Caller { token, ..Caller::member_of("theirs") }, "req-recorded");
        let image = nova.show(&caller, &ImageId::lookup(ACTIVE)).await.unwrap();
        assert_eq!(image.visibility, Visibility::Private);
    }
}
