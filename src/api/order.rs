//! The order of a list, from its two syntaxes: `sort=name:asc,size` and `sort_key`, `sort_dir`. Pure.

use image_service::{Direction, Sort, SortKey};

use super::fault::Fault;
use super::links::Params;

const DEFAULT: SortKey = SortKey::CreatedAt;

/// Reads the order. Space around words means nothing, as in Glance. Ties are broken by the time of creation, then the id, in the direction of the first key.
pub(super) fn read(params: &Params) -> Result<Sort, Fault> {
    let keys: Vec<&str> = params.all("sort_key").collect();
    let directions: Vec<&str> = params.all("sort_dir").collect();
    let mut order = match params.last("sort") {
        Some(_) if !keys.is_empty() || !directions.is_empty() => {
            return Err(Fault::bad_request("sort: Old and new sorting syntax cannot be combined"));
        }
        Some(sort) => joined(sort)?,
        None => separate(&keys, &directions)?,
    };
    let first = order.first().map_or(Direction::Desc, |(_, direction)| *direction);
    order.push((SortKey::CreatedAt, first));
    Ok(Sort::by(order))
}

fn joined(sort: &str) -> Result<Vec<(SortKey, Direction)>, Fault> {
    sort.split(',')
        .map(|item| match item.split_once(':') {
            Some((name, "")) => Ok((key("sort", name)?, Direction::Desc)),
            Some((name, way)) => Ok((key("sort", name)?, direction("sort", way)?)),
            None => Ok((key("sort", item)?, Direction::Desc)),
        })
        .collect()
}

fn separate(keys: &[&str], directions: &[&str]) -> Result<Vec<(SortKey, Direction)>, Fault> {
    let keys: Vec<SortKey> = match keys {
        [] => vec![DEFAULT],
        keys => keys.iter().map(|name| key("sort_key", name)).collect::<Result<_, _>>()?,
    };
    let directions: Vec<Direction> =
        directions.iter().map(|way| direction("sort_dir", way)).collect::<Result<_, _>>()?;
    match directions.as_slice() {
        [] => Ok(keys.into_iter().map(|key| (key, Direction::Desc)).collect()),
        [one] => Ok(keys.into_iter().map(|key| (key, *one)).collect()),
        _ if directions.len() == keys.len() => Ok(keys.into_iter().zip(directions).collect()),
        _ => Err(Fault::bad_request("sort_dir: give one for all keys, or one for each")),
    }
}

fn key(param: &str, name: &str) -> Result<SortKey, Fault> {
    name.trim().parse().map_err(|error| Fault::bad_request(format!("{param}: {error}")))
}

fn direction(param: &str, way: &str) -> Result<Direction, Fault> {
    way.trim().parse().map_err(|error| Fault::bad_request(format!("{param}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(query: &str) -> String {
        match read(&Params::read(query).unwrap()) {
            Ok(sort) => {
                let keys = sort.keys().iter().map(|(key, direction)| format!("{key}:{direction}"));
                keys.collect::<Vec<_>>().join(",")
            }
            Err(fault) => fault.status().as_u16().to_string(),
        }
    }

    #[test]
    fn both_syntaxes_give_a_total_order() {
        for (query, expected) in [
            ("", "created_at:desc,id:desc"),
            ("sort_key=name", "name:desc,created_at:desc,id:desc"),
            ("sort_dir=asc", "created_at:asc,id:asc"),
            ("sort_key=name&sort_key=size&sort_dir=asc", "name:asc,size:asc,created_at:asc,id:asc"),
            (
                "sort_key=name&sort_dir=asc&sort_key=size&sort_dir=desc",
                "name:asc,size:desc,created_at:asc,id:asc",
            ),
            ("sort=name:asc,size", "name:asc,size:desc,created_at:asc,id:asc"),
            ("sort=id", "id:desc"),
            ("sort=name:,size:asc", "name:desc,size:asc,created_at:desc,id:desc"),
            ("sort=+name%20:+asc+,%20size:desc", "name:asc,size:desc,created_at:asc,id:asc"),
            ("sort_key=%20name&sort_dir=asc+", "name:asc,created_at:asc,id:asc"),
            ("sort=created_at:asc", "created_at:asc,id:asc"),
        ] {
            assert_eq!(order(query), expected, "{query}");
        }
    }

    #[test]
    fn anything_else_is_a_clients_error() {
        for query in [
            "sort=",
            "sort=name,",
            "sort=owner",
            "sort=name:up",
            "sort=name:asc:asc",
            "sort_key=",
            "sort_key=tags",
            "sort_dir=",
            "sort_dir=up",
            "sort_dir=asc&sort_dir=desc",
            "sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=desc",
            "sort=name&sort_key=name",
            "sort=name&sort_dir=asc",
        ] {
            assert_eq!(order(query), "400", "{query}");
        }
    }
}
