//! What marks change in lists, held against the whole list made plainly.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use image_service::{
    Caller, Comparison, Direction, Field, Filter, NewImage, Query, Scope, Sort, SortKey, Timestamp,
    Visibility, VisibilityScope,
};
use portico_memory::{Memory, Options};

use super::*;

/// A number below `bound`, and the next state: the same each time, so that what fails fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

fn images(dice: &mut Dice) -> Vec<Image> {
    let mut images = Vec::new();
    for number in 0..40 {
        let new = NewImage {
            id: Some(ImageId::derived("images", &number.to_string())),
            name: Some(format!("image {}", number % 7)),
            visibility: Some(dice.one_of(&[Visibility::Private, Visibility::Public, Visibility::Community])),
            owner: Some(Some(dice.one_of(&["mine", "theirs"]).to_owned())),
            hidden: number % 9 == 0,
            ..NewImage::default()
        };
        let made = Timestamp::from_second(1_000_000_000 + i64::from(number / 3)).unwrap();
        let mut image = new.into_image(&Caller::administrator(), made).unwrap();
        if dice.below(2) == 0 {
            image.status = Status::Active;
            image.size = Some(dice.below(4) as u64);
        }
        images.push(image);
    }
    images
}

fn mark(dice: &mut Dice, imports: &Imports, image: &Image) {
    let active = image.status == Status::Active;
    imports.marks().change(&image.id, |mark| match dice.below(3) {
        0 if !active => {
            let size = dice.one_of(&[None, Some(0), Some(2), Some(5)]);
            mark.staged = Some(Staged { file: "f".into(), size });
        }
        1 => {
            let quiet = active && dice.below(2) == 0;
            mark.task = Some(Work { id: "t".into(), status: (!quiet).then_some(Status::Importing) });
            mark.stores = Some((["a".to_owned()].into(), BTreeSet::new()));
        }
        _ => mark.stores = Some((BTreeSet::new(), ["b".to_owned()].into())),
    });
}

fn query(dice: &mut Dice) -> Query {
    let number = |field, comparison, value| Filter::Number { field, comparison, value };
    let property = |key: &str, value: &str| Filter::Property { key: key.to_owned(), value: value.to_owned() };
    let choices = [
        vec![],
        vec![Filter::text(Field::Status, "importing")],
        vec![Filter::text(Field::Status, "queued")],
        vec![Filter::Text { field: Field::Status, any_of: vec!["active".into(), "uploading".into()] }],
        vec![number(Field::Size, Comparison::Ge, 2)],
        vec![number(Field::Size, Comparison::Lt, 3), Filter::Hidden(false)],
        vec![property("os_glance_failed_import", "b")],
        vec![property("os_glance_import_task", "t"), Filter::text(Field::Name, "image 3")],
    ];
    let keys = [SortKey::Status, SortKey::Size, SortKey::Name, SortKey::CreatedAt, SortKey::Id];
    let direction = dice.one_of(&[Direction::Asc, Direction::Desc]);
    let keys: Vec<_> = (0..dice.below(3)).map(|_| (dice.one_of(&keys), direction)).collect();
    let only = VisibilityScope::Only(Visibility::Public);
    let visibility = dice.one_of(&[VisibilityScope::Usual, VisibilityScope::All, only]);
    Query {
        filters: dice.one_of(&choices),
        scope: Scope { visibility, ..Scope::default() },
        sort: Sort::by(keys),
        ..Query::default()
    }
}

async fn walk(service: &dyn ImageService, context: &Context, query: &Query, limit: usize) -> Vec<Image> {
    let mut walked: Vec<Image> = Vec::new();
    let mut asked = Query { limit: NonZeroUsize::new(limit), ..query.clone() };
    for _ in 0..100 {
        let page = service.detail(context, &asked).await.unwrap();
        assert!(page.items.len() <= limit && (!page.more || !page.items.is_empty()));
        let summaries = service.index(context, &asked).await.unwrap();
        assert_eq!(summaries.items.len(), page.items.len());
        walked.extend(page.items);
        let Some(last) = walked.last().filter(|_| page.more) else { return walked };
        (asked.position, asked.resume) = (Some(query.sort.position_of(last)), page.resume);
    }
    panic!("the walk does not end");
}

#[tokio::test]
async fn every_walk_gives_the_images_with_their_marks_where_these_put_them() {
    for round in 0..20 {
        let mut dice = Dice(round);
        let memory = Memory::new("memory", Options::default());
        let images = images(&mut dice);
        for image in &images {
            memory.seed(image.clone(), None).unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let (journal, staging) = (directory.path().join(FILE), directory.path().join(STAGING));
        let memory: Arc<dyn ImageService> = Arc::new(memory);
        let imports = Imports::open(journal, staging, memory, Settings::default()).await.unwrap();
        for image in &images {
            if dice.below(3) == 0 {
                mark(&mut dice, &imports, image);
            }
        }
        let shown = imports.shown();
        for caller in [Caller::member_of("mine"), Caller::administrator()] {
            let context = Context::new(caller, "req-1");
            for _ in 0..30 {
                let query = query(&mut dice);
                let mut expected: Vec<Image> = images
                    .iter()
                    .filter(|image| access::is_listed(&context.caller, image, None, query.scope))
                    .map(|image| imports.marks().on(image.clone()))
                    .filter(|image| query.admits(image))
                    .collect();
                expected.sort_by(|a, b| query.sort.compare(a, b));
                let limit = dice.one_of(&[1, 2, 3, 7, 100]);
                let walked = walk(shown.as_ref(), &context, &query, limit).await;
                assert_eq!(walked, expected, "round {round}, {query:?}, {limit} a page");
                for image in &expected {
                    assert_eq!(shown.show(&context, &image.id).await.unwrap(), *image);
                }
            }
        }
    }
}

#[tokio::test]
async fn what_nobody_imports_in_time_is_removed_and_old_tasks_are_forgotten() {
    let memory: Arc<dyn ImageService> = Arc::new(Memory::new("memory", Options::default()));
    let directory = tempfile::tempdir().unwrap();
    let (journal, staging) = (directory.path().join(FILE), directory.path().join(STAGING));
    let settings = Settings { staging_age: Duration::ZERO, task_age: Duration::ZERO, ..Settings::default() };
    let imports = Imports::open(journal, staging, memory, settings).await.unwrap();
    let context = Context::new(Caller::member_of("a"), "req-1");
    let new = NewImage {
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    let shown = imports.shown();
    let (stale, failed) = (
        shown.create(&context, new.clone(), None).await.unwrap().id,
        shown.create(&context, new, None).await.unwrap().id,
    );
    imports.stage(&context, &stale, Upload::from_bytes("data")).await.unwrap();
    let request = Request {
        source: Source::Web { uri: "http://nowhere.invalid/x".into() },
        kind: Kind::ApiImageImport,
        targets: Targets::Default,
        all_must_succeed: true,
        input: serde_json::json!({}),
    };
    imports.import(&context, &failed, request).await.unwrap();
    for _ in 0..10_000 {
        if imports.marks().of(&failed).task.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(imports.marks().of(&failed).stores.is_some());
    assert_eq!(imports.of_image(&failed).await.unwrap().len(), 1);
    imports.sweep().await;
    assert_eq!(imports.of_image(&failed).await.unwrap(), []);
    for id in [&stale, &failed] {
        assert_eq!(imports.marks().of(id), Mark::default());
        assert_eq!(shown.show(&context, id).await.unwrap().status, Status::Queued);
    }
    assert_eq!(std::fs::read_dir(directory.path().join(STAGING)).unwrap().count(), 0);
}
