//! What is copied is the image, and nothing else is there when it is not.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use image_service::{
    ErrorKind, Image, ImageChange, ImageService, MOST_PER_IMAGE, MemberStatus, MultiHash, NewImage, Status,
    Upload, Visibility,
};
use portico::federation::{Backend, Federation, Settings};
use portico::replica::{Choice, Copying, Effect, Kept, MARK, Side, Upkeep, Verdict};
use portico_memory::{Memory, Options};

use crate::stage::{
    Notes, active, bytes, context, copied, copied_before, copying, counts, data, differences, fill, id,
    images, local, memory, record, side,
};
use crate::strange::{Quirk, strange};

/// The backend as the program sees it: a federation of its own.
fn joined(name: &str, service: Arc<dyn ImageService>) -> Side {
    let backend = Backend {
        name: name.to_owned(),
        kind: "memory".into(),
        description: None,
        service,
        deadline: std::time::Duration::from_secs(60),
    };
    let settings = Settings { believed: [name.to_owned()].into(), ..Settings::default() };
    side(name, Arc::new(Federation::new(vec![backend], settings).unwrap()))
}

#[tokio::test]
async fn all_that_is_missing_is_copied_with_its_id_its_attributes_and_its_data() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (memory(), Arc::new(local(directory.path()).await));
    fill(a.as_ref(), 0..24, 1000).await;
    let (a, b) = (joined("a", a), joined("b", b));
    let first = copied(&a, &b, &copying()).await;
    assert_eq!((first.verdict, counts(&first), first.bytes), (Verdict::Equal, [24, 0, 0, 0, 0, 0], 24_000));
    assert_eq!(differences(&a, &b).await, []);
    for number in 0..24 {
        assert_eq!(bytes(&b, &id(number)).await, data(number, 1000));
    }
    for (image, copy) in images(&a).await.iter().zip(&images(&b).await) {
        assert_eq!((&image.id, image.created_at), (&copy.id, copy.created_at));
    }
    let again = copied(&a, &b, &copying()).await;
    assert_eq!((again.verdict, counts(&again), again.bytes), (Verdict::Equal, [0, 0, 0, 24, 0, 0], 0));
}

#[tokio::test]
async fn a_thousand_images_are_copied_and_are_the_same() {
    let (a, b) = (memory(), memory());
    for number in 0..1000 {
        let content = Bytes::from(number.to_string());
        let image = Image { properties: record(number).properties, ..active(number, &content) };
        a.seed(image, Some(content)).unwrap();
    }
    let (a, b) = (joined("a", a), joined("b", b));
    let settings = Copying { jobs: NonZeroUsize::new(8).unwrap(), ..copying() };
    let copied = copied(&a, &b, &settings).await;
    assert_eq!((copied.verdict, counts(&copied)), (Verdict::Equal, [1000, 0, 0, 0, 0, 0]));
    assert_eq!(differences(&a, &b).await, []);
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_done_and_does_nothing() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..6, 10).await;
    fill(b.as_ref(), 0..3, 10).await;
    let change = ImageChange { min_ram: Some(9), ..ImageChange::default() };
    a.update(&context(), &id(0), change, None).await.unwrap();
    let (a, b) = (side("a", a), side("b", b));
    let before = images(&b).await;
    let settings = Copying { effect: Effect::Told, upkeep: Upkeep::Update, ..copying() };
    let told = copied(&a, &b, &settings).await;
    assert_eq!((told.verdict, counts(&told), told.bytes), (Verdict::Different, [3, 0, 1, 2, 0, 0], 30));
    assert_eq!(images(&b).await, before);
    let done = copied(&a, &b, &Copying { effect: Effect::Done, ..settings.clone() }).await;
    assert_eq!((done.verdict, counts(&done)), (Verdict::Equal, counts(&told)));
    let told = copied(&a, &b, &settings).await;
    assert_eq!((told.verdict, counts(&told)), (Verdict::Equal, [0, 0, 0, 6, 0, 0]));
}

