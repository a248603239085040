//! A process that is killed, at every step of a write and at any other moment.
//!
//! The test program runs itself as a child, which opens the store, writes, and tells on its standard output what
//! it has done. It is killed with SIGKILL, which no code of it can soften; then the directory is opened again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use image_service::{ErrorKind, ImageChange};

use super::*;

const DIRECTORY: &str = "PORTICO_LOCAL_TEST_DIRECTORY";
const SCRIPT: &str = "PORTICO_LOCAL_TEST_SCRIPT";
const STEP: &str = "PORTICO_LOCAL_TEST_STEP";

/// An image that is there, whole, before anything else happens.
const BYSTANDER: &str = "00000000-0000-4000-8000-000000000001";
/// The image that is written to.
const TARGET: &str = "00000000-0000-4000-8000-000000000002";
const LENGTH: usize = 50_000;

fn with_id(id: &str) -> NewImage {
    NewImage { id: Some(lookup(id)), ..raw() }
}

/// Runs in the child alone.
#[test]
#[ignore = "is the process that the other tests kill"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let last = std::env::var(STEP).unwrap_or_default();
        let watch = Watch::with(move |step| {
            if format!("{step:?}") == last {
                tell(&format!("at {step:?}"));
                loop {
                    std::thread::park();
                }
            }
            Ok(())
        });
        let local = Local::open_watched("local", options(Path::new(&directory)), watch).await.unwrap();
        match std::env::var(SCRIPT).unwrap().as_str() {
            "create" => drop(local.create(&admin(), with_id(TARGET), upload(LENGTH)).await),
            "update" => drop(local.update(&admin(), &lookup(TARGET), renamed(), upload(LENGTH)).await),
            "fail" => {
                let broken = futures::stream::iter([Ok(pattern(LENGTH)), Err(Error::invalid("broken"))]);
                let broken = Some(Upload::new(Box::pin(broken)));
                drop(local.update(&admin(), &lookup(TARGET), renamed(), broken).await);
            }
            "delete" => drop(local.delete(&admin(), &lookup(TARGET)).await),
            "churn" => churn(&local).await,
            other => panic!("no script {other}"),
        }
        tell("ended");
    });
}

fn upload(length: usize) -> Option<Upload> {
    let pieces: Vec<_> = pattern(length).chunks(3000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    Some(Upload::new(Box::pin(futures::stream::iter(pieces))))
}

fn renamed() -> ImageChange {
    ImageChange { name: Some(Some("renamed".into())), ..ImageChange::default() }
}

/// One line, told before anything else is done.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(directory: &Path, script: &str, step: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(SCRIPT, script)
            .env(STEP, step)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Kills it, and gives the lines it had told by then.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.map_while(std::result::Result::ok).collect()
    }
}

/// A directory with the bystander, and the target if the script needs it.
async fn prepared(script: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let local = open(&directory).await;
    local.create(&admin(), with_id(BYSTANDER), upload(LENGTH)).await.unwrap();
    match script {
        "update" | "fail" => drop(local.create(&admin(), with_id(TARGET), None).await.unwrap()),
        "delete" => drop(local.create(&admin(), with_id(TARGET), upload(LENGTH)).await.unwrap()),
        _ => {}
    }
    local.close().await;
    directory
}

