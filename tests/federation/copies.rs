//! One id in several backends: one image if the data is the same, two if it is not.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use image_service::{
    Caller, Context, Digester, Direction, ErrorKind, Field, Filter, Image, ImageChange, ImageId,
    ImageService, MemberStatus, NewImage, Query, Resume, Sharing, Sort, SortKey, SourceState, Status,
    Timestamp, Upload, Visibility,
};
use portico::federation::{Backend, Federation, Settings};
use portico_memory::{Memory, Options};

use crate::DEADLINE;
use crate::bent::{Bend, bent};
use crate::made_of::{context, walk};
use crate::noted::{Asked, noted};

const CONFLICTS_WITH: &str = "portico_conflicts_with";

fn record(id: &str, name: &str, second: i64, data: Option<&'static [u8]>) -> (Image, Option<Bytes>) {
    let new = NewImage {
        id: Some(ImageId::lookup(id)),
        name: Some(name.to_owned()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        visibility: Some(Visibility::Public),
        ..NewImage::default()
    };
    let made = Timestamp::from_second(second).unwrap();
    let mut image = new.into_image(&Caller::administrator(), made).unwrap();
    if let Some(data) = data {
        let mut digester = Digester::default();
        digester.update(data);
        image.finish_upload(digester.finish(None).unwrap(), made);
        image.updated_at = made;
    }
    (image, data.map(Bytes::from_static))
}

fn memory(records: impl IntoIterator<Item = (Image, Option<Bytes>)>) -> Arc<Memory> {
    let memory = Memory::new("memory", Options::default());
    for (image, data) in records {
        memory.seed(image, data).unwrap();
    }
    Arc::new(memory)
}

fn joined(services: Vec<Arc<dyn ImageService>>, settings: Settings) -> Federation {
    let backend = |(service, name): (Arc<dyn ImageService>, &str)| Backend {
        name: name.into(),
        kind: "memory".into(),
        description: None,
        service,
        deadline: DEADLINE,
    };
    Federation::new(services.into_iter().zip(["a", "b", "c"]).map(backend).collect(), settings).unwrap()
}

/// All ways to know who holds what: by counting ids, by remembering what was asked, and by asking each time.
fn all_ways() -> [Settings; 3] {
    let remembering = Settings { census: 0, ..Settings::default() };
    [Settings::default(), remembering, Settings { census_age: Duration::ZERO, ..Settings::default() }]
}

/// Three backends that share ids in all ways, with times and names that put copies far from their homes.
fn shared() -> Vec<Arc<Memory>> {
    let id = |number: i64| format!("{number:02}");
    let image =
        |number: i64, second: i64, data| record(&id(number), &format!("n{:02}", 99 - second), second, data);
    let a = (0..12).map(|number| image(number, number, Some(b"data")));
    let b = (6..18).map(|number| image(number, 30 - number, Some(b"data")));
    let c = (0..20)
        .step_by(3)
        .map(|number| image(number, (number * 7) % 20, (number % 2 == 0).then_some(b"data")));
    vec![memory(a), memory(b), memory(c)]
}

fn as_services(memories: &[Arc<Memory>]) -> Vec<Arc<dyn ImageService>> {
    memories.iter().map(|memory| Arc::clone(memory) as Arc<dyn ImageService>).collect()
}

/// What a federation must show of `backends`: of each id the record of its home.
async fn homes(backends: &[Arc<dyn ImageService>]) -> Vec<Image> {
    let mut homes: Vec<Image> = Vec::new();
    for backend in backends {
        for image in walk(backend.as_ref(), &Query::default()).await {
            match homes.iter_mut().find(|home| home.id == image.id) {
                Some(home) if !home.has_data() && image.has_data() => *home = image,
                Some(_) => {}
                None => homes.push(image),
            }
        }
    }
    homes
}

fn sorts() -> Vec<Sort> {
    let both = [Direction::Asc, Direction::Desc];
    let single = SortKey::ALL.iter().flat_map(|key| both.map(|direction| Sort::by([(*key, direction)])));
    let mixed = Sort::by([(SortKey::Status, Direction::Asc), (SortKey::CreatedAt, Direction::Desc)]);
    single.chain([mixed]).collect()
}

fn without_stores(mut images: Vec<Image>) -> Vec<Image> {
    for image in &mut images {
        image.stores.clear();
    }
    images
}

#[tokio::test]
async fn copies_that_differ_in_name_and_time_are_listed_once_at_their_homes_place() {
    let services = as_services(&shared());
    let expected = homes(&services).await;
    for settings in all_ways() {
        let federation = joined(services.clone(), settings);
        for sort in sorts() {
            let mut expected = expected.clone();
            expected.sort_by(|a, b| sort.compare(a, b));
            for size in [1, 2, 3, 5, 7, 30] {
                let query = Query { sort: sort.clone(), limit: NonZeroUsize::new(size), ..Query::default() };
                let walked = without_stores(walk(&federation, &query).await);
                assert_eq!(walked, expected, "{size} at a time by {sort:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_filter_is_about_the_home_and_not_about_copies() {
    let services = as_services(&shared());
    for settings in all_ways() {
        let federation = joined(services.clone(), settings);
        for home in homes(&services).await {
            let name = home.name.clone().unwrap();
            let filters =
                vec![Filter::text(Field::Name, name.as_str()), Filter::text(Field::Id, home.id.as_str())];
            let walked = walk(&federation, &Query { filters, ..Query::default() }).await;
            assert_eq!(walked.len(), 1, "{name}");
        }
        // Image 07 is called n92 at its home and n76 elsewhere.
        let copy = vec![Filter::text(Field::Name, "n76"), Filter::text(Field::Id, "07")];
        assert!(walk(&federation, &Query { filters: copy, ..Query::default() }).await.is_empty());
    }
}

#[tokio::test]
async fn every_store_that_holds_the_data_is_told_on_any_page() {
    let federation = joined(as_services(&shared()), Settings::default());
    let query = Query { limit: NonZeroUsize::new(1), ..Query::default() };
    for image in walk(&federation, &query).await {
        let shown = federation.show(&context(), &image.id).await.unwrap();
        assert_eq!(image, shown);
    }
}

#[tokio::test]
async fn a_copy_that_the_caller_may_not_see_is_no_home() {
    let private = |(mut image, data): (Image, Option<Bytes>)| {
        image.visibility = Visibility::Private;
        image.owner = Some("somebody".to_owned());
        (image, data)
    };
    let a = memory([private(record("1", "hidden", 1, Some(b"x")))]);
    let b = memory([record("1", "open", 2, Some(b"x"))]);
    for settings in all_ways() {
        let federation = joined(as_services(&[a.clone(), b.clone()]), settings);
        for (caller, expected) in [(Caller::member_of("other"), "open"), (Caller::administrator(), "hidden")]
        {
            let context = Context::new(caller, "req-test");
            let page = federation.detail(&context, &Query::default()).await.unwrap();
            let names: Vec<_> = page.items.iter().map(|image| image.name.as_deref().unwrap()).collect();
            assert_eq!(names, [expected]);
            assert_eq!(federation.show(&context, &ImageId::lookup("1")).await.unwrap(), page.items[0]);
        }
    }
}

#[tokio::test]
async fn a_page_of_nothing_but_copies_does_not_end_the_list() {
    let numbers = |seconds: fn(i64) -> i64| {
        (0..200).map(move |number| record(&format!("{number:03}"), "x", seconds(number), Some(b"x")))
    };
    let a = memory(numbers(|number| number));
    let b = memory(numbers(|number| number + 1000));
    for settings in all_ways() {
        let federation = joined(as_services(&[a.clone(), b.clone()]), settings);
        let query = Query { limit: NonZeroUsize::new(2), ..Query::default() };
        let page = federation.detail(&context(), &query).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|image| image.id.as_str()).collect();
        assert_eq!((ids, page.more), (vec!["199", "198"], true));
    }
}

#[tokio::test]
async fn a_list_counts_ids_while_it_waits_and_asks_nobody_for_what_it_knows() {
    let (notes, services): (Vec<_>, Vec<_>) =
        shared().into_iter().map(|memory| noted(memory as Arc<dyn ImageService>)).unzip();
    let federation = joined(services, Settings::default());
    let query = Query { limit: NonZeroUsize::new(4), ..Query::default() };
    federation.detail(&context(), &query).await.unwrap();
    for note in &notes {
        assert_eq!(note.count(Asked::Index), 1);
        assert!(note.count(Asked::Detail) <= 2, "a page, and one call for ids that others list");
        note.forget();
    }
    federation.detail(&context(), &query).await.unwrap();
    for note in &notes {
        assert_eq!(note.count(Asked::Index), 0, "what was counted a moment ago is known");
        assert!(note.count(Asked::Detail) <= 2);
    }
    let alone = record("alone", "alone", 1, None);
    let (note, lone) = noted(memory([alone]));
    let federation = joined(vec![lone, memory([]) as Arc<dyn ImageService>], Settings::default());
    for _ in 0..2 {
        federation.detail(&context(), &query).await.unwrap();
    }
    assert_eq!(note.count(Asked::Detail), 2, "nobody else has anything to look up");
}

#[tokio::test(start_paused = true)]
async fn what_a_large_backend_was_asked_for_in_vain_is_not_asked_again_for_a_while() {
    let (notes, services): (Vec<_>, Vec<_>) = (0..2)
        .map(|number| record(&number.to_string(), "x", number, None))
        .map(|record| noted(memory([record]) as Arc<dyn ImageService>))
        .unzip();
    let settings = Settings { census: 0, ..Settings::default() };
    let federation = joined(services, settings);
    for (expected, caller) in [(2, "a"), (1, "a"), (2, "b")] {
        let context = Context::new(Caller::member_of(caller), "req-test");
        federation.detail(&context, &Query::default()).await.unwrap();
        for note in &notes {
            assert_eq!((note.count(Asked::Detail), note.count(Asked::Index)), (expected, 0), "{caller}");
            note.forget();
        }
    }
    tokio::time::advance(Settings::default().census_age).await;
    federation.detail(&Context::new(Caller::member_of("a"), "req-test"), &Query::default()).await.unwrap();
    assert_eq!(notes[0].count(Asked::Detail), 2);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_appears_behind_our_back_is_noticed_when_the_count_is_old() {
    let a = memory([]);
    let b = memory([record("1", "b", 1, Some(b"x"))]);
    let federation = joined(as_services(&[a.clone(), b]), Settings::default());
    assert_eq!(walk(&federation, &Query::default()).await.len(), 1);
    let (image, data) = record("1", "a", 9, Some(b"x"));
    a.seed(image, data).unwrap();
    tokio::time::advance(Settings::default().census_age).await;
    let one = Query { limit: NonZeroUsize::new(1), ..Query::default() };
    let names: Vec<_> = walk(&federation, &one).await.into_iter().map(|image| image.name.unwrap()).collect();
    assert_eq!(names, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_falls_silent_between_its_page_and_its_copies_costs_its_deadline_once() {
    let a = memory([record("1", "a", 1, Some(b"x"))]);
    let b = memory([record("2", "b", 2, Some(b"x"))]);
    let (b, switch) = crate::noted::switched(b as Arc<dyn ImageService>);
    let settings = Settings { census_age: Duration::ZERO, ..Settings::default() };
    let federation = joined(vec![a as Arc<dyn ImageService>, b], settings);
    switch.slow_down(DEADLINE / 3, Duration::from_secs(30));
    let start = tokio::time::Instant::now();
    let page = federation.detail(&context(), &Query::default()).await.unwrap();
    assert_eq!(start.elapsed(), DEADLINE);
    assert_eq!(page.sources[1].state, SourceState::Timeout);
    assert_eq!(page.items.len(), 2, "what it gave before that is there");
}

#[tokio::test]
async fn what_is_made_through_the_federation_is_known_at_once() {
    let (a, b) = (memory([]), memory([]));
    let federation = joined(as_services(&[a, b.clone()]), Settings::default());
    assert!(walk(&federation, &Query::default()).await.is_empty());
    let new = NewImage { store: Some("b".into()), ..NewImage::default() };
    let made = federation.create(&context(), new, None).await.unwrap();
    assert_eq!(walk(&federation, &Query::default()).await, [made]);
}

async fn text(service: &dyn ImageService, id: &ImageId) -> String {
    let download = service.get(&context(), id, None).await.unwrap();
    assert_eq!(download.image.id, *id);
    let chunks: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

/// Image 1 in two backends with different data, and others around it.
fn conflicting() -> Vec<Arc<Memory>> {
    let a = [record("0", "zero", 5, None), record("1", "first", 5, Some(b"of a"))];
    let b = [record("1", "second", 5, Some(b"of b")), record("2", "two", 5, None)];
    vec![memory(a), memory(b)]
}

fn derived() -> ImageId {
    ImageId::derived("b", "1")
}

#[tokio::test]
async fn other_data_under_one_id_is_another_image_with_a_derived_id() {
    for settings in all_ways() {
        let federation = joined(as_services(&conflicting()), settings);
        for sort in sorts() {
            for size in 1..5 {
                let query = Query { sort: sort.clone(), limit: NonZeroUsize::new(size), ..Query::default() };
                let walked = walk(&federation, &query).await;
                let ids: BTreeSet<&str> = walked.iter().map(|image| image.id.as_str()).collect();
                assert_eq!(walked.len(), 4, "{size} at a time by {sort:?}: {ids:?}");
                assert_eq!(ids, BTreeSet::from(["0", "1", "2", derived().as_str()]));
            }
        }
        let second = federation.show(&context(), &derived()).await.unwrap();
        assert_eq!(second.name.as_deref(), Some("second"));
        assert_eq!(second.properties.get(CONFLICTS_WITH).map(String::as_str), Some("1"));
        assert_eq!(second.stores, ["b"]);
        let filters = vec![Filter::text(Field::Id, derived().as_str())];
        assert_eq!(walk(&federation, &Query { filters, ..Query::default() }).await, [second]);
        assert_eq!(text(&federation, &ImageId::lookup("1")).await, "of a");
        assert_eq!(text(&federation, &derived()).await, "of b");
    }
}

#[tokio::test]
async fn a_derived_id_is_found_before_any_list_has_shown_it() {
    let federation = joined(as_services(&conflicting()), Settings::default());
    let other = federation.show(&context(), &ImageId::derived("b", "7")).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::NotFound);
    // Ids are counted with the first list, which here ends before it comes to the image.
    let one = Query {
        limit: NonZeroUsize::new(1),
        sort: Sort::by([(SortKey::Id, Direction::Asc)]),
        ..Query::default()
    };
    federation.detail(&context(), &one).await.unwrap();
    assert_eq!(text(&federation, &derived()).await, "of b");
}

#[tokio::test]
async fn a_write_goes_to_the_image_that_is_named_and_never_to_the_other() {
    let backends = conflicting();
    let federation = joined(as_services(&backends), Settings::default());
    walk(&federation, &Query::default()).await;
    let native = ImageId::lookup("1");
    let rename = |name: &str| ImageChange { name: Some(Some(name.to_owned())), ..ImageChange::default() };
    federation.update(&context(), &native, rename("by owner"), None).await.unwrap();
    let mut change = rename("by derived id");
    change.properties.insert(CONFLICTS_WITH.to_owned(), Some("nothing".to_owned()));
    let changed = federation.update(&context(), &derived(), change, None).await.unwrap();
    assert_eq!((changed.id, changed.name.as_deref()), (derived(), Some("by derived id")));
    let a = backends[0].show(&context(), &native).await.unwrap();
    let b = backends[1].show(&context(), &native).await.unwrap();
    assert_eq!((a.name.as_deref(), b.name.as_deref()), (Some("by owner"), Some("by derived id")));
    assert!(b.properties.is_empty(), "the property is told and not kept");

    let share = ImageChange { visibility: Some(Visibility::Shared), ..ImageChange::default() };
    federation.update(&context(), &derived(), share, None).await.unwrap();
    let member = federation.add_member(&context(), &derived(), "friend").await.unwrap();
    assert_eq!(member.image_id, derived());
    assert!(backends[0].members(&context(), &native).await.is_err(), "the owner is not shared");

    federation.delete(&context(), &derived()).await.unwrap();
    assert!(backends[0].show(&context(), &native).await.is_ok());
    assert_eq!(backends[1].show(&context(), &native).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(federation.show(&context(), &derived()).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_known_conflict_does_not_take_the_place_of_a_silent_owner() {
    let backends = as_services(&conflicting());
    let (owner, switch) = crate::noted::switched(backends[0].clone());
    let federation = joined(vec![owner, backends[1].clone()], Settings::default());
    walk(&federation, &Query::default()).await;
    switch.silence();
    let error = federation.show(&context(), &ImageId::lookup("1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(federation.get(&context(), &ImageId::lookup("1"), None).await.is_err());
    assert_eq!(text(&federation, &derived()).await, "of b");
    let listed: BTreeSet<String> =
        walk(&federation, &Query::default()).await.iter().map(|image| image.id.to_string()).collect();
    assert_eq!(listed, BTreeSet::from(["2".to_owned(), derived().to_string()]));
}

#[tokio::test]
async fn when_the_owner_has_gone_the_other_image_has_the_id() {
    let backends = conflicting();
    let federation = joined(as_services(&backends), Settings::default());
    walk(&federation, &Query::default()).await;
    federation.delete(&context(), &ImageId::lookup("1")).await.unwrap();
    assert_eq!(text(&federation, &ImageId::lookup("1")).await, "of b");
    assert_eq!(federation.show(&context(), &derived()).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn each_backend_is_told_the_last_image_of_its_own_that_has_passed() {
    let (a_note, a) = noted(memory((0..6).step_by(2).map(|n| record(&n.to_string(), "x", n, None))));
    let (b_note, b) = noted(memory((0..6).skip(1).step_by(2).map(|n| record(&n.to_string(), "x", n, None))));
    let federation = joined(vec![a, b], Settings::default());
    let sort = Sort::by([(SortKey::CreatedAt, Direction::Asc)]);
    let query = Query { limit: NonZeroUsize::new(3), sort: sort.clone(), ..Query::default() };
    let page = federation.detail(&context(), &query).await.unwrap();
    let behind = |id: &str| Resume::Behind(ImageId::lookup(id));
    let expected = Resume::Sources([("a".to_owned(), behind("2")), ("b".to_owned(), behind("1"))].into());
    assert_eq!(page.resume, Some(expected));
    let position = page.items.last().map(|last| sort.position_of(last));
    federation.detail(&context(), &Query { position, resume: page.resume, ..query }).await.unwrap();
    assert_eq!(a_note.resumes().last(), Some(&Some(behind("2"))));
    assert_eq!(b_note.resumes().last(), Some(&Some(behind("1"))));
}

#[tokio::test]
async fn a_backend_of_short_pages_and_one_without_lists_of_details_have_copies_too() {
    let memories = shared();
    let expected = homes(&as_services(&memories)).await;
    for settings in all_ways() {
        let mut services = as_services(&memories);
        services[0] = bent(services[0].clone(), Bend::ShortPages(2));
        services[2] = bent(services[2].clone(), Bend::IndexOnly);
        let federation = joined(services, settings);
        let sort = Sort::default();
        let mut expected = expected.clone();
        expected.sort_by(|a, b| sort.compare(a, b));
        let query = Query { limit: NonZeroUsize::new(4), ..Query::default() };
        assert_eq!(without_stores(walk(&federation, &query).await), expected);
    }
}

#[tokio::test]
async fn data_comes_from_the_store_that_a_request_prefers_and_from_another_if_that_has_none() {
    let copy = || noted(memory([record("1", "x", 1, Some(b"data"))]) as Arc<dyn ImageService>);
    let ((a_note, a), (b_note, b), (c_note, c)) = (copy(), copy(), noted(memory([])));
    let federation = joined(vec![a, b, c], Settings::default());
    let id = ImageId::lookup("1");
    // With and without hints of who has it.
    for _ in 0..2 {
        for (prefer, expected) in [
            (vec!["b", "a"], [0, 1, 0]),
            (vec!["c", "b"], [0, 1, 0]),
            (vec!["a"], [1, 0, 0]),
            (vec![], [1, 0, 0]),
        ] {
            let prefer = prefer.into_iter().map(str::to_owned).collect();
            let download = federation.get(&Context { prefer, ..context() }, &id, None).await.unwrap();
            let pieces: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await.unwrap();
            assert_eq!(pieces.concat(), b"data");
            assert_eq!(download.image.stores, ["a", "b"]);
            let asked = [&a_note, &b_note, &c_note].map(|note| note.count(Asked::Get));
            assert_eq!(asked, expected);
            [&a_note, &b_note, &c_note].into_iter().for_each(|note| note.forget());
        }
    }
}

#[tokio::test]
async fn an_image_is_as_old_as_it_was_wherever_it_is_copied_or_moved_to() {
    let (data, bytes) = (record("1", "x", 1, Some(b"data")), Bytes::from_static(b"data"));
    let federation = joined(vec![memory([]) as Arc<dyn ImageService>, memory([data])], Settings::default());
    let (id, stores) = (ImageId::lookup("1"), federation.stores().unwrap());
    let made = federation.show(&context(), &id).await.unwrap().created_at;
    let copied = stores.add_copy(&context(), &id, "a", Upload::from_bytes(bytes)).await.unwrap();
    assert_eq!((copied.stores.join(",").as_str(), copied.created_at), ("a,b", made));
    let queued = record("2", "y", 1, None);
    let federation = joined(vec![memory([]) as Arc<dyn ImageService>, memory([queued])], Settings::default());
    let id = ImageId::lookup("2");
    federation.stores().unwrap().move_record(&context(), &id, "a").await.unwrap();
    assert_eq!(federation.show(&context(), &id).await.unwrap().created_at, made);
    assert!(made < Timestamp::now());
}

#[tokio::test]
async fn an_image_that_is_deactivated_while_it_is_copied_is_deactivated_in_the_copy() {
    let home = memory([record("1", "x", 1, Some(b"data"))]);
    let (earlier, id) = (memory([]), ImageId::lookup("1"));
    let services = vec![Arc::clone(&earlier) as Arc<dyn ImageService>, home];
    let federation = Arc::new(joined(services, Settings::default()));
    let during = Arc::clone(&federation);
    let deactivating = async move {
        let close = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
        during.update(&context(), &ImageId::lookup("1"), close, None).await.unwrap();
        Ok(Bytes::from_static(b"data"))
    };
    let upload = Upload::new(Box::pin(futures::stream::once(deactivating)));
    federation.stores().unwrap().add_copy(&context(), &id, "a", upload).await.unwrap();
    assert_eq!(earlier.show(&context(), &id).await.unwrap().status, Status::Deactivated);
    assert_eq!(federation.show(&context(), &id).await.unwrap().status, Status::Deactivated);
}

#[tokio::test]
async fn an_image_that_is_deleted_while_it_is_copied_is_nowhere() {
    let home = memory([record("1", "x", 1, Some(b"data"))]);
    let (other, id) = (memory([]), ImageId::lookup("1"));
    let services = vec![home as Arc<dyn ImageService>, Arc::clone(&other) as Arc<dyn ImageService>];
    let federation = Arc::new(joined(services, Settings::default()));
    let during = Arc::clone(&federation);
    let deleting = async move {
        during.delete(&context(), &ImageId::lookup("1")).await.unwrap();
        Ok(Bytes::from_static(b"data"))
    };
    let upload = Upload::new(Box::pin(futures::stream::once(deleting)));
    let answer = federation.stores().unwrap().add_copy(&context(), &id, "b", upload).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound);
    for service in [other as Arc<dyn ImageService>, federation] {
        assert_eq!(service.show(&context(), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn members_keep_what_they_have_answered_in_an_earlier_store_too() {
    let (mut image, data) = record("1", "x", 1, Some(b"data"));
    (image.visibility, image.owner) = (Visibility::Shared, Some("owner".into()));
    let services = vec![memory([]) as Arc<dyn ImageService>, memory([(image, data)])];
    let (federation, id) = (joined(services, Settings::default()), ImageId::lookup("1"));
    let [owner, accepted, silent] =
        ["owner", "accepted", "silent"].map(|project| Context::new(Caller::member_of(project), "req-1"));
    for member in ["accepted", "silent"] {
        federation.add_member(&owner, &id, member).await.unwrap();
    }
    federation.set_member_status(&accepted, &id, "accepted", MemberStatus::Accepted).await.unwrap();
    let lists =
        async |context: &Context| federation.detail(context, &Query::default()).await.unwrap().items.len();
    assert_eq!((lists(&accepted).await, lists(&silent).await), (1, 0));
    let upload = Upload::from_bytes("data");
    let copied = federation.stores().unwrap().add_copy(&owner, &id, "a", upload).await.unwrap();
    assert_eq!(copied.stores, ["a", "b"]);
    assert_eq!((lists(&accepted).await, lists(&silent).await), (1, 0));
    assert!(federation.show(&silent, &id).await.is_ok());
}
