//! The program itself, over two directories: exit codes, what it writes, and what a kill leaves.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use image_service::ImageChange;
use portico::replica::{Comparing, MARK, OneSided, Side, Verdict};
use serde_json::Value;

use crate::stage::{check_no_half_copies, compared, context, fill, id, images, local, side};

/// Two directories, and a configuration that names them `left` and `right`, a memory, and a Glance of old that is not there.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = |name: &str| {
            let options = format!("options = {{ path = \"./{name}\", sync = \"process\" }}");
            format!("[[backend]]\nname = \"{name}\"\nkind = \"local\"\n{options}\n")
        };
        let fleeting = "[[backend]]\nname = \"scratch\"\nkind = \"memory\"\n";
        let options = "options = { dialect = \"glance-v1\", endpoint = \"http://127.0.0.1:9\" }";
        let old = format!("[[backend]]\nname = \"old\"\nkind = \"http\"\n{options}\n");
        let text = format!("{}{}{fleeting}{old}", backend("left"), backend("right"));
        std::fs::write(directory.path().join("portico.toml"), text).unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
        command.args(arguments).current_dir(self.0.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// Begins to copy, and waits until so many images have been copied.
    fn copy_until(&self, images: usize) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut command = self.command(&["copy", "left", "right", "--jobs", "3"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..images {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            assert!(line.starts_with("copied ") || line.starts_with("resumed "), "{line}");
        }
        (child, lines)
    }
}

/// Does something with one of the directories, while no program has it.
async fn with<T>(path: &Path, work: impl AsyncFnOnce(&Side) -> T) -> T {
    let service = std::sync::Arc::new(local(path).await);
    let worked = work(&side("x", std::sync::Arc::clone(&service) as _)).await;
    service.close().await;
    worked
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn fill_left(place: &Place, images: u32, size: usize) {
    let path = place.path("left");
    let work = with(&path, async |side: &Side| fill(side.service.as_ref(), 0..images, size).await);
    runtime().block_on(work);
}

/// Checks both directories with the library: complete, equal, and nothing left under way.
fn check_complete(place: &Place, count: usize) {
    runtime().block_on(with(&place.path("left"), async |left: &Side| {
        with(&place.path("right"), async |right: &Side| {
            let settings = Comparing { only_in_b: OneSided::Told, ..Comparing::default() };
            let (comparison, differences) = compared(left, right, &settings).await;
            assert_eq!((comparison.verdict, differences), (Verdict::Equal, vec![]));
            let images = images(right).await;
            assert_eq!(images.len(), count);
            assert!(images.iter().all(|image| image.has_data() && !image.properties.contains_key(MARK)));
        })
        .await;
    }));
}

#[test]
fn what_differs_is_told_as_a_table_or_as_json_and_by_the_exit_code() {
    let place = Place::new();
    fill_left(&place, 5, 10);
    runtime().block_on(with(&place.path("right"), async |side: &Side| {
        fill(side.service.as_ref(), [0, 1, 9], 10).await;
        let change = ImageChange { min_ram: Some(7), ..ImageChange::default() };
        side.service.update(&context(), &id(1), change, None).await.unwrap();
    }));
    let (code, table, _) = place.run(&["compare", "left", "right"]);
    assert_eq!(code, Some(1), "{table}");
    assert!(table.lines().next().unwrap().contains("DIFFERENCE"), "{table}");
    assert_eq!(
        table.lines().filter(|line| line.contains("missing") && line.contains("in right")).count(),
        4,
        "{table}"
    );
    assert!(table.contains("min_ram"), "{table}");
    let last = table.lines().last().unwrap();
    assert!(
        last.starts_with("different: 5 images in left, 3 in right: 3 missing in right, 1 only in right"),
        "{last}"
    );

    let (code, json, _) = place.run(&["compare", "left", "right", "--both", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["a"], &json["b"]), (Some(1), &"left".into(), &"right".into()));
    assert_eq!((&json["complete"], &json["verdict"]), (&true.into(), &"different".into()));
    assert_eq!((&json["counts"]["missing_in_b"], &json["counts"]["missing_in_a"]), (&3.into(), &1.into()));
    let kinds: Vec<&Value> = json["differences"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    let of = |kind: &str| kinds.iter().filter(|one| ***one == *kind).count();
    assert_eq!((of("missing"), of("metadata"), of("name"), kinds.len()), (4, 1, 1, 6), "{json:#}");
}

#[test]
fn equal_is_0_and_what_cannot_be_opened_2_and_a_wrong_question_64() {
    let place = Place::new();
    fill_left(&place, 3, 10);
    assert_eq!(place.run(&["copy", "left", "right"]).0, Some(0));
    let (code, text, _) = place.run(&["compare", "left", "right", "--both"]);
    assert_eq!((code, text.as_str()), (Some(0), "equal: 3 images in left, 3 in right\n"));
    let (code, json, _) = place.run(&["compare", "left", "right", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["differences"], &json["verdict"]),
        (Some(0), &Value::Array(vec![]), &"equal".into())
    );
    for (wrong, told) in [
        (&["compare", "left", "nobody"][..], "no backend 'nobody' among left, right, scratch, old"),
        (&["compare", "left", "left"], "two are needed"),
        (&["copy", "left", "scratch"], "'scratch' has its images in the process"),
        (&["copy", "left", "old"], "'old' cannot hold a copy that is under way"),
        (&["copy", "left", "old", "--dry-run"], "'old' cannot hold a copy that is under way"),
        (&["copy", "left", "right", "--jobs", "0"], "0 is not in 1..=64"),
        (&["copy", "left", "right", "--property", "x"], "there is no '='"),
        (&["copy", "left"], "required"),
        (&["compare", "left", "right", "--status", "alive"], "not one of queued"),
    ] {
        let (code, _, errors) = place.run(wrong);
        assert_eq!(code, Some(64), "{wrong:?}: {errors}");
        assert!(errors.contains(told), "{wrong:?}: {errors}");
    }
    runtime().block_on(with(&place.path("right"), async |_: &Side| {
        let (code, _, errors) = place.run(&["compare", "left", "right"]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(
            errors.contains("backend 'right' cannot be opened") && errors.contains("another process"),
            "{errors}"
        );
    }));
}

#[test]
fn a_program_that_is_killed_twice_goes_on_and_comes_to_the_same_end() {
    let mut random = fastrand::Rng::with_seed(4);
    let place = Place::new();
    let (count, size) = (100, 200_000);
    fill_left(&place, count, size);
    for _ in 0..2 {
        let (mut child, _lines) = place.copy_until(random.usize(1..12));
        child.kill().unwrap();
        child.wait().unwrap();
        runtime().block_on(with(&place.path("left"), async |left: &Side| {
            with(&place.path("right"), async |right: &Side| check_no_half_copies(left, right).await).await;
        }));
    }
    let (code, text, errors) = place.run(&["copy", "left", "right"]);
    assert_eq!(code, Some(0), "{text}{errors}");
    let (code, text, _) = place.run(&["compare", "left", "right", "--both"]);
    assert_eq!(code, Some(0), "{text}");
    check_complete(&place, 100);
}

#[test]
fn the_first_interrupt_finishes_what_is_under_way_and_the_program_says_so() {
    let place = Place::new();
    fill_left(&place, 150, 300_000);
    let (mut child, mut lines) = place.copy_until(1);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{rest}{errors}");
    assert!(errors.contains("finishing what is under way"), "{errors}");
    let summary = rest.lines().last().unwrap();
    assert!(summary.starts_with("copied ") && summary.ends_with("not copied 0, failed 0"), "{summary}");
    runtime().block_on(with(&place.path("right"), async |right: &Side| {
        let images = images(right).await;
        assert!((1..150).contains(&images.len()), "{}", images.len());
        assert!(images.iter().all(|image| image.has_data() && !image.properties.contains_key(MARK)));
    }));
    assert_eq!(place.run(&["copy", "left", "right"]).0, Some(0));
    check_complete(&place, 150);
}

#[test]
fn a_directory_that_is_not_there_is_not_made_but_to_be_copied_into() {
    let place = Place::new();
    fill_left(&place, 3, 10);
    for command in [
        &["compare", "left", "right"][..],
        &["compare", "right", "left"],
        &["copy", "left", "right", "--dry-run"],
        &["copy", "right", "left", "--dry-run"],
        &["copy", "right", "left"],
    ] {
        let (code, _, errors) = place.run(command);
        assert_eq!(code, Some(2), "{command:?}: {errors}");
        assert!(
            errors.contains("'right' cannot be opened: there is no directory './right'"),
            "{command:?}: {errors}"
        );
        assert!(!place.path("right").exists(), "{command:?}");
    }
    assert_eq!(place.run(&["copy", "left", "right"]).0, Some(0));
}

#[test]
fn a_dry_run_tells_and_leaves_no_trace() {
    let place = Place::new();
    fill_left(&place, 3, 10);
    std::fs::create_dir(place.path("right")).unwrap();
    let (code, text, _) = place.run(&["copy", "left", "right", "--dry-run"]);
    assert_eq!(code, Some(1), "{text}");
    for within in ["right/data", "right/incoming"] {
        assert_eq!(std::fs::read_dir(place.path(within)).unwrap().count(), 0, "{within}");
    }
    assert_eq!(
        text.lines().filter(|line| line.starts_with("would be copied ") && line.contains(" image ")).count(),
        3
    );
    runtime().block_on(with(&place.path("right"), async |right: &Side| assert_eq!(images(right).await, [])));
}
