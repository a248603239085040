//! The process ends in the middle of imports, and another goes on.

use image_service::{Status, Upload};
use portico::imports::{Settings, Source, Targets, TaskStatus};

use crate::gated::Gate;
use crate::site::{Site, bytes, owner, request, settings};
use crate::web::Web;

#[tokio::test]
async fn what_is_staged_is_there_after_the_process_and_can_be_imported() {
    let site = Site::open().await;
    let data = bytes(2000);
    let (id, other) = (site.staged(&data).await, site.staged(&data).await);
    let lost = site.directory.path().join("staging");
    let site = site.again(|_| ()).await;
    let shown = site.show(&id).await;
    assert_eq!((shown.status, shown.size), (Status::Uploading, Some(2000)));
    let task = site.import(&id, request(Source::Staged, Targets::Default)).await;
    assert_eq!(task.status, TaskStatus::Success);
    assert_eq!(site.data_in(&id, "a").await, data);
    // A file that has become another one is none.
    let site = site
        .again(|_| {
            for file in std::fs::read_dir(&lost).unwrap() {
                std::fs::write(file.unwrap().path(), "x").unwrap();
            }
        })
        .await;
    assert_eq!((site.show(&other).await.status, site.files()), (Status::Queued, 0));
    site.imports.stage(&owner(), &other, Upload::from_bytes(data)).await.unwrap();
}

#[tokio::test]
async fn an_import_that_the_end_of_the_process_cut_off_goes_on_with_the_next() {
    let site = Site::open().await;
    let data = bytes(2000);
    let server = Web::giving(&data).await;
    site.stores[2].is_now(Gate::Hangs);
    let (staged, fetched) = (site.staged(&data).await, site.queued().await);
    let staged_task = site.begin(&staged, request(Source::Staged, Targets::All)).await.unwrap().unwrap();
    let source = Source::Web { uri: server.url.clone() };
    let fetched_task = site.begin(&fetched, request(source, Targets::All)).await.unwrap().unwrap();
    site.stores[2].hangs().await;
    site.stores[2].hangs().await;
    let site = site
        .again(|site| {
            site.stores[2].is_now(Gate::Open);
        })
        .await;
    for (id, task) in [(&staged, staged_task), (&fetched, fetched_task)] {
        let task = site.ended(&task.id).await;
        assert_eq!(task.status, TaskStatus::Success, "{}", task.message);
        assert_eq!(site.show(id).await.stores, ["a", "b", "c"]);
        for store in ["a", "b", "c"] {
            assert_eq!(site.data_in(id, store).await, data);
        }
    }
    assert_eq!(site.files(), 0);
}

#[tokio::test]
async fn an_orderly_end_is_not_counted_as_an_attempt() {
    let mut site = Site::with(Settings { attempts: 1, ..settings() }).await;
    site.stores[0].is_now(Gate::Hangs);
    let id = site.staged(&bytes(10)).await;
    let task = site.begin(&id, request(Source::Staged, Targets::Default)).await.unwrap().unwrap();
    for _ in 0..3 {
        site.stores[0].hangs().await;
        site = site.again(|_| ()).await;
        assert_eq!(site.show(&id).await.status, Status::Importing);
    }
    site.stores[0].hangs().await;
    let site = site.again(|site| site.stores[0].is_now(Gate::Open)).await;
    assert_eq!(site.ended(&task.id).await.status, TaskStatus::Success);
}
