//! What must outlive the process: tasks, and which data is staged. One SQLite file.
//!
//! Everything here blocks, for the time of one small transaction.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image_service::{Error, ErrorKind, ImageId, Result};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, ErrorCode, Row, TransactionBehavior, named_params, params};

use super::model::{Kind, Order, Task, TaskQuery, TaskSort, TaskStatus};
use crate::state::open_database;

/// What brings an empty file to today's tables. A later version adds another step, and never changes one.
const STEPS: &[&str] = &["
    CREATE TABLE tasks (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        image TEXT NOT NULL,
        owner TEXT,
        user TEXT,
        request_id TEXT NOT NULL,
        input TEXT NOT NULL,
        result TEXT,
        message TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        expires_at INTEGER,
        orders TEXT NOT NULL,
        importing TEXT NOT NULL,
        failed TEXT NOT NULL
    ) STRICT;
    CREATE INDEX tasks_by_image ON tasks (image, created_at);
    CREATE INDEX tasks_by_end ON tasks (expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE stages (
        image TEXT PRIMARY KEY,
        file TEXT NOT NULL,
        size INTEGER,
        created_at INTEGER NOT NULL
    ) STRICT;
"];

const COLUMNS: &str = "id, kind, status, image, owner, user, request_id, input, result, message, created_at, \
                       updated_at, expires_at, orders, importing, failed";

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    connection: Mutex<Connection>,
}

/// A task with what only this room knows of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) task: Task,
    pub(super) order: Order,
    /// The stores that it has still to do.
    pub(super) importing: BTreeSet<String>,
    /// The stores that have failed.
    pub(super) failed: BTreeSet<String>,
}

impl Entry {
    /// What the image is to tell of stores: those that the task has still to do, and those that have failed.
    pub(super) fn lists(&self) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
        let has = self.task.kind != Kind::LocationImport;
        has.then(|| (self.importing.clone(), self.failed.clone()))
    }
}

/// Data in the staging area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) image: ImageId,
    pub(super) file: String,
    /// `None` while it is being written.
    pub(super) size: Option<u64>,
    pub(super) created_at: i64,
}

