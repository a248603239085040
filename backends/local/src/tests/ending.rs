//! Uploads that are left, stopped, met by others, or undone: one end or the other, and nothing between.

use std::sync::Arc;

use futures::FutureExt;
use image_service::{ErrorKind, ImageChange, Timestamp};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::claim::Claim;
use crate::incoming::Incoming;
use crate::piece::Gathering;
use crate::store::Store;
use portico_catalogue::{self as catalogue, Keeper};

#[tokio::test]
async fn when_the_caller_goes_away_in_the_middle_the_upload_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    let (watch, mut told) = watched();
    let local = open_watched(&directory, watch).await;
    let image = local.create(&admin(), raw(), None).await.unwrap();
    let (context, new) = (admin(), NewImage { id: Some(ImageId::random()), ..raw() });
    for into_new in [true, false] {
        let (sender, upload) = sent();
        let mut call = if into_new {
            local.create(&context, new.clone(), Some(upload))
        } else {
            local.update(&context, &image.id, ImageChange::default(), Some(upload))
        };
        assert!((&mut call).now_or_never().is_none());
        sender.send(Ok(pattern(10_000))).await.unwrap();
        reached(&mut told, Step::Written).await;
        if !into_new {
            assert_eq!(local.show(&context, &image.id).await.unwrap().status, Status::Saving);
        }
        drop(call);
        reached(&mut told, Step::Undone).await;
        assert!(sender.is_closed());
        let shown = all(&local).await;
        assert_eq!(shown.iter().map(|image| image.status).collect::<Vec<_>>(), [Status::Queued]);
        assert_whole(&local, directory.path()).await;
    }
    let again =
        local.update(&context, &image.id, ImageChange::default(), Some(Upload::from_bytes("x"))).await;
    assert_eq!(again.unwrap().status, Status::Active);
}

#[tokio::test]
async fn when_the_caller_goes_away_after_the_last_byte_the_image_becomes_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (tell, mut told) = unbounded_channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let watch = Watch::with(move |step| {
        tell.send(step).ok();
        if step == Step::Synced {
            gone.lock().unwrap().recv().ok();
        }
        Ok(())
    });
    let local = open_watched(&directory, watch).await;
    let context = admin();
    let mut call = local.create(&context, raw(), Some(Upload::from_bytes(pattern(10_000))));
    assert!((&mut call).now_or_never().is_none());
    reached(&mut told, Step::Synced).await;
    drop(call);
    go.send(()).unwrap();
    reached(&mut told, Step::Finished).await;
    assert_eq!(all(&local).await.len(), 1);
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn of_uploads_to_one_image_or_one_id_one_is_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let (watch, mut told) = watched();
    let local = open_watched(&directory, watch).await;
    let context = admin();
    let image = local.create(&context, raw(), None).await.unwrap();
    let (to_image, upload) = sent();
    let mut update = local.update(&context, &image.id, ImageChange::default(), Some(upload));
    assert!((&mut update).now_or_never().is_none());
    reached(&mut told, Step::Claimed).await;
    let late =
        local.update(&context, &image.id, ImageChange::default(), Some(Upload::from_bytes("late"))).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);

    let new = NewImage { id: Some(ImageId::random()), ..raw() };
    let (to_new, upload) = sent();
    let mut create = local.create(&context, new.clone(), Some(upload));
    assert!((&mut create).now_or_never().is_none());
    reached(&mut told, Step::Claimed).await;
    for late in [None, Some(Upload::from_bytes("late"))] {
        let late = local.create(&context, new.clone(), late).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
    for sender in [to_image, to_new] {
        sender.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    }
    for image in [update.await.unwrap(), create.await.unwrap()] {
        assert_eq!(read(local.get(&context, &image.id, None).await.unwrap()).await.unwrap(), b"first");
    }
    assert_whole(&local, directory.path()).await;
}

