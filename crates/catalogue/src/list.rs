//! A query as SQL, exactly: conditions and tenancy, and with `keyset` the order and the place to go on from.
//!
//! Pure. Every value is bound, never written into the text; what is written are words of this file and of the
//! contract's enums. SQL's third truth value, `NULL`, counts as false in `WHERE`, and there is no `NOT` here that
//! could turn it: so an unset attribute satisfies no condition, as the contract has it.

use image_service::{
    Caller, Comparison, Error, ErrorKind, Field, Filter, MemberScope, Page, Query, Result, Scope, Visibility,
    VisibilityScope,
};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::fault::Fault;
use crate::keyset::{self, number};
use crate::records::Wanted;

/// SQLite takes 32766 values in one statement; this leaves room for those of the position and the caller.
const MOST_VALUES: usize = 32_000;

/// SQLite takes 1000 conditions in one statement, the parts of compound ones included.
const MOST_FILTERS: usize = 500;

/// A list, ready to be asked for.
#[derive(Debug)]
pub struct Select {
    conditions: Vec<String>,
    /// The first is the caller's project, `?1`; the others are taken in turn.
    values: Vec<Value>,
    order: String,
    limit: usize,
}

impl Select {
    /// The images that `query` shows to `caller`, at most `most` of them.
    ///
    /// # Errors
    /// `Invalid` if the position does not fit the sort; `TooLarge` with too many filters, or values in them.
    pub fn new(query: &Query, caller: &Caller, most: usize) -> Result<Self> {
        query.check()?;
        if query.filters.len() > MOST_FILTERS {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a list takes {MOST_FILTERS} filters at most"),
            ));
        }
        let mut select = Self {
            conditions: Vec::new(),
            values: vec![caller.project.clone().map_or(Value::Null, Value::Text)],
            order: keyset::order(query.sort.keys()),
            limit: query.limit.map_or(most, |limit| limit.get().min(most)),
        };
        select.tenancy(caller, query.scope);
        for filter in &query.filters {
            select.filter(filter);
        }
        if select.values.len() > MOST_VALUES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a list takes {MOST_VALUES} values at most"),
            ));
        }
        if let Some(position) = &query.position {
            let after = keyset::after(query.sort.keys(), position);
            select.conditions.push(after.condition);
            select.values.extend(after.values);
        }
        Ok(select)
    }

    /// Asks.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn page<T: Wanted>(mut self, connection: &Connection) -> Result<Page<T>, Fault> {
        let sql = self.text::<T>();
        // One more than wanted tells whether there are more.
        let rows = i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1);
        self.values.push(Value::Integer(rows));
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(self.values))?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            if items.len() == self.limit {
                return Ok(Page::new(items, true));
            }
            items.push(T::from_row(connection, row)?);
        }
        Ok(Page::new(items, false))
    }

    /// The text, in which the last value is the number of rows.
    fn text<T: Wanted>(&self) -> String {
        format!(
            "SELECT {} FROM images \
             LEFT JOIN members ON members.image_id = images.id AND members.member_id = ?1 \
             WHERE {} ORDER BY {} LIMIT ?",
            T::COLUMNS,
            if self.conditions.is_empty() { "TRUE".to_owned() } else { self.conditions.join(" AND ") },
            self.order,
        )
    }

    /// How SQLite goes about it.
    #[cfg(test)]
    pub(crate) fn explain<T: Wanted>(mut self, connection: &Connection) -> Result<String, Fault> {
        self.values.push(Value::Integer(1));
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", self.text::<T>()))?;
        let lines =
            statement.query_map(params_from_iter(self.values), |row| row.get::<_, String>("detail"))?;
        Ok(lines.collect::<rusqlite::Result<Vec<_>>>()?.join("; "))
    }

    /// [`image_service::access::is_listed`]. The joined row of `members` is the caller's project's, if any.
    fn tenancy(&mut self, caller: &Caller, scope: Scope) {
        let own = "images.owner = ?1";
        match scope.visibility {
            VisibilityScope::All => {}
            VisibilityScope::Usual => {
                self.conditions.push(format!("({own} OR images.visibility <> '{}')", Visibility::Community));
            }
            VisibilityScope::Only(visibility) => {
                self.conditions.push(format!("images.visibility = '{visibility}'"));
            }
        }
        if caller.is_admin() {
            return;
        }
        if scope.member_status != MemberScope::All {
            self.conditions.push(format!(
                "({own} OR images.visibility <> '{}' OR members.status IS NULL OR members.status = '{}')",
                Visibility::Shared,
                scope.member_status,
            ));
        }
        self.conditions.push(format!(
            "(images.owner IS NULL OR {own} OR images.visibility IN ('{}', '{}') \
             OR (images.visibility = '{}' AND members.status IS NOT NULL))",
            Visibility::Public,
            Visibility::Community,
            Visibility::Shared,
        ));
    }

    fn filter(&mut self, filter: &Filter) {
        let condition = match filter {
            Filter::Text { field, any_of } => text_column(*field).map(|column| {
                self.values.extend(any_of.iter().cloned().map(Value::Text));
                format!("images.{column} IN ({})", vec!["?"; any_of.len()].join(", "))
            }),
            Filter::Number { field, comparison, value } => number_column(*field).map(|column| {
                self.values.push(number(*value));
                format!("images.{column} {} ?", operator(*comparison))
            }),
            Filter::Time { field, comparison, value } => time_column(*field).map(|column| {
                self.values.push(Value::Integer(value.as_second()));
                format!("images.{column} {} ?", operator(*comparison))
            }),
            Filter::Hidden(wanted) => {
                self.values.push(Value::from(*wanted));
                Some("images.hidden = ?".to_owned())
            }
            Filter::Protected(wanted) => {
                self.values.push(Value::from(*wanted));
                Some("images.protected = ?".to_owned())
            }
            Filter::Tag(tag) => {
                self.values.push(Value::Text(tag.clone()));
                Some("images.id IN (SELECT image_id FROM tags WHERE tag = ?)".to_owned())
            }
            Filter::Property { key, value } => {
                self.values.extend([Value::Text(key.clone()), Value::Text(value.clone())]);
                Some("images.id IN (SELECT image_id FROM properties WHERE key = ? AND value = ?)".to_owned())
            }
            Filter::NameContains(part) => {
                self.values.push(Value::Text(part.clone()));
                Some("instr(images.name, ?) > 0".to_owned())
            }
        };
        // An attribute that is not of the filter's kind satisfies nothing.
        self.conditions.push(condition.unwrap_or_else(|| "FALSE".to_owned()));
    }
}

const fn text_column(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Id => "id",
        Field::Name => "name",
        Field::Status => "status",
        Field::Visibility => "visibility",
        Field::ContainerFormat => "container_format",
        Field::DiskFormat => "disk_format",
        Field::Owner => "owner",
        Field::Checksum => "checksum",
        Field::HashAlgorithm => "hash_algorithm",
        Field::HashValue => "hash_value",
        _ => return None,
    })
}

const fn number_column(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Size => "size",
        Field::VirtualSize => "virtual_size",
        Field::MinDisk => "min_disk",
        Field::MinRam => "min_ram",
        _ => return None,
    })
}

const fn time_column(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::CreatedAt => "created_at",
        Field::UpdatedAt => "updated_at",
        _ => return None,
    })
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}
