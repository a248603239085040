//! Pages out of the lists of servers that do what they should not.

use std::sync::Mutex;

use image_service::{Caller, Field, Filter, NewImage, Position, Sort, SortValue, Timestamp};

use super::*;

const OLDEST_FIRST: Order = (SortKey::CreatedAt, Direction::Asc);

/// What a server answers to its requests, by their number, the marker and the limit.
type Script = dyn Fn(usize, Option<&ImageId>, usize) -> Option<Vec<Image>> + Send + Sync;

struct Scripted {
    script: Box<Script>,
    asked: Mutex<usize>,
}

impl Scripted {
    fn new(
        script: impl Fn(usize, Option<&ImageId>, usize) -> Option<Vec<Image>> + Send + Sync + 'static,
    ) -> Self {
        Self { script: Box::new(script), asked: Mutex::new(0) }
    }

    async fn page(&self, query: &Query) -> Result<Page<Image>> {
        let some = |number| NonZeroUsize::new(number).unwrap();
        let bounds = Bounds { page_size: some(10), max_pages: some(20), resort_limit: some(15) };
        page(self, bounds, &Context::new(Caller::administrator(), "r"), query).await
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl Lister for Scripted {
    fn steady(&self) -> Order {
        OLDEST_FIRST
    }

    fn lists_by(&self, order: Order) -> bool {
        order == OLDEST_FIRST
    }

    async fn ask(
        &self,
        _: &Context,
        _: &Query,
        _: Order,
        limit: usize,
        marker: Option<&ImageId>,
    ) -> Result<Option<Vec<Image>>> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            *asked += 1;
            *asked - 1
        };
        Ok((self.script)(number, marker, limit))
    }

    fn is_last(&self, count: usize, _: usize) -> bool {
        count == 0
    }

    async fn listed(&self, _: &Context, _: &Query, images: Vec<Image>) -> Result<Vec<Image>> {
        Ok(images)
    }
}

fn image(number: usize, second: i64) -> Image {
    let new = NewImage { id: Some(ImageId::lookup(format!("i{number:02}"))), ..NewImage::default() };
    let time = Timestamp::from_second(second).unwrap();
    new.into_image(&Caller::administrator(), time).unwrap()
}

/// So many images, one in each second.
fn row(count: usize) -> Vec<Image> {
    (0..count).map(|number| image(number, i64::try_from(number).unwrap())).collect()
}

/// What comes behind `marker` in `images`; nothing is known of a marker that is not among them.
fn behind(images: &[Image], marker: Option<&ImageId>, limit: usize) -> Option<Vec<Image>> {
    let start = match marker {
        Some(marker) => images.iter().position(|image| image.id == *marker)? + 1,
        None => 0,
    };
    Some(images.iter().skip(start).take(limit).cloned().collect())
}

fn oldest_first(limit: usize) -> Query {
    Query { sort: Sort::by([OLDEST_FIRST]), limit: NonZeroUsize::new(limit), ..Query::default() }
}

fn numbers(page: &Page<Image>) -> Vec<usize> {
    page.items.iter().map(|image| image.id.as_str()[1..].parse().unwrap()).collect()
}

#[tokio::test]
async fn images_of_one_second_come_by_id_however_the_server_has_them() {
    let images: Vec<Image> =
        [(3, 0), (1, 0), (2, 0), (7, 1), (5, 1)].map(|(number, second)| image(number, second)).into();
    let server = Scripted::new(move |_, marker, limit| behind(&images, marker, limit.min(2)));
    let page = server.page(&oldest_first(4)).await.unwrap();
    assert_eq!((numbers(&page), page.more), (vec![1, 2, 3, 5], true));
}

#[tokio::test]
async fn a_list_that_comes_out_of_order_is_read_whole_and_sorted() {
    let images: Vec<Image> =
        [4, 1, 3, 2, 0].map(|number| image(number, i64::try_from(number).unwrap())).into();
    let server = Scripted::new(move |_, marker, limit| behind(&images, marker, limit.min(2)));
    assert_eq!(numbers(&server.page(&oldest_first(3)).await.unwrap()), [0, 1, 2]);
    let position = Position {
        values: vec![SortValue::Time(Timestamp::from_second(1).unwrap())],
        id: ImageId::lookup("i01"),
    };
    let query = Query { position: Some(position), ..oldest_first(9) };
    assert_eq!(numbers(&server.page(&query).await.unwrap()), [2, 3, 4]);
}

#[tokio::test]
async fn a_list_that_is_too_long_to_be_sorted_is_refused() {
    let images = row(16);
    let server = Scripted::new(move |_, marker, limit| behind(&images, marker, limit));
    let by_name = Query { sort: Sort::by([(SortKey::Name, Direction::Asc)]), ..Query::default() };
    let error = server.page(&by_name).await.unwrap_err();
    assert!(error.message().contains("resort_limit") && !error.speaks_against_store(), "{error}");
}

#[tokio::test]
async fn a_walk_goes_on_when_the_image_at_its_border_has_gone() {
    let (before, mut after) = (row(9), row(9));
    after.remove(3);
    let server = Scripted::new(move |number, marker, limit| {
        behind(if number == 0 { &before } else { &after }, marker, limit.min(4))
    });
    let page = server.page(&oldest_first(9)).await.unwrap();
    assert_eq!((numbers(&page), page.more), ((0..9).collect(), false));
}

#[tokio::test]
async fn a_server_that_ignores_the_marker_or_goes_round_in_circles_is_found_out() {
    let images = row(4);
    let ignores = images.clone();
    let ignores = Scripted::new(move |_, _, limit| behind(&ignores, None, limit.min(2)));
    let circles = Scripted::new(move |number, _, _| {
        behind(&images, None, 4).map(|all| all.into_iter().skip(2 * (number % 2)).take(2).collect())
    });
    for server in [ignores, circles] {
        assert_eq!(server.page(&oldest_first(10)).await.unwrap_err().kind(), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn no_more_requests_are_made_than_were_said() {
    let server = Scripted::new(|number, _, _| Some(vec![image(number, i64::try_from(number).unwrap())]));
    let nothing = Filter::text(Field::Name, "none");
    let query = Query { filters: vec![nothing], ..oldest_first(5) };
    let error = server.page(&query).await.unwrap_err();
    assert!(error.message().contains("max_pages"), "{error}");
    assert_eq!(server.asked(), 20);
}