impl Journal {
    /// Opens the file at `path`, makes it if it is not there, and brings it to today's tables.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be used, or is of a later version of this program.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self { connection: Mutex::new(open_database(path, STEPS)?) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a task, over what was there of it, and with its end that nothing is staged for its image any more. Beyond
    /// `most` tasks, those that have ended first are forgotten: it gives their images.
    pub(super) fn put(&self, entry: &Entry, most: usize) -> Result<Vec<ImageId>> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(broken)?;
        let task = &entry.task;
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO tasks VALUES (:id, :kind, :status, :image, :owner, :user, :request_id, :input, \
                 :result, :message, :created_at, :updated_at, :expires_at, :orders, :importing, :failed)",
            )
            .and_then(|mut statement| {
                statement.execute(named_params! {
                    ":id": task.id,
                    ":kind": task.kind.as_str(),
                    ":status": task.status.as_str(),
                    ":image": task.image.as_str(),
                    ":owner": task.owner,
                    ":user": task.user,
                    ":request_id": task.request_id,
                    ":input": task.input.to_string(),
                    ":result": task.result.as_ref().map(ToString::to_string),
                    ":message": task.message,
                    ":created_at": task.created_at,
                    ":updated_at": task.updated_at,
                    ":expires_at": task.expires_at,
                    ":orders": json(&entry.order),
                    ":importing": json(&entry.importing),
                    ":failed": json(&entry.failed),
                })
            })
            .map_err(broken)?;
        if task.expires_at.is_some() {
            transaction
                .prepare_cached(
                    "DELETE FROM stages WHERE image = ?1 AND size IS NOT NULL AND created_at <= ?2",
                )
                .and_then(|mut statement| statement.execute(params![task.image.as_str(), task.created_at]))
                .map_err(broken)?;
        }
        let forgotten = transaction
            .prepare_cached(
                "DELETE FROM tasks WHERE id IN (SELECT id FROM tasks WHERE expires_at IS NOT NULL AND id <> ?2 \
                 ORDER BY expires_at LIMIT max(0, (SELECT count(*) FROM tasks) - ?1)) RETURNING image",
            )
            .and_then(|mut statement| {
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                let rows = statement.query_map(params![most, task.id], |row| row.get(0).map(|id: String| ImageId::lookup(id)))?;
                rows.collect()
            })
            .map_err(broken)?;
        transaction.commit().map_err(broken)?;
        Ok(forgotten)
    }

    /// The task of this id.
    pub(super) fn task(&self, id: &str) -> Result<Option<Entry>> {
        let sql = format!("SELECT {COLUMNS} FROM tasks WHERE id = ?1");
        Ok(self.all(&sql, [SqlValue::from(id.to_owned())])?.pop())
    }

    /// The latest tasks of an image, oldest first.
    pub(super) fn of_image(&self, image: &ImageId) -> Result<Vec<Entry>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM tasks WHERE image = ?1 ORDER BY created_at DESC, id DESC LIMIT 100"
        );
        let mut entries = self.all(&sql, [SqlValue::from(image.as_str().to_owned())])?;
        entries.reverse();
        Ok(entries)
    }

    /// All tasks, oldest first.
    pub(super) fn every(&self) -> Result<Vec<Entry>> {
        self.all(&format!("SELECT {COLUMNS} FROM tasks ORDER BY created_at, id"), [])
    }

    /// A part of the tasks.
    ///
    /// # Errors
    /// `Invalid` if there is no task of the marker's id.
    pub(super) fn list(&self, query: &TaskQuery) -> Result<Vec<Entry>> {
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        let mut require = |condition: &str, value: &str| {
            conditions.push(condition.to_owned());
            values.push(SqlValue::from(value.to_owned()));
        };
        if let Some(owner) = &query.owner {
            require("owner = ?", owner);
        }
        if let Some(status) = query.status {
            require("status = ?", status.as_str());
        }
        if let Some(kind) = query.kind {
            require("kind = ?", kind.as_str());
        }
        let (key, direction, after) = match (column(query.sort), query.descending) {
            (key, true) => (key, "DESC", "<"),
            (key, false) => (key, "ASC", ">"),
        };
        if let Some(marker) = &query.marker {
            let there =
                self.task(marker)?.filter(|entry| query.owner.is_none() || entry.task.owner == query.owner);
            if there.is_none() {
                return Err(Error::invalid(format!("marker: No task found with ID {marker}")));
            }
            conditions.push(format!("({key}, id) {after} (SELECT {key}, id FROM tasks WHERE id = ?)"));
            values.push(SqlValue::from(marker.clone()));
        }
        values.push(SqlValue::from(i64::try_from(query.limit).unwrap_or(i64::MAX)));
        let conditions = if conditions.is_empty() { String::from("1") } else { conditions.join(" AND ") };
        let sql = format!(
            "SELECT {COLUMNS} FROM tasks WHERE {conditions} ORDER BY {key} {direction}, id {direction} LIMIT ?"
        );
        self.all(&sql, values)
    }

    /// Forgets the tasks whose time is over, and gives their images.
    pub(super) fn expire(&self, now: i64) -> Result<Vec<ImageId>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("DELETE FROM tasks WHERE expires_at <= ?1 RETURNING image")
            .map_err(broken)?;
        let rows = statement.query_map([now], |row| row.get(0).map(|id: String| ImageId::lookup(id)));
        rows.and_then(Iterator::collect).map_err(broken)
    }

    /// Writes what is staged for an image, over what was there.
    pub(super) fn put_stage(&self, stage: &Stage) -> Result<()> {
        let size = stage.size.and_then(|size| i64::try_from(size).ok());
        self.execute(
            "INSERT OR REPLACE INTO stages (image, file, size, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![stage.image.as_str(), stage.file, size, stage.created_at],
        )
    }

    /// Forgets that this file is staged for an image.
    pub(super) fn drop_stage(&self, image: &ImageId, file: &str) -> Result<()> {
        self.execute("DELETE FROM stages WHERE image = ?1 AND file = ?2", [image.as_str(), file])
    }

    /// All that is staged.
    pub(super) fn stages(&self) -> Result<Vec<Stage>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare("SELECT image, file, size, created_at FROM stages").map_err(broken)?;
        let rows = statement.query_map([], |row| {
            Ok(Stage {
                image: ImageId::lookup(row.get::<_, String>(0)?),
                file: row.get(1)?,
                size: row.get::<_, Option<i64>>(2)?.and_then(|size| u64::try_from(size).ok()),
                created_at: row.get(3)?,
            })
        });
        rows.and_then(Iterator::collect).map_err(broken)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(broken)?;
        statement.execute(values).map(drop).map_err(broken)
    }

    fn all(&self, sql: &str, values: impl IntoIterator<Item = SqlValue>) -> Result<Vec<Entry>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql).map_err(broken)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), read);
        rows.and_then(Iterator::collect).map_err(broken)
    }
}

