//! What differs is told, and nothing else.

use image_service::{Image, ImageChange, ImageService as _, MemberStatus, NewImage, Upload, Visibility};
use portico::replica::{Choice, Comparing, Difference, Letter, Members, OneSided, Verdict};

use crate::stage::{active, compared, context, data, differences, fill, id, memory, record, side};
use crate::strange::{Quirk, strange};

#[tokio::test]
async fn backends_with_the_same_images_are_equal_whatever_is_in_them() {
    let (a, b) = (memory(), memory());
    for service in [&a, &b] {
        fill(service.as_ref(), 0..30, 10).await;
        service.create(&context(), record(99), None).await.unwrap();
    }
    let (a, b) = (side("a", a), side("b", b));
    let (comparison, told) = compared(&a, &b, &Comparing::default()).await;
    assert_eq!((comparison.verdict, told), (Verdict::Equal, vec![]));
    assert_eq!((comparison.counts.images_in_a, comparison.counts.in_both), (31, 31));
}

#[tokio::test]
async fn each_kind_of_difference_is_told_once() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..3, 10).await;
    fill(b.as_ref(), [0, 2], 10).await;
    fill(b.as_ref(), [3], 10).await;
    b.seed(active(4, b"0123"), None).unwrap();
    a.seed(active(4, b"0124"), None).unwrap();
    let change = ImageChange { min_ram: Some(77), ..ImageChange::default() };
    b.update(&context(), &id(2), change, None).await.unwrap();
    let (a, b) = (side("a", a), side("b", b));
    let mut told = differences(&a, &b).await;
    told.sort_by_key(|difference| serde_json::to_string(difference).unwrap());
    let name = |number: u32| Some(format!("image {number}"));
    let mut expected = vec![
        Difference::Missing { id: id(1).to_string(), name: name(1), missing_in: Letter::B },
        Difference::Missing { id: id(3).to_string(), name: name(3), missing_in: Letter::A },
        Difference::Content { id: id(4).to_string(), name: name(4), what: vec!["os_hash_value", "checksum"] },
        Difference::Metadata { id: id(2).to_string(), name: name(2), what: vec!["min_ram".into()] },
    ];
    expected.sort_by_key(|difference| serde_json::to_string(difference).unwrap());
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_only_the_second_has_is_a_difference_if_that_is_asked_for() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..3, 10).await;
    fill(b.as_ref(), 0..4, 10).await;
    let (a, b) = (side("a", a), side("b", b));
    let mut settings = Comparing::default();
    let (comparison, told) = compared(&a, &b, &settings).await;
    assert_eq!((comparison.verdict, told.len(), comparison.counts.missing_in_a), (Verdict::Equal, 0, 1));
    settings.only_in_b = OneSided::Told;
    let (comparison, told) = compared(&a, &b, &settings).await;
    assert_eq!((comparison.verdict, told.len()), (Verdict::Different, 1));
}

#[tokio::test]
async fn an_image_under_another_id_is_found_by_its_name_and_its_data_compared() {
    let (a, b) = (memory(), memory());
    for (service, numbers) in [(&a, [1, 2]), (&b, [11, 12])] {
        for (number, name) in numbers.into_iter().zip(["same", "other"]) {
            let new = NewImage { name: Some(name.into()), ..record(number) };
            let number = if name == "same" { 0 } else { number };
            let upload = Upload::from_bytes(data(number, 10));
            service.create(&context(), new, Some(upload)).await.unwrap();
        }
    }
    let (_, told) = compared(&side("a", a), &side("b", b), &Comparing::default()).await;
    let names: Vec<String> =
        told.iter().map(|difference| serde_json::to_string(difference).unwrap()).collect();
    let ids = |a, b| format!(r#""a":["{}"],"b":["{}"]"#, id(a), id(b));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        names[2].contains(r#""name":"other","content":"other""#) && names[2].contains(&ids(2, 12)),
        "{names:?}"
    );
    assert!(
        names[3].contains(r#""name":"same","content":"same""#) && names[3].contains(&ids(1, 11)),
        "{names:?}"
    );
}

#[tokio::test]
async fn only_the_images_that_are_meant_are_compared() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..20, 10).await;
    let (a, b) = (side("a", a), side("b", b));
    let choices = [
        (Choice { ids: vec![id(3).to_string(), id(5).to_string()], ..Choice::default() }, 2),
        (Choice { names: vec!["image 2".into()], ..Choice::default() }, 3),
        (Choice { owners: vec!["project 1".into()], tags: vec!["tag 0".into()], ..Choice::default() }, 6),
    ];
    for (choice, expected) in choices {
        let (comparison, told) = compared(&a, &b, &Comparing { choice, ..Comparing::default() }).await;
        assert_eq!((comparison.counts.missing_in_b, told.len() as u64), (expected, expected), "{told:?}");
    }
}

