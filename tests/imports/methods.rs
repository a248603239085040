//! Each way of importing, when all is well and when it is not.

use bytes::Bytes;
use image_service::{
    Caller, Context, ErrorKind, Image, ImageChange, ImageId, ImageService as _, NewImage, Query, Status,
    Upload, Visibility,
};
use portico::imports::{Request, Settings, Source, Targets, TaskQuery, TaskSort, TaskStatus};

use crate::gated::Gate;
use crate::site::{Site, bytes, named, one, owner, raw, request, settings};
use crate::web::Web;

fn lists(image: &Image) -> (Option<&str>, Option<&str>) {
    let of = |key| image.properties.get(key).map(String::as_str);
    (of("os_glance_importing_to_stores"), of("os_glance_failed_import"))
}

fn web(uri: &str) -> Source {
    Source::Web { uri: uri.to_owned() }
}

fn from(id: &ImageId, region: &str) -> Source {
    Source::Image { id: id.as_str().to_owned(), region: region.to_owned() }
}

#[tokio::test]
async fn what_is_staged_comes_to_each_store_that_is_named() {
    let site = Site::open().await;
    let data = bytes(3000);
    for (targets, stores) in [
        (Targets::Default, vec!["a"]),
        (named(&["b"]), vec!["b"]),
        (named(&["c", "b"]), vec!["b", "c"]),
        (Targets::All, vec!["a", "b", "c"]),
    ] {
        let id = site.staged(&data).await;
        let task = site.import(&id, request(Source::Staged, targets)).await;
        assert_eq!((task.status, task.message.as_str()), (TaskStatus::Success, ""));
        assert_eq!(task.result, Some(serde_json::json!({"image_id": id.as_str()})));
        let shown = site.show(&id).await;
        assert_eq!((shown.status, shown.size), (Status::Active, Some(3000)));
        assert_eq!(shown.stores, stores);
        assert_eq!(lists(&shown), (Some(""), Some("")));
        for store in stores {
            assert_eq!(site.data_in(&id, store).await, data);
        }
    }
    assert_eq!(site.files(), 0);
}

#[tokio::test]
async fn if_all_must_succeed_and_one_fails_nothing_has_been() {
    let site = Site::open().await;
    let data = bytes(3000);
    for (failing, name) in site.stores.iter().zip(["a", "b", "c"]) {
        let id = site.staged(&data).await;
        failing.is_now(Gate::Refuses);
        let task = site.import(&id, request(Source::Staged, Targets::All)).await;
        assert_eq!((task.status, task.message.as_str()), (TaskStatus::Failure, "the store is full"));
        failing.is_now(Gate::Open);
        let shown = site.show(&id).await;
        assert_eq!((shown.status, shown.size, shown.stores.len()), (Status::Queued, None, 0), "{name}");
        assert_eq!(lists(&shown), (Some(""), Some(name)));
        assert!(site.shown.get(&owner(), &id, None).await.unwrap().data.is_none());
        assert_eq!(site.files(), 0);
        // And now it can be done.
        site.imports.stage(&owner(), &id, Upload::from_bytes(data.clone())).await.unwrap();
        let task = site.import(&id, request(Source::Staged, Targets::All)).await;
        assert_eq!(task.status, TaskStatus::Success, "{}", task.message);
        assert_eq!(site.show(&id).await.stores, ["a", "b", "c"]);
        assert_eq!(lists(&site.show(&id).await), (Some(""), Some("")));
    }
}

#[tokio::test]
async fn if_some_may_fail_the_others_have_it_and_if_all_fail_none() {
    let site = Site::open().await;
    let any = |source| Request { all_must_succeed: false, ..request(source, Targets::All) };
    site.stores[0].is_now(Gate::Refuses);
    let id = site.staged(&bytes(100)).await;
    let task = site.import(&id, any(Source::Staged)).await;
    assert_eq!(task.status, TaskStatus::Success);
    let shown = site.show(&id).await;
    assert_eq!((shown.status, shown.stores.join(",").as_str()), (Status::Active, "b,c"));
    assert_eq!(lists(&shown), (Some(""), Some("a")));
    site.stores.iter().for_each(|store| store.is_now(Gate::Refuses));
    let id = site.staged(&bytes(100)).await;
    let task = site.import(&id, any(Source::Staged)).await;
    assert_eq!(task.status, TaskStatus::Failure);
    let shown = site.show(&id).await;
    assert_eq!((shown.status, lists(&shown)), (Status::Queued, (Some(""), Some("a,b,c"))));
}