#[tokio::test]
async fn data_that_is_not_the_images_is_not_copied_and_nothing_of_it_stays() {
    for read in [&b"0123456788"[..], b"012345678", b"01234567890", b""] {
        let (a, b) = (memory(), memory());
        a.seed(active(1, b"0123456789"), Some(Bytes::copy_from_slice(read))).unwrap();
        let weak = Image { hash: None, ..active(2, b"0123456789") };
        a.seed(weak, Some(Bytes::copy_from_slice(read))).unwrap();
        let (a, b) = (side("a", a), side("b", b));
        let notes = Arc::new(Notes::default());
        let copied = copied_before(&a, &b, &copying(), Arc::clone(&notes) as _).await;
        assert_eq!((copied.verdict, counts(&copied)), (Verdict::Different, [0, 0, 0, 0, 0, 2]), "{read:?}");
        let begun = images(&b).await;
        assert!(
            begun.iter().all(|there| there.status == Status::Queued && there.size.is_none()),
            "{begun:?}"
        );
        assert!(
            notes.lines().iter().all(|line| line.contains("'a'") && line.contains("not the image's")),
            "{:?}",
            notes.lines()
        );
    }
}

#[tokio::test]
async fn a_source_that_gave_other_data_uses_up_no_id_and_is_copied_when_it_is_mended() {
    let (flawed, sound) = (memory(), memory());
    let image = active(1, b"0123456789");
    flawed.seed(image.clone(), Some(Bytes::from_static(b"0123456788"))).unwrap();
    sound.seed(image, Some(Bytes::from_static(b"0123456789"))).unwrap();
    let b = side("b", strange(memory(), Quirk::NeverForgets));
    for _ in 0..2 {
        let notes = Arc::new(Notes::default());
        copied_before(&side("a", Arc::clone(&flawed) as _), &b, &copying(), Arc::clone(&notes) as _).await;
        assert!(notes.lines()[0].contains("its hash differs"), "{:?}", notes.lines());
    }
    let (a, notes) = (side("a", sound), Arc::new(Notes::default()));
    let mended = copied_before(&a, &b, &copying(), Arc::clone(&notes) as _).await;
    assert_eq!(
        (mended.verdict, counts(&mended)),
        (Verdict::Equal, [0, 1, 0, 0, 0, 0]),
        "{:?}",
        notes.lines()
    );
    assert_eq!(differences(&a, &b).await, []);
}

#[tokio::test]
async fn what_a_copy_was_verified_by_is_told_and_that_it_was_the_size_alone() {
    let a = memory();
    fill(a.as_ref(), 0..2, 10).await;
    let a = side("a", a);
    for (to, by, by_size) in [
        (memory() as Arc<dyn ImageService>, "Hash(\"sha512\")", 0),
        (strange(memory(), Quirk::NoHash), "Size", 2),
    ] {
        let notes = Arc::new(Notes::default());
        let copied = copied_before(&a, &side("b", to), &copying(), Arc::clone(&notes) as _).await;
        assert_eq!((counts(&copied), copied.by_size), ([2, 0, 0, 0, 0, 0], by_size));
        let line = format!("Copied(Moved {{ bytes: 10, verified: Some({by}) }})");
        assert_eq!(notes.lines(), [line.clone(), line]);
    }
}

/// An image that tells SHA-256 and nothing else.
fn by_sha256(number: u32, value: &str, data: &'static [u8]) -> Image {
    let hash = Some(MultiHash { algorithm: "sha256".into(), value: value.into() });
    Image { hash, checksum: None, ..active(number, data) }
}

#[tokio::test]
async fn a_source_that_knows_sha_256_alone_is_there_on_the_second_run() {
    let sha256 = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";
    let (a, b) = (memory(), memory());
    a.seed(by_sha256(1, sha256, b"data"), Some(Bytes::from_static(b"data"))).unwrap();
    let (a, b) = (joined("a", a), joined("b", b));
    let first = copied(&a, &b, &copying()).await;
    assert_eq!((first.verdict, counts(&first)), (Verdict::Equal, [1, 0, 0, 0, 0, 0]));
    let second = copied(&a, &b, &copying()).await;
    assert_eq!((second.verdict, counts(&second), second.bytes), (Verdict::Equal, [0, 0, 0, 1, 0, 0], 0));
    let change = ImageChange { min_ram: Some(9), ..ImageChange::default() };
    a.service.update(&context(), &id(1), change, None).await.unwrap();
    let update = Copying { upkeep: Upkeep::Update, ..copying() };
    for expected in [[0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0]] {
        let updated = copied(&a, &b, &update).await;
        assert_eq!((updated.verdict, counts(&updated)), (Verdict::Equal, expected));
    }
    assert_eq!(b.service.show(&context(), &id(1)).await.unwrap().min_ram, 9);
}