#[tokio::test]
async fn a_process_killed_at_any_step_leaves_every_image_whole_or_queued_and_no_file_more() {
    // What is there of the target afterwards: nothing, a record, or all.
    let cases = [
        ("create", "Claimed", None),
        ("create", "Created", None),
        ("create", "Written", None),
        ("create", "Synced", None),
        ("create", "Placed", None),
        ("create", "Finished", Some(Status::Active)),
        ("update", "Claimed", Some(Status::Queued)),
        ("update", "Created", Some(Status::Queued)),
        ("update", "Written", Some(Status::Queued)),
        ("update", "Synced", Some(Status::Queued)),
        ("update", "Placed", Some(Status::Queued)),
        ("update", "Finished", Some(Status::Active)),
        ("fail", "Undone", Some(Status::Queued)),
        ("delete", "Deleted", None),
    ];
    for (script, step, left) in cases {
        let directory = prepared(script).await;
        let mut running = Running::start(directory.path(), script, step);
        let at = format!("at {step}");
        let arrived = running.lines.by_ref().map_while(std::result::Result::ok).find(|line| *line == at);
        assert!(arrived.is_some(), "{script} never came to {step}");
        running.kill();

        let local = open(&directory).await;
        assert_whole(&local, directory.path()).await;
        let images = all(&local).await;
        let target = images.iter().find(|image| image.id == lookup(TARGET));
        assert_eq!(target.map(|image| image.status), left, "{script} killed at {step}");
        assert_eq!(images.len(), 1 + usize::from(left.is_some()));

        // And it can go on from there.
        let id = lookup(TARGET);
        match (script, left) {
            ("delete", _) => {
                let error = local.create(&admin(), with_id(TARGET), None).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            }
            (_, None) => drop(local.create(&admin(), with_id(TARGET), upload(LENGTH)).await.unwrap()),
            (_, Some(Status::Queued)) => {
                drop(local.update(&admin(), &id, renamed(), upload(LENGTH)).await.unwrap());
            }
            _ => local.delete(&admin(), &id).await.unwrap(),
        }
        assert_whole(&local, directory.path()).await;
    }
}

/// Writes for ever, telling of each write when it has been answered: `+` an image with so many bytes, or `-` one
/// that is gone.
async fn churn(local: &Local) {
    for round in 0..10_000_usize {
        let length = 1 + round * 1999 % 20_000;
        let image = if round % 2 == 0 {
            local.create(&admin(), raw(), upload(length)).await.unwrap()
        } else {
            let image = local.create(&admin(), raw(), None).await.unwrap();
            local.update(&admin(), &image.id, renamed(), upload(length)).await.unwrap()
        };
        tell(&format!("+ {} {length}", image.id));
        if round % 3 == 0 {
            local.delete(&admin(), &image.id).await.unwrap();
            tell(&format!("- {}", image.id));
        }
    }
}

#[tokio::test]
async fn whatever_was_answered_before_a_kill_at_any_moment_is_kept() {
    let directory = prepared("churn").await;
    let mut expected = std::collections::BTreeMap::from([(BYSTANDER.to_owned(), LENGTH as u64)]);
    let mut deleted = BTreeSet::new();
    for round in 0..12 {
        let mut running = Running::start(directory.path(), "churn", "");
        let told: Vec<String> =
            running.lines.by_ref().map_while(std::result::Result::ok).take(20 + round * 7).collect();
        let rest = running.kill();
        for line in told.iter().chain(&rest) {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["+", id, length] => drop(expected.insert((*id).to_owned(), length.parse().unwrap())),
                ["-", id] => {
                    expected.remove(*id);
                    deleted.insert((*id).to_owned());
                }
                _ => {}
            }
        }
        let local = open(&directory).await;
        assert_whole(&local, directory.path()).await;
        let mut found: std::collections::BTreeMap<_, _> =
            all(&local).await.into_iter().map(|image| (image.id.to_string(), image.size)).collect();
        for id in &deleted {
            assert!(!found.contains_key(id), "{id} is back");
        }
        // Of all that was written, one write at most had been done and not told; a delete, or a new image.
        let missing: Vec<_> = expected.keys().filter(|id| !found.contains_key(*id)).cloned().collect();
        assert!(missing.len() <= 1, "{missing:?}");
        for id in missing {
            let error = local.create(&admin(), with_id(&id), None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{id} was not deleted, it is lost");
            expected.remove(&id);
        }
        for (id, length) in &expected {
            assert_eq!(found.remove(id), Some(Some(*length)), "{id}");
        }
        assert!(found.len() <= 1, "{found:?}");
        for (id, _) in found {
            local.delete(&admin(), &lookup(&id)).await.unwrap();
        }
        local.close().await;
    }
    assert!(deleted.len() > 10, "the rounds were too short to show anything");
}