#[tokio::test]
async fn what_is_at_a_url_comes_with_one_request_to_any_number_of_stores() {
    let site = Site::open().await;
    let data = bytes(200_000);
    let server = Web::giving(&data).await;
    let id = site.queued().await;
    let task = site.import(&id, request(web(&server.url), Targets::All)).await;
    assert_eq!(task.status, TaskStatus::Success, "{}", task.message);
    assert_eq!(server.asked(), 1);
    assert_eq!(site.show(&id).await.stores, ["a", "b", "c"]);
    assert_eq!(site.data_in(&id, "c").await, data);
}

#[tokio::test]
async fn what_a_url_does_not_give_leaves_a_queued_image_and_a_task_that_says_why() {
    let site = Site::open().await;
    let gone = Web::answering(404, 0, Bytes::new()).await;
    let short = Web::answering(200, 5000, bytes(100)).await;
    let qcow2: Bytes = [&b"QFI\xfb\0\0\0\x03"[..], &[0; 1000]].concat().into();
    let other = Web::giving(&qcow2).await;
    for (url, why) in [
        (gone.url.as_str(), "status 404"),
        (&short.url, "broke off"),
        (&other.url, "raw"),
        ("http://127.0.0.1:1/x", "cannot be reached"),
        ("http://10.255.255.1/x", "nothing is fetched from this host"),
    ] {
        let id = site.queued().await;
        let task = site.import(&id, request(web(url), named(&["b"]))).await;
        assert_eq!(task.status, TaskStatus::Failure, "{url}");
        assert!(task.message.contains(why), "{url}: {}", task.message);
        let shown = site.show(&id).await;
        assert_eq!((shown.status, shown.size, lists(&shown)), (Status::Queued, None, (Some(""), Some("b"))));
    }
}