#[tokio::test]
async fn data_of_which_no_hash_is_in_common_is_read_there_and_other_data_is_told_and_stays() {
    let (a, b) = (memory(), memory());
    a.seed(by_sha256(1, &"00".repeat(32), b"data"), Some(Bytes::from_static(b"data"))).unwrap();
    a.seed(Image { hash: None, checksum: None, ..active(2, b"data") }, None).unwrap();
    for number in [1, 2] {
        b.create(&context(), record(number), Some(Upload::from_bytes("data"))).await.unwrap();
    }
    let (a, b) = (side("a", a), side("b", b));
    let before = images(&b).await;
    for (effect, read) in [(Effect::Told, "would be read there"), (Effect::Done, "other data there")] {
        let notes = Arc::new(Notes::default());
        let settings = Copying { effect, upkeep: Upkeep::Update, ..copying() };
        let told = copied_before(&a, &b, &settings, Arc::clone(&notes) as _).await;
        assert_eq!((told.verdict, counts(&told)), (Verdict::Unknown, [0, 0, 0, 0, 2, 0]));
        let lines = notes.lines().join("\n");
        assert!(lines.contains(read) && lines.contains("no hash tells"), "{lines}");
        assert_eq!(images(&b).await, before);
    }
}

#[tokio::test]
async fn a_target_that_says_that_it_has_other_data_keeps_none() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), [1], 10).await;
    let (a, there) = (side("a", a), side("b", Arc::clone(&b) as _));
    let copied = copied(&a, &side("b", strange(b, Quirk::OtherHash)), &copying()).await;
    assert_eq!((copied.verdict, counts(&copied)), (Verdict::Different, [0, 0, 0, 0, 0, 1]));
    assert_eq!(images(&there).await, []);
}

#[tokio::test]
async fn a_source_that_breaks_off_could_not_be_told_and_the_next_run_goes_on() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..3, 10).await;
    let (dying, a, b) = (side("a", strange(Arc::clone(&a) as _, Quirk::Dies)), side("a", a), side("b", b));
    let notes = Arc::new(Notes::default());
    let first = copied_before(&dying, &b, &copying(), Arc::clone(&notes) as _).await;
    assert_eq!((first.verdict, counts(&first)), (Verdict::Unknown, [0, 0, 0, 0, 0, 3]));
    assert_eq!(notes.lines(), ["backend 'a': the line is dead"; 3]);
    for there in images(&b).await {
        assert_eq!(
            (there.status, there.visibility, there.protected),
            (Status::Queued, Visibility::Private, false)
        );
        assert_eq!(there.properties.get(MARK).map(String::as_str), Some("a"));
    }
    let second = copied(&a, &b, &copying()).await;
    assert_eq!((second.verdict, counts(&second)), (Verdict::Equal, [0, 3, 0, 0, 0, 0]));
    assert_eq!(differences(&a, &b).await, []);
}

#[tokio::test]
async fn what_does_not_fit_is_told_and_copied_when_there_is_room() {
    let options = Options { max_bytes: bytesize::ByteSize::kib(256), ..Options::default() };
    let (a, b) = (memory(), Arc::new(Memory::new("b", options)));
    fill(a.as_ref(), 0..3, 100_000).await;
    let blocker =
        b.create(&context(), record(100), Some(Upload::from_bytes(data(100, 100_000)))).await.unwrap();
    let (a, b) = (side("a", a), side("b", b));
    let only = Choice { ids: vec![id(0).to_string(), id(1).to_string()], ..Choice::default() };
    let settings = Copying { choice: only, jobs: NonZeroUsize::MIN, ..copying() };
    let first = copied(&a, &b, &settings).await;
    assert_eq!((first.verdict, first.copied, first.failed), (Verdict::Different, 1, 1));
    b.service.delete(&context(), &blocker.id).await.unwrap();
    let second = copied(&a, &b, &settings).await;
    assert_eq!((second.verdict, counts(&second)), (Verdict::Equal, [0, 1, 0, 1, 0, 0]));
}