const fn column(sort: TaskSort) -> &'static str {
    match sort {
        TaskSort::Id => "id",
        TaskSort::Kind => "kind",
        TaskSort::Status => "status",
        TaskSort::CreatedAt => "created_at",
        TaskSort::UpdatedAt => "updated_at",
        // A row value is never before nor behind one that has no value in it.
        TaskSort::ExpiresAt => "coalesce(expires_at, 0)",
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let status: String = row.get("status")?;
    let task = Task {
        id: row.get("id")?,
        kind: Kind::named(&row.get::<_, String>("kind")?).ok_or_else(|| unreadable("kind"))?,
        status: TaskStatus::named(&status).ok_or_else(|| unreadable("status"))?,
        image: ImageId::lookup(row.get::<_, String>("image")?),
        owner: row.get("owner")?,
        user: row.get("user")?,
        request_id: row.get("request_id")?,
        input: parsed(&row.get::<_, String>("input")?, "input")?,
        result: row.get::<_, Option<String>>("result")?.map(|text| parsed(&text, "result")).transpose()?,
        message: row.get("message")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        expires_at: row.get("expires_at")?,
    };
    Ok(Entry {
        task,
        order: parsed(&row.get::<_, String>("orders")?, "orders")?,
        importing: parsed(&row.get::<_, String>("importing")?, "importing")?,
        failed: parsed(&row.get::<_, String>("failed")?, "failed")?,
    })
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it has only text for keys")
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|_| unreadable(column))
}

fn unreadable(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(column.to_owned())
}

