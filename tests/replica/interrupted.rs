//! Copying that ends anywhere, and is begun again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_service::{Image, ImageChange, ImageId, ImageService as _, Upload};
use portico::replica::{Copying, Effect, Kept, MARK, Outcome, Progress, Side, Verdict, copy};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::stage::{
    Notes, bytes, check_no_half_copies, context, copied, copied_before, copying, counts, data, differences,
    fill, id, images, local, memory, record, side,
};

/// More than a piece of any backend.
const SIZE: usize = 1_500_000;

/// Lets something happen when so much has happened.
struct Fuse {
    left: AtomicUsize,
    burnt: Notify,
    /// Cancelled in that moment, before anything more can begin.
    stop: CancellationToken,
}

impl Fuse {
    fn of(events: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(events),
            burnt: Notify::new(),
            stop: CancellationToken::new(),
        })
    }

    fn burn(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.burnt.notify_one();
            self.stop.cancel();
        }
    }
}

impl Progress for Fuse {
    fn began(&self, _image: &Image) {
        self.burn();
    }
    fn moved(&self, _id: &ImageId, _bytes: u64) {
        self.burn();
    }
    fn ended(&self, _image: &Image, _outcome: &Outcome) {
        self.burn();
    }
}

/// Copies until so much has happened, and drops it there. Whether it was over before.
async fn cut(from: &Side, to: &Side, settings: &Copying, events: usize) -> bool {
    let (fuse, stop) = (Fuse::of(events), CancellationToken::new());
    let progress = Arc::clone(&fuse) as Arc<dyn Progress>;
    tokio::select! {
        biased;
        () = fuse.burnt.notified() => false,
        _ = copy(from, to, settings, &stop, &progress) => true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_cut_anywhere_goes_on_and_comes_to_the_same_end() {
    let a = memory();
    fill(a.as_ref(), 0..6, SIZE).await;
    let a = side("a", a);
    let mut random = fastrand::Rng::with_seed(20);
    let mut resumed = 0;
    for round in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let b = side("b", Arc::new(local(directory.path()).await));
        for _ in 0..3 {
            cut(&a, &b, &copying(), random.usize(1..24)).await;
            check_no_half_copies(&a, &b).await;
        }
        let last = copied(&a, &b, &copying()).await;
        assert_eq!((last.verdict, last.failed), (Verdict::Equal, 0), "{round}: {last:?}");
        assert_eq!(differences(&a, &b).await, [], "{round}");
        assert!(images(&b).await.iter().all(|image| !image.properties.contains_key(MARK)));
        for number in 0..6 {
            assert!(bytes(&b, &id(number)).await == data(number, SIZE), "{round}: {number}");
        }
        resumed += last.resumed;
    }
    assert!(resumed > 0, "no copy was cut in its middle");
}

#[tokio::test]
async fn a_copy_that_has_its_data_but_is_not_finished_is_finished() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), [1], 10).await;
    let (a, b) = (side("a", a), side("b", b));
    copied(&a, &b, &copying()).await;
    // As it was before the last step.
    let properties = [(MARK.to_owned(), Some("a".to_owned()))].into();
    let back = ImageChange { properties, protected: Some(false), ..ImageChange::default() };
    b.service.update(&context(), &id(1), back, None).await.unwrap();
    let last = copied(&a, &b, &copying()).await;
    assert_eq!((last.verdict, counts(&last), last.bytes), (Verdict::Equal, [0, 1, 0, 0, 0, 0], 0));
    assert_eq!(differences(&a, &b).await, []);
    assert!(!images(&b).await[0].properties.contains_key(MARK));
}

#[tokio::test]
async fn a_copy_that_is_finished_later_has_no_property_that_it_was_not_to_get() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), [3], 10).await;
    let (a, b) = (side("a", a), side("b", b));
    copied(&a, &b, &copying()).await;
    // As it was before the last step, of a run that was to copy them all.
    let marks = [(MARK, "a"), ("os_glance_note", "its own")];
    let properties = marks.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).into();
    let back = ImageChange { properties, ..ImageChange::default() };
    b.service.update(&context(), &id(3), back, None).await.unwrap();
    let settings = Copying { kept: Kept::Only(["key 1".to_owned()].into()), ..copying() };
    let last = copied(&a, &b, &settings).await;
    assert_eq!((last.verdict, counts(&last)), (Verdict::Equal, [0, 1, 0, 0, 0, 0]));
    let there = images(&b).await.remove(0);
    assert_eq!(there.properties.keys().collect::<Vec<_>>(), ["key 1", "os_glance_note"]);
}