#[tokio::test]
async fn other_data_under_the_same_id_stays_and_so_does_a_record_that_is_not_ours() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..2, 10).await;
    b.create(&context(), record(0), Some(Upload::from_bytes(data(9, 10)))).await.unwrap();
    let mark = [(MARK.to_owned(), "elsewhere".to_owned())].into();
    b.create(&context(), NewImage { properties: mark, ..record(1) }, None).await.unwrap();
    let (a, b) = (side("a", a), side("b", b));
    let (before, notes) = (images(&b).await, Arc::new(Notes::default()));
    let copied = copied_before(&a, &b, &copying(), Arc::clone(&notes) as _).await;
    assert_eq!((copied.verdict, counts(&copied)), (Verdict::Different, [0, 0, 0, 0, 2, 0]));
    assert_eq!(images(&b).await, before);
    let lines = notes.lines().join("\n");
    assert!(
        lines.contains("other data there: os_hash_value, checksum") && lines.contains("without data"),
        "{lines}"
    );
}

#[tokio::test]
async fn an_id_that_the_target_gives_to_nobody_again_is_told_and_one_that_it_does_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let a = memory();
    fill(a.as_ref(), [2], 10).await;
    let a = side("a", a);
    let forgetful: Arc<dyn ImageService> = Arc::new(local(directory.path()).await);
    let strict = strange(memory(), Quirk::NeverForgets);
    for (there, expected) in [(forgetful, [1, 0, 0, 0, 0, 0]), (strict, [0, 0, 0, 0, 0, 1])] {
        let b = side("b", there);
        fill(b.service.as_ref(), [2], 10).await;
        b.service.delete(&context(), &id(2)).await.unwrap();
        let notes = Arc::new(Notes::default());
        let copied = copied_before(&a, &b, &copying(), Arc::clone(&notes) as _).await;
        assert_eq!(counts(&copied), expected, "{:?}", notes.lines());
        if expected[5] > 0 {
            assert!(notes.lines()[0].contains("deleted there"), "{:?}", notes.lines());
        }
    }
}

#[tokio::test]
async fn metadata_is_brought_up_to_date_if_that_is_asked_for() {
    let (a, b) = (memory(), memory());
    for service in [&a, &b] {
        fill(service.as_ref(), 0..2, 10).await;
    }
    let properties = [("new".to_owned(), Some("1".to_owned())), ("key 0".to_owned(), None)].into();
    let change = ImageChange {
        name: Some(Some("changed".into())),
        tags: Some(["t".to_owned()].into()),
        properties,
        status: Some(Status::Deactivated),
        ..ImageChange::default()
    };
    a.update(&context(), &id(1), change, None).await.unwrap();
    let own = [("own".to_owned(), Some("b".to_owned()))].into();
    b.update(&context(), &id(1), ImageChange { properties: own, ..ImageChange::default() }, None)
        .await
        .unwrap();
    let (a, b) = (side("a", a), side("b", b));
    let left = copied(&a, &b, &copying()).await;
    assert_eq!((left.verdict, counts(&left)), (Verdict::Equal, [0, 0, 0, 2, 0, 0]));
    let kept = Kept::Only(["new".to_owned()].into());
    let some = Copying { kept, upkeep: Upkeep::Update, ..copying() };
    assert_eq!(counts(&copied(&a, &b, &some).await), [0, 0, 1, 1, 0, 0]);
    let there = b.service.show(&context(), &id(1)).await.unwrap();
    let keys: Vec<&str> = there.properties.keys().map(String::as_str).collect();
    assert_eq!((keys, there.status), (vec!["key 0", "new", "own"], Status::Deactivated));
    assert_eq!(counts(&copied(&a, &b, &some).await), [0, 0, 0, 2, 0, 0]);
    let all = Copying { upkeep: Upkeep::Update, ..copying() };
    assert_eq!(counts(&copied(&a, &b, &all).await), [0, 0, 1, 1, 0, 0]);
    assert_eq!(differences(&a, &b).await, []);
}