#[tokio::test]
async fn a_copy_comes_to_the_other_stores_while_the_image_is_active() {
    let site = Site::open().await;
    let data = bytes(5000);
    let id = site.active("b", &data).await;
    let context = Context::new(Caller { project: Some("p".into()), ..Caller::default() }, "req-1");
    let public = ImageChange { visibility: Some(Visibility::Public), ..ImageChange::default() };
    site.shown.update(&owner(), &id, public, None).await.unwrap();
    site.stores[2].is_now(Gate::Hangs);
    // Whoever may ask for copies, which is not decided here, may do so for others' images.
    let copy = request(Source::Copy, Targets::All);
    let task = site.imports.import(&context, &id, copy).await.unwrap().unwrap();
    site.stores[2].hangs().await;
    let shown = site.show(&id).await;
    assert_eq!((shown.status, shown.stores.join(",").as_str()), (Status::Active, "a,b"));
    assert_eq!(lists(&shown), (Some("c"), Some("")));
    assert_eq!(shown.properties["os_glance_import_task"], task.id);
    assert_eq!(site.data_in(&id, "a").await, data);
    let remove = site.shown.stores().unwrap().remove_copy(&owner(), &id, "b").await;
    assert_eq!(remove.unwrap_err().kind(), ErrorKind::Conflict);
    let again = site.begin(&id, request(Source::Copy, named(&["c"]))).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    site.stores[2].is_now(Gate::Open);
    let site = site.again(|_| ()).await;
    assert_eq!(site.ended(&task.id).await.status, TaskStatus::Success);
    assert_eq!(site.show(&id).await.stores, ["a", "b", "c"]);
    assert_eq!(site.data_in(&id, "c").await, data);
    // There is nothing left to do, or to be done.
    assert_eq!(site.begin(&id, request(Source::Copy, Targets::All)).await.unwrap(), None);
    let there = site.begin(&id, request(Source::Copy, named(&["a"]))).await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_copy_of_data_that_has_gone_bad_is_none_and_the_image_stays() {
    let site = Site::open().await;
    let data = bytes(5000);
    let id = site.active("a", &data).await;
    site.stores[0].is_now(Gate::Corrupts);
    let task = site.import(&id, request(Source::Copy, Targets::All)).await;
    assert_eq!(task.status, TaskStatus::Failure);
    assert!(task.message.contains("is not what was stored"), "{}", task.message);
    site.stores[0].is_now(Gate::Open);
    let shown = site.show(&id).await;
    assert_eq!((shown.status, shown.stores.join(",").as_str()), (Status::Active, "a"));
    assert_eq!(lists(&shown), (Some(""), Some("b")));
    assert_eq!(site.import(&id, request(Source::Copy, Targets::All)).await.status, TaskStatus::Success);
    for store in ["a", "b", "c"] {
        assert_eq!(site.data_in(&id, store).await, data);
    }
}

#[tokio::test]
async fn another_image_gives_its_data_formats_and_some_properties() {
    let site = Site::open().await;
    let data = bytes(4000);
    let properties = [("hw_cpu_cores", "5"), ("trait:X", "required"), ("speed", "88mph")];
    let new = NewImage {
        properties: properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        store: Some("b".into()),
        ..raw()
    };
    let source = site.shown.create(&owner(), new, Some(Upload::from_bytes(data.clone()))).await.unwrap().id;
    for (region, right) in [("here", true), ("b", true), ("a", false), ("nowhere", false)] {
        let mine = NewImage {
            disk_format: Some("iso".into()),
            properties: [("hw_cpu_cores".to_owned(), "1".to_owned())].into(),
            ..raw()
        };
        let id = site.shown.create(&owner(), mine, None).await.unwrap().id;
        let task = site.import(&id, request(from(&source, region), Targets::Default)).await;
        let shown = site.show(&id).await;
        let of = |key: &str| shown.properties.get(key).map(String::as_str);
        if right {
            assert_eq!(task.status, TaskStatus::Success, "{}", task.message);
            assert_eq!((of("hw_cpu_cores"), of("trait:X"), of("speed")), (Some("5"), Some("required"), None));
            assert_eq!((shown.status, shown.disk_format.as_deref()), (Status::Active, Some("raw")));
            assert_eq!(site.data_in(&id, "a").await, data);
        } else {
            assert_eq!(task.status, TaskStatus::Failure, "{region}");
            assert_eq!((of("hw_cpu_cores"), of("trait:X")), (Some("1"), None));
            assert_eq!((shown.status, shown.disk_format.as_deref()), (Status::Queued, Some("iso")));
        }
    }
    // What has been taken over goes when the data does not come.
    let id = site.queued().await;
    site.stores[0].is_now(Gate::Refuses);
    let task = site.import(&id, request(from(&source, "here"), Targets::Default)).await;
    assert_eq!(task.status, TaskStatus::Failure);
    let shown = site.show(&id).await;
    assert_eq!((shown.status, shown.properties.contains_key("hw_cpu_cores")), (Status::Queued, false));
    // And nobody gets what they cannot see.
    site.stores[0].is_now(Gate::Open);
    let stranger = Context::new(Caller::member_of("stranger"), "req-2");
    let theirs = site.shown.create(&stranger, raw(), None).await.unwrap().id;
    let begun =
        site.imports.import(&stranger, &theirs, request(from(&source, "here"), Targets::Default)).await;
    assert_eq!(site.ended(&begun.unwrap().unwrap().id).await.status, TaskStatus::Failure);
    assert_eq!(site.shown.show(&stranger, &theirs).await.unwrap().status, Status::Queued);
}

#[tokio::test]
async fn an_image_whose_status_does_not_fit_is_not_imported() {
    let site = Site::open().await;
    let (queued, active) = (site.queued().await, site.active("a", &bytes(10)).await);
    let staged = site.staged(&bytes(10)).await;
    let url = "http://127.0.0.1:1/x";
    for (id, source) in [
        (&queued, Source::Staged),
        (&queued, Source::Copy),
        (&staged, web(url)),
        (&staged, from(&active, "here")),
        (&staged, Source::Copy),
        (&active, web(url)),
        (&active, Source::Staged),
    ] {
        let error = site.begin(id, request(source.clone(), Targets::Default)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{source:?}");
    }
    let unknown = site.begin(&staged, request(Source::Staged, named(&["nowhere"]))).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Conflict);
    let formless = site.shown.create(&owner(), NewImage::default(), None).await.unwrap().id;
    let error = site.begin(&formless, request(web(url), Targets::Default)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let stranger = Context::new(Caller::member_of("stranger"), "req-2");
    let error = site.imports.import(&stranger, &staged, request(Source::Staged, Targets::Default)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(site.show(&staged).await.status, Status::Uploading);
}

#[tokio::test]
async fn an_image_that_is_deleted_takes_its_import_with_it() {
    let site = Site::open().await;
    site.stores[1].is_now(Gate::Hangs);
    let id = site.staged(&bytes(100)).await;
    let task = site.begin(&id, request(Source::Staged, Targets::All)).await.unwrap().unwrap();
    site.stores[1].hangs().await;
    let shown = site.show(&id).await;
    assert_eq!((shown.status, lists(&shown)), (Status::Importing, (Some("a,b,c"), Some(""))));
    site.shown.delete(&owner(), &id).await.unwrap();
    let task = site.ended(&task.id).await;
    assert_eq!((task.status, task.message.as_str()), (TaskStatus::Failure, "the image has been deleted"));
    assert_eq!(site.shown.show(&owner(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!((site.files(), site.count(Query::default()).await), (0, 0));
}

#[tokio::test]
async fn so_many_are_at_work_and_so_many_wait() {
    let site = Site::with(Settings { jobs: one(), waiting: one().saturating_add(1), ..settings() }).await;
    site.stores[0].is_now(Gate::Hangs);
    let (first, second, third) =
        (site.staged(&bytes(10)).await, site.staged(&bytes(10)).await, site.staged(&bytes(10)).await);
    let first = site.begin(&first, request(Source::Staged, Targets::Default)).await.unwrap().unwrap();
    site.stores[0].hangs().await;
    let second = site.begin(&second, request(Source::Staged, Targets::Default)).await.unwrap().unwrap();
    let refused = site.begin(&third, request(Source::Staged, Targets::Default)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let status = async |task: &str| site.imports.task(&owner(), task).await.unwrap().status;
    assert_eq!(status(&first.id).await, TaskStatus::Processing);
    assert_eq!(status(&second.id).await, TaskStatus::Pending);
}

#[tokio::test]
async fn tasks_are_told_to_those_whose_they_are() {
    let site = Site::open().await;
    let id = site.staged(&bytes(10)).await;
    let task = site.import(&id, request(Source::Staged, Targets::Default)).await;
    assert_eq!((task.owner.as_deref(), task.request_id.as_str()), (Some("owner"), "req-owner"));
    assert!(task.expires_at.unwrap() > task.updated_at);
    let admin = Context::new(Caller::administrator(), "req-3");
    let stranger = Context::new(Caller::member_of("stranger"), "req-3");
    let nobody = Context::new(Caller::default(), "req-3");
    let all = || TaskQuery {
        owner: None,
        status: None,
        kind: None,
        sort: TaskSort::CreatedAt,
        descending: true,
        marker: None,
        limit: 10,
    };
    for (context, sees) in [(&owner(), true), (&admin, true), (&stranger, false), (&nobody, false)] {
        assert_eq!(site.imports.task(context, &task.id).await.is_ok(), sees);
        assert_eq!(site.imports.list(context, all()).await.unwrap().len(), usize::from(sees));
    }
    assert_eq!(site.imports.of_image(&id).await.unwrap(), [task]);
}

#[tokio::test]
async fn what_was_there_before_a_task_is_never_taken_back() {
    let site = Site::with(Settings { jobs: one(), ..settings() }).await;
    let data = bytes(500);
    let (id, first) = (site.active("a", &data).await, site.staged(&data).await);
    site.stores[2].is_now(Gate::Hangs);
    site.begin(&first, request(Source::Staged, named(&["c"]))).await.unwrap().unwrap();
    site.stores[2].hangs().await;
    // It waits; and by the time that it begins, b has the image by other hands.
    let task = site.begin(&id, request(Source::Copy, Targets::All)).await.unwrap().unwrap();
    let copy = NewImage { id: Some(id.clone()), ..raw() };
    site.stores[1].create(&owner(), copy, Some(Upload::from_bytes(data))).await.unwrap();
    site.stores[2].is_now(Gate::Refuses);
    site.shown.delete(&owner(), &first).await.unwrap();
    assert_eq!(site.ended(&task.id).await.status, TaskStatus::Failure);
    assert_eq!(site.show(&id).await.stores, ["a", "b"]);
}
