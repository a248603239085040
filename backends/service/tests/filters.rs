//! What filters admit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image_service::{
    Caller, Comparison, Field, Filter, Image, MultiHash, NewImage, Properties, Timestamp, Visibility,
};
use proptest::prelude::*;
use proptest::sample::select;

/// An image with every attribute unset that can be.
fn bare() -> Image {
    NewImage::default().into_image(&Caller::administrator(), Timestamp::from_second(10).unwrap()).unwrap()
}

/// An image with every attribute set.
fn full() -> Image {
    Image {
        name: Some("name".into()),
        owner: Some("owner".into()),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        checksum: Some("checksum".into()),
        hash: Some(MultiHash { algorithm: "sha512".into(), value: "value".into() }),
        size: Some(5),
        virtual_size: Some(6),
        min_disk: 7,
        min_ram: 8,
        tags: ["tag".to_owned()].into(),
        properties: Properties::from([("name".into(), "property".into())]),
        visibility: Visibility::Community,
        ..bare()
    }
}

#[test]
fn each_attribute_is_compared_with_its_own_value() {
    let image = full();
    let texts = [
        (Field::Id, image.id.as_str()),
        (Field::Name, "name"),
        (Field::Status, "queued"),
        (Field::Visibility, "community"),
        (Field::ContainerFormat, "bare"),
        (Field::DiskFormat, "raw"),
        (Field::Owner, "owner"),
        (Field::Checksum, "checksum"),
        (Field::HashAlgorithm, "sha512"),
        (Field::HashValue, "value"),
    ];
    for (field, value) in texts {
        assert!(Filter::text(field, value).matches(&image), "{field}");
        assert!(!Filter::text(field, format!("{value}x")).matches(&image), "{field}");
        assert!(!Filter::text(field, "").matches(&image), "{field}");
    }
    let numbers = [(Field::Size, 5), (Field::VirtualSize, 6), (Field::MinDisk, 7), (Field::MinRam, 8)];
    for (field, value) in numbers {
        assert!(Filter::Number { field, comparison: Comparison::Eq, value }.matches(&image), "{field}");
        assert!(!Filter::Number { field, comparison: Comparison::Ne, value }.matches(&image), "{field}");
    }
}

#[test]
fn an_unset_attribute_satisfies_no_filter() {
    let image = bare();
    for field in Field::ALL
        .iter()
        .copied()
        .filter(|field| !matches!(field, Field::Id | Field::Status | Field::Visibility))
    {
        assert!(!Filter::text(field, "").matches(&image), "{field}");
        assert!(!Filter::text(field, "None").matches(&image), "{field}");
    }
    for field in [Field::Size, Field::VirtualSize, Field::Name, Field::CreatedAt] {
        for comparison in Comparison::ALL.iter().copied() {
            assert!(!Filter::Number { field, comparison, value: 0 }.matches(&image), "{field} {comparison}");
        }
    }
}

#[test]
fn a_property_is_not_an_attribute_of_its_name() {
    let image = full();
    let property = |value: &str| Filter::Property { key: "name".into(), value: value.into() };
    assert!(property("property").matches(&image));
    assert!(!property("name").matches(&image));
    assert!(!Filter::text(Field::Name, "property").matches(&image));
    assert!(!Filter::Property { key: "other".into(), value: String::new() }.matches(&image));
}

#[test]
fn a_filter_of_no_values_admits_nothing() {
    assert!(!Filter::Text { field: Field::Name, any_of: Vec::new() }.matches(&full()));
}

#[test]
fn words_are_read_as_they_are_written() {
    for field in Field::ALL {
        assert_eq!(field.as_str().parse::<Field>().unwrap(), *field);
    }
    for comparison in Comparison::ALL {
        assert_eq!(comparison.as_str().parse::<Comparison>().unwrap(), *comparison);
    }
    assert!("Name".parse::<Field>().is_err());
    assert!("".parse::<Comparison>().is_err());
}

proptest! {
    #[test]
    fn of_a_comparison_and_its_opposite_one_holds(
        actual in 0..4_u64,
        wanted in 0..4_u64,
        pair in select(vec![
            (Comparison::Eq, Comparison::Ne),
            (Comparison::Lt, Comparison::Ge),
            (Comparison::Gt, Comparison::Le),
        ]),
    ) {
        let (one, other) = pair;
        prop_assert!(one.holds(&actual, &wanted) != other.holds(&actual, &wanted));
        let number = |comparison| Filter::Number { field: Field::Size, comparison, value: wanted };
        let image = Image { size: Some(actual), ..bare() };
        prop_assert_eq!(number(one).matches(&image), one.holds(&actual, &wanted));
        prop_assert!(number(one).matches(&image) != number(other).matches(&image));
    }
}