#[tokio::test]
async fn what_is_deactivated_hidden_protected_full_of_properties_or_shared_is_so_in_the_copy() {
    let (a, b) = (memory(), memory());
    let properties = (0..MOST_PER_IMAGE).map(|n| (format!("p{n}"), n.to_string())).collect();
    let new = NewImage {
        visibility: Some(Visibility::Shared),
        protected: true,
        hidden: true,
        owner: Some(Some("p".into())),
        properties,
        ..record(1)
    };
    a.create(&context(), new, Some(Upload::from_bytes(data(1, 10)))).await.unwrap();
    let sharing = a.sharing().unwrap();
    for (member, status) in
        [("x", None), ("y", Some(MemberStatus::Accepted)), ("z", Some(MemberStatus::Rejected))]
    {
        sharing.add_member(&context(), &id(1), member).await.unwrap();
        if let Some(status) = status {
            sharing.set_member_status(&context(), &id(1), member, status).await.unwrap();
        }
    }
    let close = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    a.update(&context(), &id(1), close, None).await.unwrap();
    let (a, b) = (joined("a", a), joined("b", b));
    let copied = copied(&a, &b, &copying()).await;
    assert_eq!((copied.verdict, copied.copied), (Verdict::Equal, 1));
    assert_eq!(differences(&a, &b).await, []);
    let there = b.service.show(&context(), &id(1)).await.unwrap();
    assert_eq!((there.status, there.properties.len()), (Status::Deactivated, MOST_PER_IMAGE));
    let members = b.service.sharing().unwrap().members(&context(), &id(1)).await.unwrap();
    let members: Vec<_> = members.iter().map(|member| (member.member_id.as_str(), member.status)).collect();
    let expected =
        [("x", MemberStatus::Pending), ("y", MemberStatus::Accepted), ("z", MemberStatus::Rejected)];
    assert_eq!(members, expected);
}

#[tokio::test]
async fn no_more_images_are_copied_than_the_limit_and_none_but_those_that_are_meant() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..9, 10).await;
    let (a, b) = (side("a", a), side("b", b));
    for (round, left) in [(1, 0), (2, 4)] {
        let some = copied(&a, &b, &Copying { limit: Some(4), ..copying() }).await;
        assert_eq!((some.verdict, some.copied, some.left), (Verdict::Different, 4, left), "{round}");
    }
    let last = copied(&a, &b, &Copying { limit: Some(4), ..copying() }).await;
    assert_eq!((last.verdict, counts(&last)), (Verdict::Equal, [1, 0, 0, 8, 0, 0]));
    let (c, choice) = (side("c", memory()), Choice { tags: vec!["tag 1".into()], ..Choice::default() });
    let meant = copied(&a, &c, &Copying { choice, ..copying() }).await;
    assert_eq!((meant.verdict, meant.copied), (Verdict::Equal, 3));
    assert!(images(&c).await.iter().all(|image| image.tags.contains("tag 1")));
}

#[tokio::test]
async fn an_image_without_data_is_told_and_a_list_that_breaks_off_is_unknown() {
    let (a, b) = (memory(), memory());
    a.create(&context(), record(1), None).await.unwrap();
    fill(a.as_ref(), 2..9, 10).await;
    let choice = Choice { statuses: vec![Status::Active], ..Choice::default() };
    let (broken, a, b) =
        (side("a", strange(Arc::clone(&a) as _, Quirk::BreaksAfter(3))), side("a", a), side("b", b));
    let cut = copied(&broken, &b, &Copying { choice: choice.clone(), ..copying() }).await;
    assert_eq!((cut.verdict, cut.copied), (Verdict::Unknown, 3));
    assert_eq!(cut.broken.unwrap().error.kind(), ErrorKind::Unavailable);
    let all = copied(&a, &b, &copying()).await;
    assert_eq!((all.verdict, counts(&all)), (Verdict::Different, [4, 0, 0, 3, 1, 0]));
    let active = copied(&a, &b, &Copying { choice, ..copying() }).await;
    assert_eq!((active.verdict, counts(&active)), (Verdict::Equal, [0, 0, 0, 7, 0, 0]));
}

#[tokio::test]
async fn a_source_that_fails_again_and_again_is_not_asked_for_the_rest() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..40, 10).await;
    let (a, b) = (side("a", strange(a, Quirk::Dies)), side("b", b));
    let copied = copied(&a, &b, &copying()).await;
    assert!((10..14).contains(&copied.failed), "{copied:?}");
    assert_eq!((copied.verdict, copied.broken.unwrap().backend.as_str()), (Verdict::Unknown, "a"));
}
