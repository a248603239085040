//! Query strings → lists that are wanted. Pure.
//!
//! Parameters that nobody knows are ignored in lists, as Glance does.

use std::num::NonZeroUsize;

use crate::api::Settings;
use crate::api::fault::Fault;
use crate::api::links::{MARKER, Params};
use crate::metadefs::{NamespaceKey, NamespaceList, Order, TagKey, TagList, Visibility};

/// The namespaces that are asked for.
pub(super) fn namespaces(params: &Params, settings: &Settings) -> Result<NamespaceList, Fault> {
    let visibility = params.last("visibility").map(|word| {
        Visibility::called(word).ok_or_else(|| Fault::bad_request("visibility: must be public or private"))
    });
    let limit = params.last("limit").map(limit).transpose()?.unwrap_or_else(|| settings.default_page.get());
    Ok(NamespaceList {
        visibility: visibility.transpose()?,
        resource_types: params
            .last("resource_types")
            .map(|types| types.split(',').map(str::to_owned).collect()),
        key: namespace_key(params.last("sort_key"))?,
        order: order(params)?,
        after: params.last(MARKER).map(str::to_owned),
        limit: limit.min(settings.largest_page.get()),
    })
}

/// The tags that are asked for. Empty parameters say nothing.
pub(super) fn tags(params: &Params) -> Result<TagList, Fault> {
    check_visibility(params)?;
    let said = |key| params.last(key).filter(|value| !value.is_empty());
    Ok(TagList {
        key: tag_key(params.last("sort_key"))?,
        order: order(params)?,
        after: said(MARKER).map(str::to_owned),
        limit: said("limit").map(limit).transpose()?,
    })
}

/// Checks the parameters of a list of objects, which is always given as a whole, whatever they say.
pub(super) fn check_objects(params: &Params) -> Result<(), Fault> {
    check_visibility(params)?;
    order(params)?;
    match params.last("limit") {
        Some(text) if text.parse::<NonZeroUsize>().is_err() => {
            Err(Fault::bad_request("limit: must be a whole number above zero"))
        }
        _ => Ok(()),
    }
}

/// The type of resources whose prefix is wanted, if one is named. Other parameters without it mean nothing here.
pub(super) fn resource_type(params: &Params) -> Result<Option<String>, Fault> {
    match params.last("resource_type") {
        Some(name) => Ok(Some(name.to_owned()).filter(|name| !name.is_empty())),
        None if params.iter().next().is_none() => Ok(None),
        None => Err(Fault::bad_request("the only parameter that is known here is resource_type")),
    }
}

/// Of things whose visibility is their namespace's, this parameter is checked and then says nothing.
fn check_visibility(params: &Params) -> Result<(), Fault> {
    match params.last("visibility") {
        None | Some("" | "public" | "private" | "shared") => Ok(()),
        Some(_) => Err(Fault::bad_request("visibility: must be public, private or shared")),
    }
}

fn limit(text: &str) -> Result<usize, Fault> {
    text.parse().map_err(|_| Fault::bad_request("limit: must be a whole number that is not negative"))
}

fn order(params: &Params) -> Result<Order, Fault> {
    match params.last("sort_dir") {
        None | Some("desc") => Ok(Order::Descending),
        Some("asc") => Ok(Order::Ascending),
        Some(_) => Err(Fault::bad_request("sort_dir: must be asc or desc")),
    }
}

fn namespace_key(key: Option<&str>) -> Result<NamespaceKey, Fault> {
    Ok(match key {
        None | Some("created_at") => NamespaceKey::CreatedAt,
        Some("updated_at") => NamespaceKey::UpdatedAt,
        Some("id") => NamespaceKey::Id,
        Some("namespace") => NamespaceKey::Name,
        Some("display_name") => NamespaceKey::DisplayName,
        Some("visibility") => NamespaceKey::Visibility,
        Some("protected") => NamespaceKey::Protected,
        Some("owner") => NamespaceKey::Owner,
        Some(_) => return Err(no_key("namespace, display_name, visibility, protected, owner")),
    })
}

fn tag_key(key: Option<&str>) -> Result<TagKey, Fault> {
    Ok(match key {
        None | Some("created_at") => TagKey::CreatedAt,
        Some("updated_at") => TagKey::UpdatedAt,
        Some("id") => TagKey::Id,
        Some("name") => TagKey::Name,
        Some(_) => return Err(no_key("name")),
    })
}

fn no_key(others: &str) -> Fault {
    Fault::bad_request(format!("sort_key: must be one of created_at, updated_at, id, {others}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::read(query).unwrap()
    }

    #[test]
    fn what_a_list_of_namespaces_says_is_read() {
        let settings = Settings::default();
        let read = |query| namespaces(&params(query), &settings);
        let list = read("").unwrap();
        assert_eq!(list, NamespaceList { limit: 25, ..NamespaceList::default() });
        let list = read(
            "limit=5000&marker=a&sort_key=namespace&sort_dir=asc&resource_types=A,B&visibility=public&x=y",
        );
        let expected = NamespaceList {
            visibility: Some(Visibility::Public),
            resource_types: Some(vec!["A".into(), "B".into()]),
            key: NamespaceKey::Name,
            order: Order::Ascending,
            after: Some("a".into()),
            limit: 1000,
        };
        assert_eq!(list.unwrap(), expected);
        for bad in
            ["limit=", "limit=x", "limit=-1", "sort_key=", "sort_key=x", "sort_dir=x", "visibility=shared"]
        {
            assert_eq!(read(bad).unwrap_err().status().as_u16(), 400, "{bad}");
        }
    }

    #[test]
    fn what_lists_of_tags_and_objects_say_is_checked() {
        assert_eq!(tags(&params("limit=&marker=&visibility=shared")).unwrap(), TagList::default());
        assert_eq!(tags(&params("limit=0")).unwrap().limit, Some(0));
        for bad in ["limit=x", "limit=-1", "sort_key=x", "sort_dir=", "visibility=x"] {
            assert_eq!(tags(&params(bad)).unwrap_err().status().as_u16(), 400, "{bad}");
        }
        assert!(check_objects(&params("limit=1&sort_key=x&marker=nowhere&x=y")).is_ok());
        for bad in ["limit=0", "limit=", "sort_dir=x", "visibility=x"] {
            assert_eq!(check_objects(&params(bad)).unwrap_err().status().as_u16(), 400, "{bad}");
        }
    }

    #[test]
    fn a_type_of_resources_is_the_only_parameter_of_one_thing() {
        assert_eq!(resource_type(&params("")).unwrap(), None);
        assert_eq!(resource_type(&params("resource_type=")).unwrap(), None);
        assert_eq!(resource_type(&params("x=y&resource_type=A")).unwrap(), Some("A".to_owned()));
        assert_eq!(resource_type(&params("x=y")).unwrap_err().status().as_u16(), 400);
    }
}
