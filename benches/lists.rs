//! How long merged lists take, measured against their slowest backend and against the bare backend.
//!
//! `cargo bench --bench lists` prints a table; with `-- --short` it only checks that everything works. Ratios are
//! of medians within one run, because machines are noisy; nothing here fails for being slow.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../tests/federation/bent.rs"]
#[allow(dead_code)]
mod bent;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image_service::{Caller, Context, ImageId, ImageService, NewImage, Query, Timestamp};
use portico::federation::{Backend, Federation, Settings};

use bent::{Bend, bent};

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        slowest_not_sum(if short { 1 } else { 10 }).await;
        page_of_a_large_catalogue(if short { 3 } else { 300 }, if short { 100 } else { 10_000 }).await;
    });
}

fn holding(images: usize, backend: usize) -> Arc<dyn ImageService> {
    let memory = portico_memory::Memory::new("memory", portico_memory::Options::default());
    for number in 0..images {
        let key = format!("{backend}/{number}");
        let new =
            NewImage { id: Some(ImageId::derived("bench", &key)), name: Some(key), ..NewImage::default() };
        let second = Timestamp::from_second(1_000_000_000 + i64::try_from(number).unwrap()).unwrap();
        memory.seed(new.into_image(&Caller::administrator(), second).unwrap(), None).unwrap();
    }
    Arc::new(memory)
}

fn federation(services: Vec<Arc<dyn ImageService>>) -> Federation {
    let backend = |(number, service)| Backend {
        name: format!("b{number}"),
        kind: "memory".into(),
        description: None,
        service,
        deadline: Duration::from_secs(5),
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

/// 16 backends of which each takes 200 ms.
async fn slowest_not_sum(rounds: usize) {
    let delay = Duration::from_millis(200);
    let slow = |number| bent(holding(10, number), Bend::Slow(delay));
    let query = Query { limit: NonZeroUsize::new(25), ..Query::default() };
    let one = time(slow(99).as_ref(), &query, rounds, 10).await;
    let all = time(&federation((0..16).map(slow).collect()), &query, rounds, 25).await;
    println!(
        "list of 16 backends at 200 ms: {:.1} ms; one alone {:.1} ms; ratio {:.3}",
        all.as_secs_f64() * 1e3,
        one.as_secs_f64() * 1e3,
        all.as_secs_f64() / one.as_secs_f64()
    );
}

/// A page of 25 out of 10 backends.
async fn page_of_a_large_catalogue(rounds: usize, images: usize) {
    let query = Query { limit: NonZeroUsize::new(25), ..Query::default() };
    let one = time(holding(images, 99).as_ref(), &query, rounds, 25).await;
    let services = (0..10).map(|number| holding(images, number)).collect();
    let all = time(&federation(services), &query, rounds, 25).await;
    println!(
        "page of 25 out of 10 backends of {images} images: {:.3} ms; one backend alone {:.3} ms",
        all.as_secs_f64() * 1e3,
        one.as_secs_f64() * 1e3
    );
}