#[tokio::test]
async fn members_and_their_answers_are_compared_if_that_is_asked_for() {
    let shared = |number| NewImage { visibility: Some(Visibility::Shared), ..record(number) };
    let (a, b) = (memory(), memory());
    for service in [&a, &b] {
        for number in 0..4 {
            let upload = Upload::from_bytes(data(number, 10));
            service.create(&context(), shared(number), Some(upload)).await.unwrap();
        }
        fill(service.as_ref(), [6], 10).await;
    }
    let close = ImageChange { visibility: Some(Visibility::Private), ..ImageChange::default() };
    b.update(&context(), &id(3), close, None).await.unwrap();
    // The same, one more, another answer, and not shared at all.
    for (service, numbers) in [(&a, [0, 1, 2, 3].as_slice()), (&b, &[0, 2])] {
        for number in numbers {
            service.sharing().unwrap().add_member(&context(), &id(*number), "x").await.unwrap();
        }
    }
    let sharing = b.sharing().unwrap();
    sharing.set_member_status(&context(), &id(2), "x", MemberStatus::Accepted).await.unwrap();

    let (a, b) = (side("a", a), side("b", b));
    let what = |told: Vec<Difference>| {
        let mut what: Vec<_> = told
            .into_iter()
            .map(|difference| match difference {
                Difference::Metadata { id, what, .. } => (id, what.join(",")),
                other => panic!("{other:?}"),
            })
            .collect();
        what.sort();
        what
    };
    let told = |entries: &[(u32, &str)]| {
        let mut told: Vec<_> =
            entries.iter().map(|(number, what)| (id(*number).to_string(), (*what).to_owned())).collect();
        told.sort();
        told
    };
    let (_, ignored) = compared(&a, &b, &Comparing::default()).await;
    assert_eq!(what(ignored), told(&[(3, "visibility")]));
    let settings = Comparing { members: Members::Compared, ..Comparing::default() };
    let (comparison, found) = compared(&a, &b, &settings).await;
    assert_eq!((comparison.verdict, comparison.counts.metadata), (Verdict::Different, 3));
    assert_eq!(what(found), told(&[(1, "members"), (2, "members"), (3, "visibility")]));
}

#[tokio::test]
async fn what_has_no_hash_in_common_cannot_be_told() {
    let (a, b) = (memory(), memory());
    for service in [&a, &b] {
        fill(service.as_ref(), 0..2, 10).await;
    }
    let (a, b) = (side("a", a), side("b", strange(b, Quirk::NoHash)));
    let (comparison, told) = compared(&a, &b, &Comparing::default()).await;
    assert_eq!((comparison.verdict, comparison.counts.unknown), (Verdict::Unknown, 2));
    assert!(told.iter().all(|difference| matches!(difference, Difference::Unknown { .. })), "{told:?}");
}

#[tokio::test]
async fn a_backend_that_breaks_off_or_is_out_of_order_makes_no_images_missing() {
    for (quirk, most) in [(Quirk::BreaksAfter(3), 3), (Quirk::Disorder, 0)] {
        let (a, b) = (memory(), memory());
        for service in [&a, &b] {
            fill(service.as_ref(), 0..10, 10).await;
        }
        let (a, b) = (side("a", a), side("b", strange(b, quirk)));
        let (comparison, told) = compared(&a, &b, &Comparing::default()).await;
        let broken = comparison.broken.unwrap();
        assert_eq!((comparison.verdict, broken.backend.as_str()), (Verdict::Unknown, "b"), "{broken}");
        assert_eq!((told, comparison.counts.in_both), (vec![], most), "{quirk:?}");
    }
}

#[tokio::test]
async fn a_thousand_images_are_walked_in_many_pages_and_each_is_met_once() {
    let (a, b) = (memory(), memory());
    for number in 0..1200 {
        let image = Image { name: Some(format!("n{number}")), ..active(number, b"data") };
        if number % 3 != 1 {
            a.seed(image.clone(), None).unwrap();
        }
        if number % 3 != 2 {
            b.seed(image, None).unwrap();
        }
    }
    let (a, b) = (side("a", a), side("b", b));
    let settings = Comparing { only_in_b: OneSided::Told, ..Comparing::default() };
    let (comparison, told) = compared(&a, &b, &settings).await;
    let counts = comparison.counts;
    assert_eq!((counts.images_in_a, counts.images_in_b, counts.in_both), (800, 800, 400));
    assert_eq!((counts.missing_in_a, counts.missing_in_b, told.len()), (400, 400, 800));
}