#[tokio::test]
async fn deleting_an_image_stops_the_upload_to_it_even_if_nothing_more_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let (watch, mut told) = watched();
    let local = open_watched(&directory, watch).await;
    let context = admin();
    let image = local.create(&context, raw(), None).await.unwrap();
    let (sender, upload) = sent();
    let mut update = local.update(&context, &image.id, ImageChange::default(), Some(upload));
    assert!((&mut update).now_or_never().is_none());
    sender.send(Ok(pattern(10_000))).await.unwrap();
    reached(&mut told, Step::Written).await;
    local.delete(&context, &image.id).await.unwrap();
    assert_eq!(update.await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(all(&local).await.is_empty());
    assert_whole(&local, directory.path()).await;
    let again = NewImage { id: Some(image.id), ..raw() };
    assert_eq!(local.create(&context, again, None).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn closing_stops_uploads_and_lets_the_next_process_in() {
    let directory = tempfile::tempdir().unwrap();
    let (watch, mut told) = watched();
    let local = open_watched(&directory, watch).await;
    let context = admin();
    let image = local.create(&context, raw(), None).await.unwrap();
    let (_sender, upload) = sent();
    let mut update = local.update(&context, &image.id, ImageChange::default(), Some(upload));
    assert!((&mut update).now_or_never().is_none());
    reached(&mut told, Step::Claimed).await;
    let ((), ended) = futures::join!(local.close(), update);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(local.show(&context, &image.id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(local.create(&context, raw(), None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(local);
    let local = open(&directory).await;
    assert_eq!(local.show(&context, &image.id).await.unwrap().status, Status::Queued);
    assert_whole(&local, directory.path()).await;
}

#[test]
fn a_runtime_that_goes_down_in_the_middle_of_an_upload_leaves_nothing_half() {
    let directory = tempfile::tempdir().unwrap();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let local = first.block_on(async {
        let (watch, mut told) = watched();
        let local = open_watched(&directory, watch).await;
        let (context, (sender, upload)) = (admin(), sent());
        let image = local.create(&context, raw(), None).await.unwrap();
        let mut update = local.update(&context, &image.id, ImageChange::default(), Some(upload));
        assert!((&mut update).now_or_never().is_none());
        sender.send(Ok(pattern(5000))).await.unwrap();
        reached(&mut told, Step::Written).await;
        drop(update);
        drop(sender);
        local
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(all(&local).await.len(), 1);
        assert_whole(&local, directory.path()).await;
    });
}

#[test]
fn an_image_that_became_active_though_its_transaction_seemed_to_fail_keeps_its_data() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(options(directory.path()), Watch::default()).unwrap();
    let (store, caller) = (Arc::new(store), Caller::administrator());
    let image = store.create(&caller, raw()).unwrap();
    let claim =
        Claim::for_change(&store, &caller, &image.id, ImageChange::default(), CancellationToken::new());
    let claim = claim.unwrap();
    let mut incoming = Incoming::create(store.directory()).unwrap();
    let (mut gathering, mut digester) = (Gathering::of(5), Digester::default());
    gathering.take(&mut Bytes::from_static(b"whole"));
    incoming.append(&gathering.end()).unwrap();
    incoming.place(store.directory(), &image.id).unwrap();
    digester.update(b"whole");
    let digests = digester.finish(None).unwrap();
    let activated = store.catalogue().write(|transaction| {
        let mut image = catalogue::must_find(transaction, &image.id)?;
        image.finish_upload(digests, Timestamp::now());
        catalogue::replace_image(transaction, &image)?;
        Ok(image)
    });
    drop(claim);
    assert_eq!(store.show(&caller, &image.id, Arc::default()).unwrap(), activated.unwrap());
    assert_eq!(names(directory.path(), "data"), BTreeSet::from([image.id.to_string()]));
}

#[test]
fn an_upload_let_in_while_the_last_one_is_being_undone_can_still_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let ((tell, told), (go, gone)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let gone = std::sync::Mutex::new(gone);
    let watch = Watch::with(move |step| {
        if step == Step::Undone {
            tell.send(()).ok();
            gone.lock().unwrap().recv().ok();
        }
        Ok(())
    });
    let store = Arc::new(Store::open(options(directory.path()), watch).unwrap().0);
    let caller = Caller::administrator();
    let image = store.create(&caller, raw()).unwrap();
    let stop = CancellationToken::new();
    let claim = |stop: &CancellationToken| {
        Claim::for_change(&store, &caller, &image.id, ImageChange::default(), stop.clone()).unwrap()
    };
    let first = claim(&CancellationToken::new());
    let undoing = std::thread::spawn(move || drop(first));
    told.recv().unwrap();
    let second = claim(&stop);
    drop(go);
    undoing.join().unwrap();
    store.delete(&caller, &image.id).unwrap();
    assert!(stop.is_cancelled());
    drop(second);
}
