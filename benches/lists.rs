//! How long merged lists take, measured against their slowest backend, and what a page of them costs, measured
//! against a small catalogue.
//!
//! `cargo bench --bench lists` prints a table; with `-- --short` it only checks that everything works. Ratios are
//! of medians within one run, because machines are noisy; nothing here fails for being slow.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../tests/federation/bent.rs"]
#[allow(dead_code)]
mod bent;
#[path = "lists/cost.rs"]
mod cost;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image_service::{
    Caller, Context, Direction, Image, ImageId, ImageService, NewImage, Query, Sort, SortKey, Timestamp,
};
use portico::federation::status::State;
use portico::federation::{Backend, Federation, Settings};

use bent::{Bend, bent};

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        slowest_not_sum(if short { 1 } else { 10 }).await;
        hung_backend(if short { 1 } else { 5 }).await;
        let sizes: &[usize] = if short { &[100] } else { &[1_000, 10_000, 100_000] };
        page_of_a_large_catalogue(if short { 3 } else { 300 }, sizes).await;
    });
}

fn holding(images: usize, backend: usize) -> Arc<dyn ImageService> {
    let memory = portico_memory::Memory::new("memory", portico_memory::Options::default());
    for number in 0..images {
        memory.seed(image(backend, number), None).unwrap();
    }
    Arc::new(memory)
}

fn image(backend: usize, number: usize) -> Image {
    let key = format!("{backend}/{number}");
    let new = NewImage { id: Some(ImageId::derived("bench", &key)), name: Some(key), ..NewImage::default() };
    let second = Timestamp::from_second(1_000_000_000 + i64::try_from(number).unwrap()).unwrap();
    new.into_image(&Caller::administrator(), second).unwrap()
}

fn federation(services: Vec<Arc<dyn ImageService>>) -> Federation {
    within(services, Duration::from_secs(5))
}

fn within(services: Vec<Arc<dyn ImageService>>, deadline: Duration) -> Federation {
    let backend = |(number, service)| Backend {
        name: format!("b{number}"),
        kind: "memory".into(),
        description: None,
        service,
        deadline,
    };
    Federation::new(services.into_iter().enumerate().map(backend).collect(), Settings::default()).unwrap()
}

fn context() -> Context {
    Context::new(Caller::administrator(), "req-bench")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn time(service: &dyn ImageService, query: &Query, rounds: usize, expected: usize) -> Duration {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        let page = service.detail(&context(), query).await.unwrap();
        times.push(start.elapsed());
        assert_eq!(page.items.len(), expected);
    }
    median(times)
}

/// 16 backends of which each takes 200 ms: the first list of a process, and later ones. Backends of 10 images have
/// their ids counted while the first page is on its way; backends of 1,100 are too large for that, so that each page
/// asks them a second time, for copies.
async fn slowest_not_sum(rounds: usize) {
    let delay = Duration::from_millis(200);
    let query = Query { limit: NonZeroUsize::new(25), ..Query::default() };
    for images in [10, 1_100] {
        let slow = |number| bent(holding(images, number), Bend::Slow(delay));
        let one = time(slow(99).as_ref(), &query, rounds, images.min(25)).await;
        let mut firsts = Vec::new();
        for _ in 0..rounds {
            firsts.push(time(&federation((0..16).map(slow).collect()), &query, 1, 25).await);
        }
        let (first, later) =
            (median(firsts), time(&federation((0..16).map(slow).collect()), &query, rounds, 25).await);
        println!(
            "list of 16 backends of {images} images at 200 ms: the first {:.1} ms, later ones {:.1} ms; one alone \
             {:.1} ms; ratios {:.3} and {:.3}",
            milliseconds(first),
            milliseconds(later),
            milliseconds(one),
            first.as_secs_f64() / one.as_secs_f64(),
            later.as_secs_f64() / one.as_secs_f64()
        );
    }
}

