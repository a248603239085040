//! The server's list, for `listing`: its parameters, its pages and its orders.
//!
//! A filter is asked for only where the server admits at least what we do: everything is tested again when it comes. So
//! properties are not asked for, as their names are shown in small letters whatever they are in its database.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use image_service::{Comparison, Context, Direction, Field, Filter, Image, ImageId, Query, Result, SortKey};
use reqwest::StatusCode;

use super::{Glance, tenancy, wire};
use crate::fault::Asked;
use crate::listing::{Lister, Order, sort_params};

/// What all filters together may add to a URL. Servers refuse lines of four thousand bytes.
const LONGEST_FILTERS: usize = 2500;

#[async_trait]
impl Lister for Glance {
    fn steady(&self) -> Order {
        (SortKey::Id, Direction::Asc)
    }

    /// By what is set in every image, and what every database orders alike.
    fn lists_by(&self, (key, _): Order) -> bool {
        matches!(key, SortKey::Id | SortKey::CreatedAt | SortKey::UpdatedAt)
    }

    async fn ask(
        &self,
        context: &Context,
        query: &Query,
        order: Order,
        limit: usize,
        marker: Option<&ImageId>,
    ) -> Result<Option<Vec<Image>>> {
        let mut url = self.url(&["images", "detail"])?;
        url.query_pairs_mut()
            .extend_pairs(sort_params(order))
            .append_pair("limit", &limit.to_string())
            // Administrators are shown what an ordinary user would be, unless they say this. Others are not heeded.
            .append_pair("is_public", "none")
            .extend_pairs(filters(query))
            .extend_pairs(marker.map(|marker| ("marker", marker.as_str())));
        let reply = self.upstream.read(context, url).await?;
        match reply.status {
            StatusCode::OK => {
                let images = wire::images(&reply.body)?;
                self.largest_page.fetch_max(images.len(), Ordering::Relaxed);
                Ok(Some(images))
            }
            // Without a marker the same request was understood, or will be.
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND if marker.is_some() => {
                Ok(None)
            }
            _ => Err(self.refusal(Asked::List, "the list", &reply)),
        }
    }

    /// The server has a bound of its own on pages, which it does not tell, but it fills them up to it.
    fn is_last(&self, count: usize, limit: usize) -> bool {
        count < limit && count < self.largest_page.load(Ordering::Relaxed)
    }

    async fn listed(&self, context: &Context, query: &Query, images: Vec<Image>) -> Result<Vec<Image>> {
        tenancy::listed(self, context, query, images).await
    }
}

/// The parameters that ask for what the query admits, and for no less.
fn filters(query: &Query) -> BTreeMap<&'static str, String> {
    let mut params = BTreeMap::new();
    let mut room = LONGEST_FILTERS;
    for (name, value) in query.filters.iter().filter_map(param) {
        // A byte may come to three.
        let length = name.len() + 3 * value.len();
        if length <= room && !params.contains_key(name) {
            room -= length;
            params.insert(name, value);
        }
    }
    params
}

/// The parameter that asks for what `filter` admits, if there is one.
fn param(filter: &Filter) -> Option<(&'static str, String)> {
    match filter {
        Filter::Text {
            field: Field::Name | Field::Status | Field::ContainerFormat | Field::DiskFormat,
            any_of,
        } => {
            let [value] = any_of.as_slice() else { return None };
            let is_plain = !value.is_empty() && value.trim() == value && !value.chars().any(char::is_control);
            is_plain.then(|| (filter.field().as_str(), value.clone()))
        }
        Filter::Number { field, comparison, value } => number(*field, *comparison, *value),
        Filter::Protected(wanted) => Some(("protected", wanted.to_string())),
        _ => None,
    }
}

fn number(field: Field, comparison: Comparison, value: u64) -> Option<(&'static str, String)> {
    // Databases have no larger numbers, and fail on them.
    let fits = |most: u64| value <= most;
    match (field, comparison) {
        (Field::Size, Comparison::Ge | Comparison::Gt) if fits(i64::MAX.unsigned_abs()) => {
            Some(("size_min", value.to_string()))
        }
        (Field::Size, Comparison::Le | Comparison::Lt) if fits(i64::MAX.unsigned_abs()) => {
            Some(("size_max", value.to_string()))
        }
        (Field::MinRam | Field::MinDisk, Comparison::Eq) if fits(i32::MAX.unsigned_abs().into()) => {
            Some((field.as_str(), value.to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(filter: Filter) -> Vec<(&'static str, String)> {
        filters(&Query { filters: vec![filter], ..Query::default() }).into_iter().collect()
    }

    #[test]
    fn only_what_the_server_admits_at_least_as_we_do_is_asked_for() {
        let eq = Comparison::Eq;
        for (filter, expected) in [
            (Filter::text(Field::Name, "a b"), Some(("name", "a b"))),
            (Filter::text(Field::Status, "active"), Some(("status", "active"))),
            (Filter::Protected(true), Some(("protected", "true"))),
            (
                Filter::Number { field: Field::Size, comparison: Comparison::Gt, value: 7 },
                Some(("size_min", "7")),
            ),
            (Filter::Number { field: Field::MinRam, comparison: eq, value: 7 }, Some(("min_ram", "7"))),
            (Filter::Number { field: Field::MinRam, comparison: eq, value: u64::MAX }, None),
            (Filter::Number { field: Field::Size, comparison: eq, value: 7 }, None),
            (Filter::text(Field::Name, " a"), None),
            (Filter::text(Field::Name, ""), None),
            (Filter::text(Field::Name, "a".repeat(1000)), None),
            (Filter::text(Field::Owner, "a"), None),
            (Filter::Text { field: Field::Name, any_of: vec!["a".into(), "b".into()] }, None),
            (Filter::Property { key: "a".into(), value: "b".into() }, None),
            (Filter::Tag("a".into()), None),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            assert_eq!(asked(filter.clone()), expected, "{filter:?}");
        }
    }

    #[test]
    fn of_two_conditions_on_one_attribute_one_is_asked_for() {
        let query = Query {
            filters: vec![Filter::text(Field::Name, "a"), Filter::text(Field::Name, "b")],
            ..Query::default()
        };
        assert_eq!(filters(&query).into_iter().collect::<Vec<_>>(), [("name", "a".to_owned())]);
    }
}
