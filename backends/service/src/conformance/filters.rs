//! Filters: a service that applies one applies it exactly.
//!
//! Which images must come is what [`Filter::matches`] says of those that were made.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use super::fixture::Fixture;
use super::make::pattern;
use super::walk::ids_of;
use crate::{Comparison, Field, Filter, Image, ImageId, NewImage, Properties, Query, Timestamp, Visibility};

impl Fixture {
    /// Images that differ in whatever can be filtered by.
    async fn make_filterable(&self) -> Vec<Image> {
        let tag = |tag: &str| BTreeSet::from([self.tag().to_owned(), tag.to_owned()]);
        let property = |key: &str, value: &str| Properties::from([(key.to_owned(), value.to_owned())]);
        let queued = [
            NewImage { visibility: Some(Visibility::Private), protected: true, ..self.named("Ubuntu") },
            NewImage { disk_format: None, hidden: true, ..self.named("ubuntu") },
            NewImage { container_format: None, min_disk: 10, tags: tag("lts"), ..self.draft() },
            NewImage { min_disk: 20, min_ram: 512, properties: property("os", "linux"), ..self.named("") },
            NewImage { min_disk: 30, properties: property("os", "Linux"), ..self.named("a,b") },
            NewImage { properties: property("limit", "10"), tags: tag("LTS"), ..self.named("in:a") },
            NewImage { visibility: Some(Visibility::Community), ..self.named("ubuntu ") },
        ];
        for new in queued {
            self.make(new).await;
        }
        // Data inside a container is not looked at, as bare data is by some services: these bytes are no disk.
        for (format, size) in [("raw", 9), ("qcow2", 10), ("qcow2", 11), ("iso", 0)] {
            let new = NewImage {
                disk_format: Some(format.into()),
                container_format: Some("ovf".into()),
                ..self.named("with data")
            };
            self.make_with(new, &pattern(size)).await;
        }
        self.all(&self.owner(), self.query()).await
    }

    /// Checks that a list with these filters gives what of `images` matches all of them.
    async fn check_filters(&self, images: &[Image], filters: &[Filter]) {
        if !filters.iter().all(|filter| self.filters_by(filter)) {
            return;
        }
        let mut query = self.query();
        query.filters.extend_from_slice(filters);
        let expected = images.iter().filter(|image| filters.iter().all(|filter| filter.matches(image)));
        assert_eq!(self.ids(&self.owner(), query).await, ids_of(expected), "{filters:?}");
    }
}

/// Text attributes equal what is asked for, byte for byte, and unset ones equal nothing.
pub async fn text_is_compared_byte_for_byte(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    let with_data = images.iter().find(|image| image.hash.is_some()).unwrap();
    let checksum = with_data.checksum.clone().unwrap();
    let hash = with_data.hash.clone().unwrap();
    let owner = fixture.owner().caller.project.unwrap();
    let text = Filter::text;
    for filter in [
        text(Field::Id, with_data.id.as_str()),
        text(Field::Id, "not an id"),
        text(Field::Name, "ubuntu"),
        text(Field::Name, "ubunt"),
        text(Field::Name, ""),
        text(Field::Name, "a,b"),
        text(Field::Name, "in:a"),
        text(Field::Name, "%"),
        text(Field::Status, "active"),
        text(Field::Status, "queued"),
        text(Field::Visibility, "private"),
        text(Field::Visibility, "shared"),
        text(Field::ContainerFormat, "bare"),
        text(Field::DiskFormat, "qcow2"),
        text(Field::DiskFormat, "vhd"),
        text(Field::Owner, &owner),
        text(Field::Owner, "nobody"),
        text(Field::Checksum, &checksum),
        text(Field::Checksum, "0"),
        text(Field::HashAlgorithm, &hash.algorithm),
        text(Field::HashValue, &hash.value),
        text(Field::HashValue, "0"),
    ] {
        fixture.check_filters(&images, &[filter]).await;
    }
}

/// A text filter names values, any of which will do.
pub async fn any_of_several_texts_will_do(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    let any_of = |field, texts: &[&str]| {
        let any_of = texts.iter().map(|text| (*text).to_owned()).collect();
        Filter::Text { field, any_of }
    };
    for filter in [
        any_of(Field::Name, &["ubuntu", "a,b", "nothing", "say \"hi\""]),
        any_of(Field::Status, &["active", "queued"]),
        any_of(Field::DiskFormat, &["raw", "iso"]),
        any_of(Field::Id, &[images[0].id.as_str(), images[4].id.as_str(), "x"]),
        any_of(Field::ContainerFormat, &["ovf", "docker"]),
    ] {
        fixture.check_filters(&images, &[filter]).await;
    }
}

