//! Uploads to disks that fail, fill up or are slow, and beyond bounds; deletes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{FutureExt, StreamExt};
use image_service::{ErrorKind, ImageChange, Timestamp};

use super::*;

fn failing_at(step: Step, kind: io::ErrorKind) -> Watch {
    Watch::with(move |reached| if reached == step { Err(kind.into()) } else { Ok(()) })
}

#[tokio::test]
async fn a_disk_that_fails_at_any_step_of_an_upload_leaves_nothing_and_says_why() {
    let steps = [Step::Claimed, Step::Created, Step::Written, Step::Synced, Step::Placed];
    let kinds = [
        (io::ErrorKind::StorageFull, ErrorKind::TooLarge),
        (io::ErrorKind::QuotaExceeded, ErrorKind::TooLarge),
        (io::ErrorKind::PermissionDenied, ErrorKind::Unavailable),
    ];
    for step in steps {
        for (disk, told) in kinds {
            let directory = tempfile::tempdir().unwrap();
            let local = open_watched(&directory, failing_at(step, disk)).await;
            let data = pattern(10_000);
            let error =
                local.create(&admin(), raw(), Some(Upload::from_bytes(data.clone()))).await.unwrap_err();
            assert_eq!(error.kind(), told, "create, {step:?}, {disk:?}");
            assert!(!cause(&error).is_empty());
            assert!(all(&local).await.is_empty());

            let image = local.create(&admin(), raw(), None).await.unwrap();
            let upload = Some(Upload::from_bytes(data.clone()));
            let error = local.update(&admin(), &image.id, ImageChange::default(), upload).await.unwrap_err();
            assert_eq!(error.kind(), told, "update, {step:?}, {disk:?}");
            assert_whole(&local, directory.path()).await;
            assert_eq!(all(&local).await.len(), 1);
            assert_eq!(names(directory.path(), "data").len(), 0);

            drop(local);
        }
    }
}

