//! How fast data comes in to a directory, measured against what bounds it: the disk, and the hashes, each alone.
//!
//! `cargo bench --bench upload` prints a table; with `-- --short` it only checks that everything works. The directory
//! is that in `PORTICO_BENCH_DIRECTORY`, or one for temporary files; then one in memory, where there is one. Ratios
//! are of medians within one run, because machines are noisy; nothing here fails for being slow.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "lists/cost.rs"]
#[allow(dead_code)]
mod cost;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use image_service::{Caller, Context, HashAlgorithm, Hasher, ImageService as _, NewImage, Upload};
use portico_local::{Local, Options};

/// How much the source repeats: more than the processor's caches hold.
const SOURCE: usize = 64 << 20;

/// How much comes at a time, as from a connection.
const COMES: usize = 128 << 10;

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let (rounds, repeated) = if short { (1, 1) } else { (5, 16) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = Source { bytes: noise(if short { 4 << 20 } else { SOURCE }), repeated };
    let named = std::env::var_os("PORTICO_BENCH_DIRECTORY");
    let chosen = named.map_or_else(std::env::temp_dir, Into::into);
    let memory = Path::new("/dev/shm");
    for below in [chosen.as_path(), memory].into_iter().filter(|path| path.is_dir()) {
        let directory = tempfile::tempdir_in(below).unwrap();
        runtime.block_on(into(directory.path(), &source, rounds));
    }
}

/// The data: some bytes, many times.
struct Source {
    bytes: Bytes,
    repeated: usize,
}

impl Source {
    fn pieces(&self, length: usize) -> impl Iterator<Item = Bytes> + Send + use<> {
        let (bytes, repeated) = (self.bytes.clone(), self.repeated);
        (0..repeated).flat_map(move |_| {
            let bytes = bytes.clone();
            (0..bytes.len()).step_by(length).map(move |at| bytes.slice(at..bytes.len().min(at + length)))
        })
    }

    fn mebibytes(&self) -> f64 {
        (self.bytes.len() * self.repeated) as f64 / f64::from(1 << 20)
    }
}

/// Bytes that nothing on the way can make smaller.
fn noise(length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes.into()
}

/// What one way of dealing with the data took, round by round.
#[derive(Default)]
struct Took {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Took {
    async fn add(&mut self, work: impl Future<Output = ()>) {
        let (wall, cpu) = (Instant::now(), cost::cpu_time());
        work.await;
        self.wall.push(wall.elapsed());
        self.cpu.push(cost::cpu_time().saturating_sub(cpu));
    }

    /// MiB in a second, and seconds of a processor for a GiB.
    fn rates(mut self, source: &Source) -> (f64, f64) {
        let median = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64()
        };
        let mebibytes = source.mebibytes();
        (mebibytes / median(&mut self.wall), median(&mut self.cpu) * 1024.0 / mebibytes)
    }
}

/// Uploads to a directory, each beside what bounds it, in turns.
async fn into(directory: &Path, source: &Source, rounds: usize) {
    let local = Local::open("bench", Options::at(directory.join("images"))).await.unwrap();
    let (mut disk, mut strong, mut checksum, mut upload) =
        (Took::default(), Took::default(), Took::default(), Took::default());
    for _ in 0..rounds {
        disk.add(async { write(&directory.join("plain"), source) }).await;
        strong.add(async { hash(HashAlgorithm::Sha512, source) }).await;
        checksum.add(async { hash(HashAlgorithm::Md5, source) }).await;
        upload.add(async { take_in(&local, source).await }).await;
        empty(&local).await;
    }
    local.close().await;
    let (disk, strong) = (disk.rates(source), strong.rates(source));
    let (checksum, upload) = (checksum.rates(source), upload.rates(source));
    println!("uploads of {} MiB to {}:", source.mebibytes(), directory.display());
    for (what, (rate, cpu)) in [
        ("written and made durable alone", disk),
        ("SHA-512 alone", strong),
        ("MD5 alone", checksum),
        ("upload", upload),
    ] {
        println!("  {what}: {rate:.0} MiB/s, {cpu:.2} s of CPU for a GiB");
    }
    println!(
        "  upload to the slower of disk and SHA-512: {:.2}; CPU of an upload to that of its parts: {:.2}",
        upload.0 / disk.0.min(strong.0),
        upload.1 / (disk.1 + strong.1 + checksum.1)
    );
}

fn write(path: &Path, source: &Source) {
    let mut file = File::create(path).unwrap();
    source.pieces(1 << 20).for_each(|piece| file.write_all(&piece).unwrap());
    file.sync_all().unwrap();
    std::fs::remove_file(path).unwrap();
}

fn hash(algorithm: HashAlgorithm, source: &Source) {
    let mut hasher = Hasher::new(algorithm);
    source.pieces(1 << 20).for_each(|piece| hasher.update(&piece));
    assert_eq!(hasher.finish().value.len(), algorithm.digits());
}

fn context() -> Context {
    Context::new(Caller::administrator(), "req-bench")
}

async fn take_in(local: &Local, source: &Source) {
    let stream = futures::stream::iter(source.pieces(COMES).map(Ok)).boxed();
    let upload = Upload { size: Some((source.bytes.len() * source.repeated) as u64), ..Upload::new(stream) };
    let new = NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    local.create(&context(), new, Some(upload)).await.unwrap();
}

/// Deletes all images, so that the next round has the same room.
async fn empty(local: &Local) {
    for image in local.index(&context(), &image_service::Query::default()).await.unwrap().items {
        local.delete(&context(), &image.id).await.unwrap();
    }
}