/// What went wrong between this program and SQLite.
fn broken(error: rusqlite::Error) -> Error {
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (ErrorKind::TooLarge, "there is no room to keep tasks"),
        Some(ErrorCode::ConstraintViolation) | None => {
            (ErrorKind::Internal, "the tasks are not as they should be")
        }
        Some(_) => (ErrorKind::Unavailable, "the tasks cannot be read or written"),
    };
    Error::new(kind, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Asker, Source};
    use super::*;
    use image_service::Caller;
    use serde_json::json;

    fn entry(number: i64, status: TaskStatus) -> Entry {
        Entry {
            task: Task {
                id: format!("task-{number}"),
                kind: Kind::ApiImageImport,
                status,
                image: ImageId::lookup(format!("image-{}", number % 2)),
                owner: Some(format!("project-{}", number % 3)),
                user: None,
                request_id: String::from("req-1"),
                input: json!({"a": [1, null]}),
                result: None,
                message: String::new(),
                created_at: number / 2,
                updated_at: number,
                expires_at: (status == TaskStatus::Success).then_some(number + 100),
            },
            order: Order {
                source: Source::Web { uri: "https://a.example/x".into() },
                stores: vec!["a".into(), "b".into()],
                all_must_succeed: false,
                caller: Asker::of(&Caller::member_of("a")),
                attempts: 1,
                given: BTreeSet::new(),
            },
            importing: ["a".to_owned()].into(),
            failed: BTreeSet::new(),
        }
    }

    fn query() -> TaskQuery {
        TaskQuery {
            owner: None,
            status: None,
            kind: None,
            sort: TaskSort::CreatedAt,
            descending: true,
            marker: None,
            limit: 1000,
        }
    }

    #[test]
    fn what_was_written_is_there_when_the_file_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("imports.db");
        let stage = Stage { image: ImageId::random(), file: "f".into(), size: Some(7), created_at: 3 };
        let journal = Journal::open(&path).unwrap();
        journal.put(&entry(1, TaskStatus::Processing), 10).unwrap();
        journal.put(&entry(1, TaskStatus::Success), 10).unwrap();
        journal.put_stage(&Stage { size: None, ..stage.clone() }).unwrap();
        journal.put_stage(&stage).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.every().unwrap(), [entry(1, TaskStatus::Success)]);
        assert_eq!(journal.stages().unwrap(), std::slice::from_ref(&stage));
        journal.drop_stage(&stage.image, "another").unwrap();
        assert_eq!(journal.stages().unwrap().len(), 1);
        journal.drop_stage(&stage.image, "f").unwrap();
        assert_eq!(journal.stages().unwrap(), []);
        drop(journal);
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(Journal::open(&path).unwrap_err().message().contains("later version"));
    }

    #[test]
    fn pages_of_any_size_and_order_give_each_task_once() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(&directory.path().join("imports.db")).unwrap();
        for number in 0..20 {
            let status = if number % 4 == 0 { TaskStatus::Success } else { TaskStatus::Pending };
            journal.put(&entry(number, status), 100).unwrap();
        }
        for sort in ["id", "type", "status", "created_at", "updated_at", "expires_at"] {
            let sort = TaskSort::named(sort).unwrap();
            for (descending, limit) in [(false, 1), (true, 3), (true, 20)] {
                let mut walk: Vec<String> = Vec::new();
                for _ in 0..=20 {
                    let marker = walk.last().cloned();
                    let page =
                        journal.list(&TaskQuery { sort, descending, limit, marker, ..query() }).unwrap();
                    walk.extend(page.into_iter().map(|entry| entry.task.id));
                }
                let whole = journal.list(&TaskQuery { sort, descending, ..query() }).unwrap();
                let whole: Vec<String> = whole.into_iter().map(|entry| entry.task.id).collect();
                assert_eq!(walk, whole, "{sort:?}");
                assert_eq!(whole.len(), 20);
            }
        }
        let some =
            TaskQuery { owner: Some("project-1".into()), status: Some(TaskStatus::Success), ..query() };
        let ids: Vec<String> = journal.list(&some).unwrap().into_iter().map(|entry| entry.task.id).collect();
        assert_eq!(ids, ["task-16", "task-4"]);
        let unknown = TaskQuery { marker: Some("x".into()), ..query() };
        assert_eq!(journal.list(&unknown).unwrap_err().kind(), ErrorKind::Invalid);
        let anothers = TaskQuery { marker: Some("task-0".into()), ..some };
        assert_eq!(journal.list(&anothers).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn what_has_ended_is_forgotten_in_time_and_first_when_there_are_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(&directory.path().join("imports.db")).unwrap();
        for number in 0..8 {
            let status = if number < 4 { TaskStatus::Success } else { TaskStatus::Pending };
            journal.put(&entry(number, status), 6).unwrap();
        }
        let left: Vec<String> = journal.every().unwrap().into_iter().map(|entry| entry.task.id).collect();
        assert_eq!(left, ["task-2", "task-3", "task-4", "task-5", "task-6", "task-7"]);
        assert_eq!(journal.expire(102).unwrap(), [ImageId::lookup("image-0")]);
        assert_eq!(journal.expire(1000).unwrap().len(), 1);
        assert_eq!(journal.every().unwrap().len(), 4, "what is at work is never forgotten");
        assert_eq!(journal.of_image(&ImageId::lookup("image-1")).unwrap().len(), 2);
        assert!(journal.task("task-4").unwrap().is_some() && journal.task("task-0").unwrap().is_none());
    }
}