#[tokio::test]
async fn a_dry_run_tells_which_copies_that_broke_off_would_be_filled_finished_or_removed() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..3, 10).await;
    for (number, there) in [(0, None), (1, Some(1)), (2, Some(9))] {
        let mut new = record(number);
        new.properties.insert(MARK.into(), "a".into());
        let upload = there.map(|there| Upload::from_bytes(data(there, 10)));
        b.create(&context(), new, upload).await.unwrap();
    }
    let (a, b) = (side("a", a), side("b", b));
    let (before, notes) = (images(&b).await, Arc::new(Notes::default()));
    let settings = Copying { effect: Effect::Told, ..copying() };
    let told = copied_before(&a, &b, &settings, Arc::clone(&notes) as _).await;
    assert_eq!((told.verdict, counts(&told), told.bytes), (Verdict::Different, [0, 2, 0, 0, 1, 0], 10));
    let mut lines = notes.lines();
    lines.sort();
    let resumed = |bytes| format!("Resumed(Moved {{ bytes: {bytes}, verified: None }})");
    assert_eq!(lines[..2], [resumed(0), resumed(10)]);
    assert!(lines[2].ends_with("would be removed"), "{lines:?}");
    assert_eq!(images(&b).await, before);
}

#[tokio::test]
async fn other_data_under_our_mark_is_removed_and_copied_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (memory(), local(directory.path()).await);
    fill(a.as_ref(), [2], 10).await;
    let mut new = record(2);
    new.properties.insert(MARK.into(), "a".into());
    b.create(&context(), new, Some(Upload::from_bytes(data(3, 10)))).await.unwrap();
    let (a, b) = (side("a", a), side("b", Arc::new(b)));
    let first = copied(&a, &b, &copying()).await;
    assert_eq!((first.verdict, counts(&first)), (Verdict::Different, [0, 0, 0, 0, 0, 1]));
    assert_eq!(images(&b).await, []);
    assert_eq!(counts(&copied(&a, &b, &copying()).await), [1, 0, 0, 0, 0, 0]);
    assert_eq!(differences(&a, &b).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_it_finishes_what_is_under_way_and_begins_nothing_more() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), 0..9, SIZE).await;
    let (a, b) = (side("a", a), side("b", b));
    let fuse = Fuse::of(3);
    let progress = Arc::clone(&fuse) as Arc<dyn Progress>;
    let copied = copy(&a, &b, &copying(), &fuse.stop, &progress).await;
    assert_eq!((copied.verdict, copied.failed), (Verdict::Unknown, 0));
    assert!((1..9).contains(&copied.copied), "{copied:?}");
    assert_eq!(images(&b).await.len() as u64, copied.copied);
    check_no_half_copies(&a, &b).await;
    assert!(images(&b).await.iter().all(|image| !image.properties.contains_key(MARK)));
}

#[tokio::test]
async fn asked_to_stop_when_all_is_under_way_it_knows_that_all_is_there() {
    let (a, b) = (memory(), memory());
    fill(a.as_ref(), [1], SIZE).await;
    let (a, b) = (side("a", a), side("b", b));
    let fuse = Fuse::of(1);
    let progress = Arc::clone(&fuse) as Arc<dyn Progress>;
    let last = copy(&a, &b, &copying(), &fuse.stop, &progress).await;
    assert_eq!((last.verdict, counts(&last)), (Verdict::Equal, [1, 0, 0, 0, 0, 0]));
    let none = copy(&a, &side("c", memory()), &copying(), &fuse.stop, &progress).await;
    assert_eq!((none.verdict, counts(&none)), (Verdict::Unknown, [0; 6]));
}