#[tokio::test]
async fn an_upload_that_failed_can_be_made_anew_under_the_same_id() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let image = local.create(&admin(), raw(), None).await.unwrap();
    let new = NewImage { id: Some(ImageId::random()), ..raw() };
    let broken = || {
        let error = Error::new(ErrorKind::Incomplete, "the client has gone");
        Upload::new(futures::stream::iter([Ok(pattern(9000)), Err(error)]).boxed())
    };
    let change = ImageChange::default;
    let error = local.update(&admin(), &image.id, change(), Some(broken())).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Incomplete, "the client has gone"));
    let error = local.create(&admin(), new.clone(), Some(broken())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incomplete);
    assert_whole(&local, directory.path()).await;

    let whole = || Some(Upload::from_bytes(pattern(9000)));
    let updated = local.update(&admin(), &image.id, change(), whole()).await.unwrap();
    let created = local.create(&admin(), new, whole()).await.unwrap();
    assert_eq!((updated.status, created.status), (Status::Active, Status::Active));
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn an_upload_beyond_a_bound_is_stopped_there_and_an_exact_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { max_upload: ByteSize::b(10_000), ..options(directory.path()) };
    let local = Local::open("local", options).await.unwrap();
    let context = admin();
    let endless = || futures::stream::repeat_with(|| Ok(pattern(999))).boxed();
    let announced = |size, stream| Upload { size: Some(size), ..Upload::new(stream) };
    let bad = [
        (Upload::new(endless()), ErrorKind::TooLarge),
        (announced(10_001, futures::stream::pending().boxed()), ErrorKind::TooLarge),
        (announced(9_000, endless()), ErrorKind::Incomplete),
        (announced(9_000, Upload::from_bytes(pattern(8_999)).stream), ErrorKind::Incomplete),
        (announced(1, futures::stream::empty().boxed()), ErrorKind::Incomplete),
    ];
    for (upload, kind) in bad {
        let told = format!("{upload:?}");
        assert_eq!(local.create(&context, raw(), Some(upload)).await.unwrap_err().kind(), kind, "{told}");
    }
    assert!(all(&local).await.is_empty());
    for length in [0, 1, 4095, 4096, 4097, 8192, 10_000] {
        let image = local.create(&context, raw(), Some(Upload::from_bytes(pattern(length)))).await.unwrap();
        assert_eq!(image.size, Some(length as u64));
        assert_eq!(read(local.get(&context, &image.id, None).await.unwrap()).await.unwrap(), pattern(length));
    }
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn an_upload_that_is_to_survive_a_loss_of_power_ends_well_or_badly_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { sync: Durability::Full, ..Options::at(directory.path()) };
    let local = Local::open("local", options).await.unwrap();
    let part = pattern(1 << 20);
    for (parts, ends_well) in [(1, true), (20, true), (20, false)] {
        let end = (!ends_well).then(|| Err(Error::invalid("broken")));
        let parts = (0..parts).map(|_| Ok(part.clone())).chain(end);
        let upload = Upload::new(futures::stream::iter(parts.collect::<Vec<_>>()).boxed());
        let made = local.create(&admin(), raw(), Some(upload)).await;
        assert_eq!(made.is_ok(), ends_well);
    }
    let sizes: BTreeSet<_> = all(&local).await.iter().map(|image| image.size.unwrap()).collect();
    assert_eq!(sizes, BTreeSet::from([part.len() as u64, 20 * part.len() as u64]));
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn an_id_that_is_not_a_uuid_is_refused_and_one_with_capitals_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    for id in ["", "../../escape", "x"] {
        let new = NewImage { id: Some(lookup(id)), ..raw() };
        for data in [None, Some(Upload::from_bytes("x"))] {
            let error = local.create(&admin(), new.clone(), data).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{id}");
        }
    }
    let id = lookup("B2173DD3-7ad6-4362-baa6-a68bce3565cb");
    let small = lookup("b2173dd3-7ad6-4362-baa6-a68bce3565cb");
    for (id, data) in [(&id, "capitals"), (&small, "small")] {
        let new = NewImage { id: Some(id.clone()), ..raw() };
        let image = local.create(&admin(), new, Some(Upload::from_bytes(data))).await.unwrap();
        assert_eq!(&image.id, id);
    }
    for (id, data) in [(&id, "capitals"), (&small, "small")] {
        assert_eq!(read(local.get(&admin(), id, None).await.unwrap()).await.unwrap(), data.as_bytes());
    }
    local.delete(&admin(), &id).await.unwrap();
    assert_eq!(names(directory.path(), "data"), BTreeSet::from([small.to_string()]));
}

#[tokio::test]
async fn a_disk_that_is_slow_makes_the_client_wait() {
    let directory = tempfile::tempdir().unwrap();
    let (tell, mut told) = unbounded_channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let watch = Watch::with(move |step| {
        if step == Step::Written {
            tell.send(step).ok();
            gone.lock().unwrap().recv().ok();
        }
        Ok(())
    });
    let local = open_watched(&directory, watch).await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let pieces = futures::stream::iter((0..100).map(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(pattern(4096))
    }));
    let context = admin();
    let mut call = local.create(&context, raw(), Some(Upload::new(pieces.boxed())));
    assert!((&mut call).now_or_never().is_none());
    reached(&mut told, Step::Written).await;
    // On this runtime of one thread, the upload goes as far as it can each time this task steps back.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let ahead = taken.load(Ordering::Relaxed);
    assert!(ahead <= 3, "{ahead} pieces were taken while the first was being written");
    drop(go);
    assert_eq!(call.await.unwrap().size, Some(100 * 4096));
}

