//! What opening finds, puts right, and refuses.

use std::fs;

use image_service::{ErrorKind, ImageChange};
use rusqlite::Connection;

use super::*;
use crate::recovery::Findings;
use crate::store::Store;

fn findings(directory: &TempDir) -> Findings {
    Store::open(options(directory.path()), Watch::default()).unwrap().1
}

#[tokio::test]
async fn what_was_stored_is_there_when_the_directory_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let new = NewImage {
        name: Some("noble \0 ✓".into()),
        owner: Some(Some("a".into())),
        tags: BTreeSet::from(["x".into(), String::new()]),
        properties: [("os".to_owned(), "ubuntu".to_owned()), ("empty".to_owned(), String::new())].into(),
        min_disk: u32::MAX,
        protected: true,
        ..raw()
    };
    let image = local.create(&admin(), new, Some(Upload::from_bytes(pattern(5000)))).await.unwrap();
    let gone = local.create(&admin(), raw(), Some(Upload::from_bytes("gone"))).await.unwrap();
    local.delete(&admin(), &gone.id).await.unwrap();
    local.close().await;
    drop(local);
    assert_eq!(findings(&directory), Findings::default());
    let local = open(&directory).await;
    assert_eq!(all(&local).await, [image]);
    let again = NewImage { id: Some(gone.id), ..raw() };
    assert_eq!(local.create(&admin(), again, None).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn leftovers_are_cleared_strangers_are_left_and_damage_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let upload = || Some(Upload::from_bytes(pattern(5000)));
    let whole = local.create(&admin(), raw(), upload()).await.unwrap();
    let missing = local.create(&admin(), raw(), upload()).await.unwrap();
    let short = local.create(&admin(), raw(), upload()).await.unwrap();
    let queued = local.create(&admin(), raw(), None).await.unwrap();
    let saving = local.create(&admin(), raw(), None).await.unwrap();
    drop(local);
    let (data, incoming) = (directory.path().join("data"), directory.path().join("incoming"));
    fs::write(incoming.join("stale"), "x").unwrap();
    fs::remove_file(data.join(missing.id.as_str())).unwrap();
    fs::write(data.join(short.id.as_str()), "short").unwrap();
    for orphan in [&queued.id, &saving.id, &ImageId::random()] {
        fs::write(data.join(orphan.as_str()), "orphan").unwrap();
    }
    fs::write(data.join("README"), "not an image's").unwrap();
    let catalogue = Connection::open(directory.path().join("catalogue.sqlite3")).unwrap();
    catalogue.execute("UPDATE images SET status = 'saving' WHERE id = ?", [saving.id.as_str()]).unwrap();
    drop(catalogue);

    let found = Findings { incoming: 1, saving: 1, orphans: 3, damaged: 2, strangers: 1 };
    assert_eq!(findings(&directory), found);
    assert_eq!(findings(&directory), Findings { damaged: 2, strangers: 1, ..Findings::default() });
    assert_eq!(names(directory.path(), "incoming"), BTreeSet::new());
    let left = [whole.id.to_string(), short.id.to_string(), "README".to_owned()];
    assert_eq!(names(directory.path(), "data"), BTreeSet::from(left));
    let local = open(&directory).await;
    assert_eq!(local.show(&admin(), &saving.id).await.unwrap(), saving);
    for damaged in [&missing.id, &short.id] {
        assert_eq!(local.get(&admin(), damaged, None).await.unwrap_err().kind(), ErrorKind::Corrupt);
        local.delete(&admin(), damaged).await.unwrap();
    }
    let change = ImageChange::default();
    local.update(&admin(), &saving.id, change, Some(Upload::from_bytes("anew"))).await.unwrap();
}

#[tokio::test]
async fn data_without_a_catalogue_is_refused_and_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let image = local.create(&admin(), raw(), Some(Upload::from_bytes("precious"))).await.unwrap();
    local.close().await;
    drop(local);
    for file in ["catalogue.sqlite3", "catalogue.sqlite3-wal", "catalogue.sqlite3-shm"] {
        fs::rename(directory.path().join(file), directory.path().join(format!("{file}.away"))).ok();
    }
    for _ in 0..2 {
        let error = Local::open("local", options(directory.path())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("catalogue.sqlite3'"), "{error}");
        assert_eq!(names(directory.path(), "data"), BTreeSet::from([image.id.to_string()]));
    }
}

#[tokio::test]
async fn a_catalogue_that_is_newer_or_no_catalogue_is_refused_by_its_path() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory).await);
    let path = directory.path().join("catalogue.sqlite3");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Local::open("local", options(directory.path())).await.unwrap_err();
    assert!(error.message().contains("version 99"), "{error}");
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalogue.sqlite3");
    fs::write(&path, "this is not a database, and it is long enough to be taken for one ".repeat(100))
        .unwrap();
    let error = Local::open("local", options(directory.path())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_directory_in_use_cannot_be_opened_twice() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let error = Local::open("other", options(directory.path())).await.unwrap_err();
    assert!(error.message().contains("in use"), "{error}");
    assert!(error.message().contains(directory.path().to_str().unwrap()), "{error}");
    local.create(&admin(), raw(), Some(Upload::from_bytes("x"))).await.unwrap();
}

#[tokio::test]
async fn only_the_owner_of_the_process_can_look_into_a_new_directory() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/images");
    drop(Local::open("local", options(&path)).await.unwrap());
    for directory in [path.clone(), path.join("data"), path.join("incoming")] {
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[tokio::test]
async fn a_disk_that_is_full_can_be_opened_and_one_that_cannot_be_written_cannot() {
    use std::io::ErrorKind::{PermissionDenied, StorageFull};
    let directory = tempfile::tempdir().unwrap();
    let image = open(&directory).await.create(&admin(), raw(), Some(Upload::from_bytes("x"))).await.unwrap();
    let probed = |disk: std::io::ErrorKind| {
        let watch = Watch::with(move |step| if step == Step::Probed { Err(disk.into()) } else { Ok(()) });
        Local::open_watched("local", options(directory.path()), watch)
    };
    let error = probed(PermissionDenied).await.unwrap_err();
    assert!(error.message().contains(".probe"), "{error}");
    let local = probed(StorageFull).await.unwrap();
    assert_eq!(read(local.get(&admin(), &image.id, None).await.unwrap()).await.unwrap(), b"x");
    local.delete(&admin(), &image.id).await.unwrap();
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn administrators_are_told_that_an_image_has_been_deleted_and_others_that_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let image = local.create(&admin(), raw(), None).await.unwrap();
    local.delete(&admin(), &image.id).await.unwrap();
    drop(local);
    let local = open(&directory).await;
    let member = Context::new(Caller::member_of("p"), "req-test");
    for (context, id, told) in
        [(admin(), &image.id, true), (admin(), &ImageId::random(), false), (member, &image.id, false)]
    {
        let error = local.show(&context, id).await.unwrap_err();
        assert_eq!((error.kind(), error.is_of_deleted_image()), (ErrorKind::NotFound, told));
    }
}
