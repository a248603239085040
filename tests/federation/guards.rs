//! What stands around every call to a backend, and what is told of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use image_service::{
    Direction, ErrorKind, Image, ImageId, ImageService, NewImage, Page, Query, Sort, SortKey, SourceState,
    Upload,
};
use portico::federation::status::{Flow, Observer, Outcome, Resumed, State};
use portico::federation::{Federation, Guarding, Resuming, Settings};
use tokio::time::Instant;

use crate::DEADLINE;
use crate::bent::{Bend, bent};
use crate::made_of::{Named, backend, concrete, context, holding, image, memory};
use crate::moody::{Mood, Moody};
use crate::paper;

/// Keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// What it was told since it was last asked.
    pub(crate) fn all(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Told {
    fn call(&self, backend: &str, operation: &'static str, outcome: Outcome, _: Duration) {
        self.note(format!("{backend} {operation} {outcome:?}"));
    }
    fn bytes(&self, backend: &str, flow: Flow, bytes: u64) {
        self.note(format!("{backend} {flow:?} {bytes}"));
    }
    fn state(&self, backend: &str, state: State) {
        self.note(format!("{backend} is {state}"));
    }
    fn retry(&self, backend: &str, operation: &'static str) {
        self.note(format!("{backend} {operation} again"));
    }
    fn hedge(&self, backend: &str, operation: &'static str) {
        self.note(format!("{backend} {operation} elsewhere"));
    }
    fn resume(&self, backend: &str, resumed: Resumed) {
        self.note(format!("{backend} resumed {resumed:?}"));
    }
    fn corrupt(&self, backend: &str) {
        self.note(format!("{backend} corrupt"));
    }
}

#[tokio::test]
async fn every_call_is_told_with_its_outcome_and_the_status_says_what_failed() {
    let told = Arc::new(Told::default());
    let dead = bent(memory().await, Bend::Dead(ErrorKind::Internal));
    let federation = concrete(vec![("live", holding([1])), ("dead", dead)]).observed(told.clone());
    federation.detail(&context(), &Query::default()).await.unwrap();
    let mut lines = told.all();
    // Ids are counted beside the list.
    lines.retain(|line| !line.contains("census"));
    assert_eq!(lines, ["live detail Ok", "dead is failing", "dead detail Failure(Internal)"]);
    federation.show(&context(), &image(2).id).await.unwrap_err();
    assert!(told.all().contains(&"live show Refusal(NotFound)".to_owned()));

    let status = federation.status();
    assert_eq!((status[0].state, status[1].state), (State::Ok, State::Failing));
    assert_eq!(status[0].last_error, None);
    let last = status[1].last_error.clone().unwrap();
    assert_eq!((last.operation, last.kind), ("show", ErrorKind::Internal));
    assert_eq!(last.message, "this backend is dead");
    assert_eq!(status[1].calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_goes_away_is_cancelled_and_counts_no_more() {
    let told = Arc::new(Told::default());
    let slow = bent(holding([1]), Bend::Slow(Duration::from_secs(30)));
    let federation = concrete(vec![("slow", slow)]).observed(told.clone());
    let (context, query) = (context(), Query::default());
    let list = federation.detail(&context, &query);
    assert!(tokio::time::timeout(Duration::from_millis(10), list).await.is_err());
    assert_eq!(told.all(), ["slow detail Cancelled"]);
    assert_eq!((federation.status()[0].calls, federation.status()[0].state), (0, State::Ok));
}

fn guarded(members: Vec<Named>, guarding: Guarding) -> Federation {
    let resuming = Resuming { attempts: 0, ..Resuming::default() };
    let settings = Settings { guarding, resuming, ..Settings::default() };
    Federation::new(members.into_iter().map(backend).collect(), settings).unwrap()
}

/// Without what another test is about.
fn plain() -> Guarding {
    Guarding { retries: 0, hedge_percent: 0, ..Guarding::default() }
}

/// A live backend with image 2, and one in some mood with image 1.
fn beside(mood: Mood, guarding: Guarding) -> (Arc<Moody>, Federation) {
    let moody = Moody::new(holding([1]), mood);
    let federation = guarded(vec![("live", holding([2])), ("moody", moody.clone())], guarding);
    (moody, federation)
}

async fn list(federation: &Federation) -> Page<Image> {
    federation.detail(&context(), &Query::default()).await.unwrap()
}

/// How the backend called `moody` fared in a list.
async fn fares(federation: &Federation) -> SourceState {
    list(federation).await.sources[1].state
}

fn state(federation: &Federation) -> State {
    federation.status()[1].state
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_too_often_is_not_asked_and_the_list_waits_for_the_others_alone() {
    let (moody, federation) = beside(Mood::Hangs, plain());
    for _ in 0..5 {
        let start = Instant::now();
        assert_eq!(fares(&federation).await, SourceState::Timeout);
        assert_eq!(start.elapsed(), DEADLINE);
    }
    assert_eq!((moody.asked(), state(&federation)), (5, State::Open));
    let start = Instant::now();
    let page = list(&federation).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((page.sources[1].state, page.items.len()), (SourceState::Open, 1));
    assert_eq!(moody.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_the_next_call_tries_is_not_called_open_though_nobody_calls() {
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Refused), plain());
    for _ in 0..5 {
        list(&federation).await;
    }
    let open = federation.status()[1].clone();
    assert_eq!(open.state, State::Open);
    moody.asked();
    tokio::time::advance(Duration::from_secs(2)).await;
    let due = federation.status()[1].clone();
    assert_eq!((due.state, due.since), (State::Probing, open.since));
    assert_eq!(moody.asked(), 0);
    list(&federation).await;
    assert_eq!((moody.asked(), state(&federation)), (1, State::Open));
}

#[tokio::test(start_paused = true)]
async fn no_refusal_of_a_backend_that_is_up_keeps_it_from_being_asked() {
    for kind in [ErrorKind::Refused, ErrorKind::Unavailable, ErrorKind::Unauthenticated, ErrorKind::Internal]
    {
        let (moody, federation) = beside(Mood::Refuses(kind), Guarding::default());
        for _ in 0..50 {
            assert_ne!(fares(&federation).await, SourceState::Open, "{kind:?}");
        }
        assert_eq!((moody.asked(), state(&federation)), (50, State::Failing), "{kind:?}");
    }
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Forbidden), Guarding::default());
    for _ in 0..50 {
        assert_eq!(fares(&federation).await, SourceState::Refused);
    }
    assert_eq!((moody.asked(), state(&federation)), (50, State::Ok));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_back_after_a_long_outage_is_seen_within_ten_seconds() {
    for mood in [Mood::Hangs, Mood::Fails(ErrorKind::Refused)] {
        let (moody, federation) = beside(mood, plain());
        let end = Instant::now() + Duration::from_secs(600);
        while Instant::now() < end {
            list(&federation).await;
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let asked = moody.asked();
        assert!(asked < 100, "asked {asked} times in ten minutes");
        moody.is_now(Mood::Well);
        let back = Instant::now();
        while fares(&federation).await != SourceState::Ok {
            assert!(back.elapsed() <= Duration::from_secs(10), "{mood:?}");
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(state(&federation), State::Ok);
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_state_are_told_once_each() {
    let told = Arc::new(Told::default());
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Refused), plain());
    let federation = federation.observed(told.clone());
    for _ in 0..20 {
        list(&federation).await;
    }
    let since = federation.status()[1].since;
    tokio::time::advance(Duration::from_secs(2)).await;
    list(&federation).await;
    assert_eq!(federation.status()[1].since, since, "still out, and for as long");
    moody.is_now(Mood::Well);
    tokio::time::advance(Duration::from_secs(10)).await;
    list(&federation).await;
    let states: Vec<String> = told.all().into_iter().filter(|line| line.contains(" is ")).collect();
    let expected = ["failing", "open", "probing", "open", "probing", "ok"];
    assert_eq!(states, expected.map(|state| format!("moody is {state}")));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_line_when_it_begins_one_when_the_backend_is_given_up_and_one_when_it_is_over() {
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Refused), plain());
    let sheet = paper::lay();
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        list(&federation).await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    moody.is_now(Mood::Well);
    tokio::time::advance(Duration::from_secs(10)).await;
    list(&federation).await;
    let lines: Vec<String> = sheet
        .lines()
        .iter()
        .filter(|line| ["WARN", "INFO"].contains(&line["level"].as_str().unwrap()))
        .map(|line| format!("{}: {}", line["fields"]["backend"], line["fields"]["message"]))
        .collect();
    let expected = [
        r#""moody": "backend is failing""#,
        r#""moody": "backend fails too often and is not asked for now""#,
        r#""moody": "backend answers again""#,
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn of_many_calls_to_a_backend_that_may_be_back_one_is_let_through() {
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Refused), plain());
    for _ in 0..5 {
        list(&federation).await;
    }
    moody.asked();
    moody.is_now(Mood::Takes(Duration::from_millis(100)));
    tokio::time::advance(Duration::from_secs(2)).await;
    let states = join_all((0..10).map(|_| fares(&federation))).await;
    assert_eq!(states.iter().filter(|state| **state == SourceState::Ok).count(), 1);
    assert_eq!(states.iter().filter(|state| **state == SourceState::Open).count(), 9);
    assert_eq!((moody.asked(), state(&federation)), (1, State::Ok));
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_goes_away_makes_room_for_the_next() {
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Refused), plain());
    for _ in 0..5 {
        list(&federation).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    moody.is_now(Mood::Hangs);
    let short = Duration::from_millis(10);
    assert!(tokio::time::timeout(short, list(&federation)).await.is_err());
    moody.is_now(Mood::Well);
    assert_eq!(fares(&federation).await, SourceState::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_write_to_a_backend_that_is_not_asked_fails_at_once_and_the_one_that_comes_in_time_is_the_probe() {
    let moody = Moody::new(memory().await, Mood::Fails(ErrorKind::Refused));
    let federation = guarded(vec![("moody", moody.clone())], plain());
    for _ in 0..5 {
        federation.create(&context(), NewImage::default(), None).await.unwrap_err();
    }
    assert_eq!(moody.asked(), 5);
    moody.is_now(Mood::Well);
    let error = federation.create(&context(), NewImage::default(), None).await.unwrap_err();
    assert_eq!((error.kind(), moody.asked()), (ErrorKind::Unavailable, 0));
    assert!(error.message().contains("'moody'"), "{error}");
    tokio::time::advance(Duration::from_secs(2)).await;
    federation.create(&context(), NewImage::default(), None).await.unwrap();
    assert_eq!(federation.status()[0].state, State::Ok);
}

#[tokio::test(start_paused = true)]
async fn when_no_backend_is_asked_a_list_fails_at_once_and_names_them_all() {
    let down =
        |name| (name, Moody::new(holding([]), Mood::Fails(ErrorKind::Refused)) as Arc<dyn ImageService>);
    let federation = guarded(vec![down("a"), down("b")], plain());
    for _ in 0..5 {
        federation.detail(&context(), &Query::default()).await.unwrap_err();
    }
    let start = Instant::now();
    let error = federation.detail(&context(), &Query::default()).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Unavailable, Duration::ZERO));
    assert!(error.message().contains("a (open), b (open)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_held_against_a_backend_from_a_time_that_can_be_set() {
    let slow_call = Some(Duration::from_millis(300));
    let (_, patient) = beside(Mood::Takes(Duration::from_millis(400)), plain());
    let (_, strict) = beside(Mood::Takes(Duration::from_millis(400)), Guarding { slow_call, ..plain() });
    for _ in 0..10 {
        assert_eq!(fares(&patient).await, SourceState::Ok);
        assert_eq!(fares(&strict).await, SourceState::Ok);
    }
    assert_eq!((state(&patient), state(&strict)), (State::Ok, State::Open));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_over_our_own_bound_says_nothing_against_a_backend_and_is_not_tried_again() {
    let moody = Moody::new(bent(holding(0..10), Bend::IgnoresCase), Mood::Well);
    let settings = Settings { resort_limit: 5, ..Settings::default() };
    let backends = vec![backend(("live", holding([]))), backend(("moody", moody.clone()))];
    let federation = Federation::new(backends, settings).unwrap();
    let sort = Sort::by([(SortKey::Size, Direction::Asc)]);
    for _ in 0..20 {
        let query = Query { sort: sort.clone(), ..Query::default() };
        let page = federation.detail(&context(), &query).await.unwrap();
        assert_eq!(page.sources[1].state, SourceState::Error);
    }
    // Once in the order asked for, and once whole.
    assert_eq!(moody.asked(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_a_hurry_says_nothing_against_a_backend() {
    let (moody, federation) = beside(Mood::Hangs, plain());
    for _ in 0..20 {
        let mut context = context();
        context.deadline = Some((Instant::now() + DEADLINE / 4).into_std());
        let page = federation.detail(&context, &Query::default()).await.unwrap();
        assert_eq!(page.sources[1].state, SourceState::Timeout);
    }
    assert_eq!(moody.asked(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_federation_of_which_a_part_is_down_is_not_down_as_a_whole() {
    let dead = Moody::new(holding([]), Mood::Fails(ErrorKind::Unavailable));
    let inner = guarded(vec![("x", holding([1])), ("y", dead)], plain());
    let outer = guarded(vec![("live", holding([2])), ("inner", Arc::new(inner))], Guarding::default());
    let told = Arc::new(Told::default());
    let outer = outer.observed(told.clone());
    for _ in 0..20 {
        outer.show(&context(), &image(3).id).await.unwrap_err();
    }
    assert!(told.all().iter().all(|line| !line.ends_with("open") && !line.ends_with("again")));
    assert_eq!(list(&outer).await.items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_under_way_than_allowed_and_the_others_wait_their_turn() {
    let guarding = Guarding { calls: 2, ..plain() };
    let (moody, federation) = beside(Mood::Takes(DEADLINE / 10), guarding);
    let start = Instant::now();
    let states = join_all((0..10).map(|_| fares(&federation))).await;
    assert_eq!(states, [SourceState::Ok; 10]);
    assert_eq!((moody.most_under_way(), start.elapsed()), (2, DEADLINE / 2));
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_turn_in_time_learns_that_the_store_is_busy_and_nobody_blames_it() {
    let guarding = Guarding { calls: 1, queue: 1, ..plain() };
    let moody = Moody::new(holding([1]), Mood::Takes(DEADLINE - Duration::from_millis(1)));
    let federation = guarded(vec![("moody", moody.clone())], guarding);
    for _ in 0..10 {
        let (context, query) = (context(), Query::default());
        let start = Instant::now();
        let asked = async || {
            let answer = federation.detail(&context, &query).await;
            (answer.map_err(|error| error.chain()), start.elapsed())
        };
        let (first, second, third) = futures::join!(asked(), asked(), asked());
        assert!(first.0.is_ok());
        // The second had its turn a moment before its time was up.
        assert_eq!(second.1, DEADLINE);
        assert!(third.0.unwrap_err().contains("store 'moody' is busy"));
        assert_eq!(third.1, Duration::ZERO);
    }
    assert_eq!(federation.status()[0].calls, 0);
    assert_ne!(federation.status()[0].state, State::Open);
}

async fn with_data(mood: Mood) -> (Arc<Moody>, ImageId) {
    let inner = memory().await;
    let new = NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    let image = inner.create(&context(), new, Some(Upload::from_bytes("0123456789"))).await.unwrap();
    (Moody::new(inner, mood), image.id)
}

#[tokio::test(start_paused = true)]
async fn a_download_keeps_its_place_until_its_data_is_read_or_dropped() {
    let (moody, id) = with_data(Mood::Well).await;
    let federation = guarded(vec![("moody", moody)], Guarding { streams: 1, ..plain() });
    let download = federation.get(&context(), &id, None).await.unwrap();
    assert_eq!(federation.status()[0].streams, 1);
    let error = federation.get(&context(), &id, None).await.unwrap_err();
    assert!(error.message().contains("busy"), "{error}");
    // What carries no data is not kept waiting.
    federation.show(&context(), &id).await.unwrap();
    let bytes: Vec<Bytes> = download.data.unwrap().into_stream().try_collect().await.unwrap();
    assert_eq!(bytes.concat(), b"0123456789");
    assert_eq!(federation.status()[0].streams, 0);
    drop(federation.get(&context(), &id, None).await.unwrap());
    assert_eq!(federation.status()[0].streams, 0);
    federation.get(&context(), &id, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_download_that_stands_still_ends_in_an_error_and_gives_up_its_place() {
    let (moody, id) = with_data(Mood::Stalls).await;
    let told = Arc::new(Told::default());
    let federation = guarded(vec![("moody", moody)], plain()).observed(told.clone());
    let mut stream = federation.get(&context(), &id, None).await.unwrap().data.unwrap().into_stream();
    assert_eq!(stream.next().await.unwrap().unwrap(), "x");
    let start = Instant::now();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (ErrorKind::TimedOut, plain().idle));
    assert_eq!(error.origin().unwrap().backend, "moody");
    assert!(stream.next().await.is_none());
    assert_eq!(federation.status()[0].streams, 0);
    assert!(federation.status()[0].last_error.as_ref().unwrap().message.starts_with("no image data came"));
    assert!(told.all().contains(&"moody Down 1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_reader_takes_is_not_the_backends() {
    let (moody, id) = with_data(Mood::Stalls).await;
    let federation = guarded(vec![("moody", moody)], plain());
    let mut stream = federation.get(&context(), &id, None).await.unwrap().data.unwrap().into_stream();
    tokio::time::advance(10 * plain().idle).await;
    assert!(stream.next().await.unwrap().is_ok());
    tokio::time::advance(10 * plain().idle).await;
    let start = Instant::now();
    // It asks, goes away for long, and asks again: it is from then on that the backend is waited for.
    assert!(stream.next().now_or_never().is_none());
    tokio::time::advance(10 * plain().idle).await;
    assert!(stream.next().now_or_never().is_none());
    assert!(stream.next().await.unwrap().is_err());
    assert_eq!(start.elapsed(), 11 * plain().idle);
}

#[tokio::test(start_paused = true)]
async fn uploads_through_federations_of_federations_wait_for_their_places_and_all_get_through() {
    let guarding = Guarding { streams: 1, calls: 1, ..plain() };
    let inner =
        guarded(vec![("x", Moody::new(memory().await, Mood::Takes(DEADLINE / 10)))], guarding.clone());
    let told = Arc::new(Told::default());
    let outer = guarded(vec![("inner", Arc::new(inner))], guarding).observed(told.clone());
    let new = NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    let made = join_all((0..5).map(async |_| {
        outer.create(&context(), new.clone(), Some(Upload::from_bytes("0123"))).await.unwrap()
    }))
    .await;
    assert_eq!(made.len(), 5);
    assert_eq!(told.all().iter().filter(|line| *line == "inner Up 4").count(), 5);
    assert_eq!(list(&outer).await.items.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_in_passing_is_tried_again_and_a_write_is_not() {
    let told = Arc::new(Told::default());
    let (moody, federation) = beside(Mood::FailsFor(2, ErrorKind::Unavailable), Guarding::default());
    let federation = federation.observed(told.clone());
    assert_eq!(fares(&federation).await, SourceState::Ok);
    assert_eq!(moody.asked(), 3);
    assert_eq!(told.all().iter().filter(|line| *line == "moody detail again").count(), 2);

    moody.is_now(Mood::FailsFor(1, ErrorKind::Unavailable));
    let there = NewImage { store: Some("moody".into()), ..NewImage::default() };
    federation.create(&context(), there, None).await.unwrap_err();
    assert_eq!(moody.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_ran_out_of_time_or_was_refused_is_not_tried_again() {
    let slow = Mood::Takes(2 * DEADLINE);
    for mood in [slow, Mood::Refuses(ErrorKind::Unavailable), Mood::Fails(ErrorKind::TimedOut)] {
        let (moody, federation) = beside(mood, Guarding::default());
        assert_ne!(fares(&federation).await, SourceState::Ok);
        assert_eq!(moody.asked(), 1, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_met_with_few_calls_more_than_were_asked_for() {
    let guarding = Guarding { failures: u32::MAX, ..Guarding::default() };
    let (moody, federation) = beside(Mood::Fails(ErrorKind::Unavailable), guarding);
    for _ in 0..1000 {
        list(&federation).await;
    }
    let asked = moody.asked();
    assert!((1190..=1210).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_caller_goes_away_ends_behind_too_and_gives_up_its_place() {
    let (moody, federation) = beside(Mood::Hangs, Guarding { calls: 1, ..plain() });
    for _ in 0..3 {
        let (context, query) = (context(), Query::default());
        let mut call = Box::pin(federation.detail(&context, &query));
        assert!((&mut call).now_or_never().is_none());
        assert_eq!(federation.status()[1].calls, 1);
        drop(call);
        moody.dropped().await;
        assert_eq!(federation.status()[1].calls, 0);
    }
    assert_eq!(state(&federation), State::Ok);
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_how_long_reads_took_of_late() {
    let (moody, federation) = beside(Mood::Well, plain());
    for number in 1..=100 {
        moody.is_now(Mood::Takes(Duration::from_millis(number)));
        list(&federation).await;
    }
    let latency = federation.status()[1].latency;
    let millis = [latency.p50, latency.p90, latency.p99].map(|time| time.unwrap().as_millis());
    assert_eq!(millis, [50, 90, 99]);
}