#[tokio::test]
async fn lists_and_lookups_do_not_wait_for_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    let image = local.create(&admin(), raw(), None).await.unwrap();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (tell, begun) = tokio::sync::oneshot::channel();
    let context = admin();
    let mut write = Box::pin(local.jobs().write(&context, move |transaction| {
        transaction.execute("DELETE FROM images", [])?;
        tell.send(()).ok();
        gone.recv().ok();
        Ok(())
    }));
    assert!((&mut write).now_or_never().is_none());
    begun.await.unwrap();
    let past = Context { deadline: Some(std::time::Instant::now()), ..admin() };
    for _ in 0..20 {
        assert_eq!(all(&local).await, std::slice::from_ref(&image));
        assert_eq!(local.show(&admin(), &image.id).await.unwrap(), image);
        let late = local.create(&past, raw(), None).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }
    go.send(()).unwrap();
    write.await.unwrap();
    assert!(all(&local).await.is_empty());
}

#[tokio::test]
async fn a_failed_upload_is_answered_when_its_last_write_is_over_and_its_file_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (tell, mut told) = unbounded_channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let watch = Watch::with(move |step| {
        tell.send(step).ok();
        if step == Step::Written {
            gone.lock().unwrap().recv().ok();
        }
        Ok(())
    });
    let local = open_watched(&directory, watch).await;
    let context = admin();
    let broken = futures::stream::iter([Ok(pattern(4096)), Err(Error::invalid("broken"))]);
    let mut call = local.create(&context, raw(), Some(Upload::new(broken.boxed())));
    assert!((&mut call).now_or_never().is_none());
    reached(&mut told, Step::Written).await;
    // Each of these goes through the threads on which the upload could be undone too early.
    for _ in 0..100 {
        tokio::task::spawn_blocking(|| {}).await.unwrap();
        assert!((&mut call).now_or_never().is_none());
    }
    go.send(()).unwrap();
    assert_eq!(call.await.unwrap_err().message(), "broken");
    assert_eq!(names(directory.path(), "incoming"), BTreeSet::new());
}

#[tokio::test]
async fn on_a_full_disk_images_can_be_deleted_at_the_cost_of_the_reserve_which_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let reserve = directory.path().join("reserve");
    let length = || reserve.metadata().unwrap().len();
    let path = reserve.clone();
    let watch = Watch::with(move |step| match (step, path.metadata().unwrap().len()) {
        (Step::Deleting, 1..) => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    });
    // Steps are told of once the reserve is there: opening makes it last.
    std::fs::write(&reserve, "").unwrap();
    let local = open_watched(&directory, watch).await;
    let image = local.create(&admin(), raw(), Some(Upload::from_bytes("x"))).await.unwrap();
    assert_eq!(length(), 1 << 20);
    local.delete(&admin(), &image.id).await.unwrap();
    assert_eq!(length(), 1 << 20);
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn an_id_is_given_out_again_only_to_an_image_that_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let made = Timestamp::from_second(1_000_000_000).unwrap();
    let again = |id: &ImageId| NewImage { id: Some(id.clone()), created_at: Some(made), ..raw() };
    let back = |id: &ImageId| NewImage { returning: true, ..again(id) };
    let local = open(&directory).await;
    let id = local.create(&admin(), raw(), Some(Upload::from_bytes(pattern(100)))).await.unwrap().id;
    let taken = local.create(&admin(), back(&id), None).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "it is still there");
    local.delete(&admin(), &id).await.unwrap();
    let taken = local.create(&admin(), again(&id), None).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    let image = local.create(&admin(), back(&id), None).await.unwrap();
    assert_eq!((&image.id, image.size, image.created_at), (&id, None, made));
    let upload = Some(Upload::from_bytes(pattern(50)));
    local.update(&admin(), &id, ImageChange::default(), upload).await.unwrap();
    assert_eq!(read(local.get(&admin(), &id, None).await.unwrap()).await.unwrap(), pattern(50));
    assert_whole(&local, directory.path()).await;
    drop(local);
    let local = open(&directory).await;
    assert_eq!(all(&local).await.len(), 1);
    local.delete(&admin(), &id).await.unwrap();
    let shown = local.show(&admin(), &id).await.unwrap_err();
    assert!(shown.is_of_deleted_image());
}