/// Three live backends and one that hangs for 30 s: a list within its deadline, and without it when it has failed
/// too often.
async fn hung_backend(rounds: usize) {
    let deadline = Duration::from_millis(500);
    let live = || (0..3).map(|number| holding(10, number)).collect::<Vec<_>>();
    let query = Query { limit: NonZeroUsize::new(25), ..Query::default() };
    let mut late = Vec::new();
    let mut without = Vec::new();
    let mut open = Vec::new();
    for _ in 0..rounds {
        let mut services = live();
        services.push(bent(holding(10, 3), Bend::Slow(Duration::from_secs(30))));
        let federation = within(services, deadline);
        late.push(time(&federation, &query, 1, 25).await.saturating_sub(deadline));
        for _ in 0..10 {
            if federation.status()[3].state == State::Open {
                break;
            }
            time(&federation, &query, 1, 25).await;
        }
        assert_eq!(federation.status()[3].state, State::Open);
        open.push(time(&federation, &query, 1, 25).await);
        let others = within(live(), deadline);
        time(&others, &query, 1, 25).await;
        without.push(time(&others, &query, 1, 25).await);
    }
    println!(
        "list with one of 4 backends hung: {:.2} ms beyond its deadline of {} ms; with its breaker open {:.3} ms, \
         without it {:.3} ms",
        milliseconds(median(late)),
        deadline.as_millis(),
        milliseconds(median(open)),
        milliseconds(median(without))
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The processor's time for a page of 25 out of 10 backends, and the memory that paging takes, for catalogues of
/// several sizes, of which the first is what the others are compared with. Pages are read twice: at first the
/// federation learns where their images are, within its bound on hints.
async fn page_of_a_large_catalogue(rounds: usize, sizes: &[usize]) {
    let mut smallest = Vec::new();
    for &images in sizes {
        let before = cost::resident();
        let federation = federation((0..10).map(|number| holding(images, number)).collect());
        let held = cost::resident().zip(before).map(|(after, before)| after.saturating_sub(before) * 1024);
        let each = held.map_or_else(|| "?".into(), |held| (held / (10 * images as u64)).to_string());
        println!("pages of 25 out of 10 backends of {images} images, of {each} bytes each:");
        for (number, (name, query)) in places(images).into_iter().enumerate() {
            let (_, learnt) = walk(&federation, query.clone(), rounds).await;
            let (cpu, grown) = walk(&federation, query, rounds).await;
            if number >= smallest.len() {
                smallest.push(cpu);
            }
            println!(
                "  {name}: {:.3} ms of CPU, ratio to {} images {:.2}; memory grown by {} KiB in {rounds} pages, \
                 and by {} KiB when they were read again",
                cpu.as_secs_f64() * 1e3,
                sizes[0],
                cpu.as_secs_f64() / smallest[number].as_secs_f64(),
                kibibytes(learnt),
                kibibytes(grown),
            );
        }
    }
}

fn kibibytes(count: Option<u64>) -> String {
    count.map_or_else(|| "?".into(), |count| count.to_string())
}

/// Where pages are read, in the orders that the Image API makes of `sort=created_at:desc` and `sort=name:asc`.
fn places(images: usize) -> Vec<(String, Query)> {
    let orders = [
        ("created_at:desc", Sort::default()),
        ("name:asc", Sort::by([(SortKey::Name, Direction::Asc), (SortKey::CreatedAt, Direction::Asc)])),
    ];
    let mut places = Vec::new();
    for (name, sort) in orders {
        let query = Query { sort, limit: NonZeroUsize::new(25), ..Query::default() };
        let middle = query.sort.position_of(&image(5, images / 2));
        places.push((format!("{name} from the start"), query.clone()));
        places.push((format!("{name} from the middle"), Query { position: Some(middle), ..query }));
    }
    places
}

/// Reads pages one behind the other: the median of what one costs, and by how many KiB the process grew.
async fn walk(service: &dyn ImageService, start: Query, rounds: usize) -> (Duration, Option<u64>) {
    let mut query = start.clone();
    let mut times = Vec::with_capacity(rounds);
    let before = cost::resident();
    for _ in 0..rounds {
        let begun = cost::cpu_time();
        let page = service.detail(&context(), &query).await.unwrap();
        times.push(cost::cpu_time().saturating_sub(begun));
        assert!(page.items.len() == 25 || !page.more);
        let last = page.items.last().filter(|_| page.more);
        query.position =
            last.map_or_else(|| start.position.clone(), |last| Some(query.sort.position_of(last)));
    }
    (median(times), cost::resident().zip(before).map(|(after, before)| after.saturating_sub(before)))
}
