//! Which images are meant.

use image_service::{Field, Filter, Status, Visibility};

/// Conditions, all of which an image must satisfy. One that names nothing is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// One of these ids.
    pub ids: Vec<String>,
    /// One of these names, byte for byte.
    pub names: Vec<String>,
    /// One of these.
    pub statuses: Vec<Status>,
    /// One of these.
    pub visibilities: Vec<Visibility>,
    /// One of these projects has it.
    pub owners: Vec<String>,
    /// All of these.
    pub tags: Vec<String>,
    /// All of these, with these values.
    pub properties: Vec<(String, String)>,
}

impl Choice {
    /// The same as filters.
    pub(super) fn filters(&self) -> Vec<Filter> {
        let statuses = self.statuses.iter().map(|status| status.as_str().to_owned()).collect();
        let visibilities =
            self.visibilities.iter().map(|visibility| visibility.as_str().to_owned()).collect();
        let any_of = [
            (Field::Name, self.names.clone()),
            (Field::Status, statuses),
            (Field::Visibility, visibilities),
            (Field::Owner, self.owners.clone()),
        ];
        let any_of = any_of.into_iter().filter(|(_, any_of)| !any_of.is_empty());
        let texts = any_of.map(|(field, any_of)| Filter::Text { field, any_of });
        let tags = self.tags.iter().cloned().map(Filter::Tag);
        let properties = self.properties.iter().cloned().map(|(key, value)| Filter::Property { key, value });
        self.of_ids().into_iter().chain(texts).chain(tags).chain(properties).collect()
    }

    /// What holds for both copies of an image that is meant: the id, and nothing else.
    pub(super) fn of_ids(&self) -> Vec<Filter> {
        let filter = Filter::Text { field: Field::Id, any_of: self.ids.clone() };
        if self.ids.is_empty() { Vec::new() } else { vec![filter] }
    }
}

#[cfg(test)]
mod tests {
    use image_service::Image;

    use super::*;
    use crate::replica::metadata::tests::active;

    #[test]
    fn every_condition_can_leave_an_image_out_and_none_admits_all() {
        let text = |text: &str| vec![text.to_owned()];
        let image = Image {
            name: Some("n".into()),
            owner: Some("p".into()),
            tags: ["t".to_owned()].into(),
            properties: [("k".to_owned(), "v".to_owned())].into(),
            ..active()
        };
        assert!(Choice::default().filters().is_empty());
        let admits = |choice: &Choice| choice.filters().iter().all(|filter| filter.matches(&image));
        let all = Choice {
            ids: text(image.id.as_str()),
            names: text("n"),
            statuses: vec![Status::Active],
            visibilities: vec![image.visibility],
            owners: text("p"),
            tags: text("t"),
            properties: vec![("k".into(), "v".into())],
        };
        assert!(admits(&all));
        for other in [
            Choice { ids: text("x"), ..all.clone() },
            Choice { names: text("x"), ..all.clone() },
            Choice { statuses: vec![Status::Queued], ..all.clone() },
            Choice { visibilities: vec![Visibility::Public], ..all.clone() },
            Choice { owners: text("x"), ..all.clone() },
            Choice { tags: text("x"), ..all.clone() },
            Choice { properties: vec![("k".into(), "x".into())], ..all.clone() },
        ] {
            assert!(!admits(&other), "{other:?}");
        }
    }
}