/// All six comparisons; an unset number satisfies none of them, not even "not equal".
pub async fn numbers_are_compared(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    for field in [Field::Size, Field::VirtualSize, Field::MinDisk, Field::MinRam] {
        for comparison in Comparison::ALL.iter().copied() {
            for value in [0, 10, 20, 512, 1 << 40] {
                fixture.check_filters(&images, &[Filter::Number { field, comparison, value }]).await;
            }
        }
    }
}

/// All six comparisons with moments before, at and after those of the images.
pub async fn times_are_compared_in_whole_seconds(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    let moment: Timestamp = images[0].created_at;
    for field in [Field::CreatedAt, Field::UpdatedAt] {
        for comparison in Comparison::ALL.iter().copied() {
            for seconds in [-3600, -1, 0, 1, 3600] {
                let value = moment.saturating_add(seconds);
                fixture.check_filters(&images, &[Filter::Time { field, comparison, value }]).await;
            }
        }
    }
}

/// Hidden or not, protected or not; a list that asks for neither shows both.
pub async fn flags_are_compared(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    assert!(images.iter().any(|image| image.hidden) && images.iter().any(|image| image.protected));
    for flag in [false, true] {
        fixture.check_filters(&images, &[Filter::Hidden(flag)]).await;
        fixture.check_filters(&images, &[Filter::Protected(flag)]).await;
    }
}

/// A tag is there or not, and a property has a value or not, in exactly this spelling.
pub async fn tags_and_properties_are_compared(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    for tag in ["lts", "LTS", "lt", "none"] {
        fixture.check_filters(&images, &[Filter::Tag(tag.into())]).await;
    }
    for (key, value) in
        [("os", "linux"), ("limit", "10"), ("os", "Linux"), ("os", ""), ("OS", "linux"), ("none", "linux")]
    {
        let filter = Filter::Property { key: key.into(), value: value.into() };
        fixture.check_filters(&images, &[filter]).await;
    }
}

/// An image must satisfy every filter of a list.
pub async fn all_filters_must_hold(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    let active = Filter::text(Field::Status, "active");
    let large = Filter::Number { field: Field::Size, comparison: Comparison::Ge, value: 10 };
    let small = Filter::Number { field: Field::Size, comparison: Comparison::Lt, value: 11 };
    let format = Filter::text(Field::DiskFormat, "qcow2");
    fixture.check_filters(&images, &[active.clone(), large.clone()]).await;
    fixture.check_filters(&images, &[large.clone(), small.clone(), format]).await;
    fixture.check_filters(&images, &[active, Filter::text(Field::Status, "queued")]).await;
    fixture.check_filters(&images, &[Filter::Tag("lts".into()), Filter::Tag("LTS".into())]).await;
    fixture.check_filters(&images, &[Filter::Hidden(false), Filter::Protected(true)]).await;
}

/// A part of a name is looked for byte for byte, without any pattern; an unset name has none.
pub async fn a_part_of_a_name_is_found_where_it_stands(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    for part in ["ubuntu", "bunt", "U", "u", "", " ", ",", "with", "data", "%", "_", "in:", "nowhere"] {
        fixture.check_filters(&images, &[Filter::NameContains(part.into())]).await;
    }
}

/// A filter by an unknown id is a list of nothing, and no error.
pub async fn an_id_that_is_not_there_filters_all_out(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    for id in [ImageId::random().as_str(), "", "no UUID", "../x"] {
        fixture.check_filters(&images, &[Filter::text(Field::Id, id)]).await;
    }
}

/// Filters and pages go together: each match comes once, with any limit.
pub async fn filtered_lists_are_paged_like_others(fixture: Fixture) {
    let images = fixture.make_filterable().await;
    let filter = Filter::text(Field::Status, "active");
    if !fixture.filters_by(&filter) {
        return assert!(!images.is_empty());
    }
    let expected = ids_of(images.iter().filter(|image| filter.matches(image)));
    for limit in 1..=5 {
        let mut query = Query { limit: NonZeroUsize::new(limit), ..fixture.query() };
        query.filters.push(filter.clone());
        assert_eq!(fixture.ids(&fixture.owner(), query).await, expected, "pages of {limit}");
    }
}
