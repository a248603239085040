//! `index` and `detail`: which images, and in which order.

use super::fixture::{Fixture, kind_of};
use super::make::pattern;
use super::walk::ids_of;
use crate::{
    Direction, ErrorKind, Filter, Image, ImageChange, NewImage, Partial, Query, Sort, SortKey, Status,
    Summary, detail_by_show,
};

impl Fixture {
    /// Images that differ in whatever lists are sorted by, and tie in it too; unset values among them.
    pub(super) async fn make_various(&self) -> Vec<Image> {
        let mut images = Vec::new();
        let names = [Some("b"), None, Some(""), Some("a"), Some("B"), Some("ä"), Some("b"), Some("a b")];
        for (number, name) in names.into_iter().enumerate() {
            let mut new = NewImage { name: name.map(str::to_owned), ..self.draft() };
            let formats = [Some("raw"), Some("qcow2"), None];
            new.disk_format = formats.get(number % 3).copied().flatten().map(str::to_owned);
            new.container_format = (number % 4 > 0).then(|| String::from("bare"));
            images.push(self.make(new).await);
        }
        for (name, size) in [("b", 10), ("c", 9), ("a", 10), ("d", 0)] {
            images.push(self.make_with(self.named(name), &pattern(size)).await);
        }
        let off = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
        let last = images.len() - 1;
        images[last] = self.change(&images[last], off).await;
        images
    }

    /// Every order by one key that the service knows.
    pub(super) fn sorts(&self) -> impl Iterator<Item = Sort> {
        let directions = [Direction::Asc, Direction::Desc];
        let all = SortKey::ALL.iter().flat_map(move |key| directions.map(|way| Sort::by([(*key, way)])));
        all.filter(|sort| self.sorts_by(sort))
    }
}

/// An element of `detail` is what `show` says.
pub async fn an_image_is_listed_just_as_it_is_shown(fixture: Fixture) {
    fixture.make_various().await;
    let listed = fixture.all(&fixture.owner(), fixture.query()).await;
    assert_eq!(listed.len(), 12);
    for image in listed {
        assert_eq!(fixture.shown(&image.id).await, image);
    }
}

/// `index` gives the same images in the same order as `detail` for the same query, and pages alike.
pub async fn index_gives_id_and_name_of_what_detail_gives(fixture: Fixture) {
    let images = fixture.make_various().await;
    let mut queries = vec![fixture.query()];
    for sort in fixture.sorts() {
        queries.push(Query { sort, ..fixture.query() });
    }
    for query in queries.clone() {
        let position = Some(query.sort.position_of(&images[3]));
        queries.push(Query { limit: std::num::NonZeroUsize::new(5), position, ..query });
    }
    for query in queries {
        let index = fixture.service().index(&fixture.owner(), &query).await.unwrap();
        let detail = fixture.detail(&fixture.owner(), &query).await.unwrap();
        let summaries: Vec<Summary> = detail.items.iter().map(Summary::from).collect();
        assert_eq!(index.items, summaries, "{query:?}");
        assert_eq!(index.more, detail.more, "{query:?}");
        fixture.check_sources(&index);
    }
}

/// A list without images is no error, and promises no more.
pub async fn a_list_of_nothing_is_an_empty_page(fixture: Fixture) {
    let query = fixture.query();
    if query.filters.is_empty() {
        assert_eq!(fixture.ids(&fixture.owner(), query).await, [""; 0]);
        return;
    }
    let index = fixture.service().index(&fixture.owner(), &query).await.unwrap();
    assert!(index.items.is_empty() && !index.more);
    fixture.check_sources(&index);
    let detail = fixture.detail(&fixture.owner(), &query).await.unwrap();
    assert!(detail.items.is_empty() && !detail.more);
    fixture.check_sources(&detail);
}

/// The order of a plain query: by time of making, and by id where that ties, newest and greatest first.
pub async fn the_newest_come_first_if_nothing_else_is_said(fixture: Fixture) {
    let mut images = fixture.make_various().await;
    let sort = Sort::default();
    if fixture.sorts_by(&sort) {
        images.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
        let query = Query { sort, ..fixture.query() };
        assert_eq!(fixture.ids(&fixture.owner(), query).await, ids_of(&images));
    }
}

/// Every key in both directions, unset values first ascending and last descending, ties broken by id in the
/// same direction.
pub async fn every_key_sorts_both_ways(fixture: Fixture) {
    fixture.make_various().await;
    let mut images = fixture.all(&fixture.owner(), fixture.query()).await;
    for sort in fixture.sorts() {
        images.sort_by(|a, b| sort.compare(a, b));
        let query = Query { sort: sort.clone(), ..fixture.query() };
        assert_eq!(fixture.ids(&fixture.owner(), query).await, ids_of(&images), "{sort:?}");
    }
}

/// The first key decides, then the second, each in its own direction, and at last the id in the first's.
pub async fn keys_decide_in_their_order(fixture: Fixture) {
    use Direction::{Asc, Desc};
    use SortKey::{ContainerFormat, CreatedAt, DiskFormat, Id, Name, Size, Status, UpdatedAt};
    fixture.make_various().await;
    let mut images = fixture.all(&fixture.owner(), fixture.query()).await;
    for keys in [
        vec![(Name, Asc), (Size, Desc)],
        vec![(Name, Desc), (Size, Asc)],
        vec![(Status, Asc), (DiskFormat, Desc), (Name, Asc)],
        vec![(DiskFormat, Desc), (ContainerFormat, Asc), (CreatedAt, Desc), (UpdatedAt, Desc)],
        vec![(Size, Asc), (Id, Desc)],
        vec![(Status, Desc), (Id, Asc), (Name, Asc)],
    ] {
        let sort = Sort::by(keys);
        if fixture.sorts_by(&sort) {
            images.sort_by(|a, b| sort.compare(a, b));
            let query = Query { sort: sort.clone(), ..fixture.query() };
            assert_eq!(fixture.ids(&fixture.owner(), query).await, ids_of(&images), "{sort:?}");
        }
    }
}

/// A page names the sources that did not answer, and holds all that the others have. A plain store has none.
pub async fn a_list_tells_how_its_sources_fared(fixture: Fixture) {
    let image = fixture.make(fixture.draft()).await;
    let page = fixture.detail(&fixture.owner(), &fixture.query()).await.unwrap();
    fixture.check_sources(&page);
    assert!(page.items.contains(&image));
    let mut names: Vec<&str> = page.sources.iter().map(|source| source.name.as_str()).collect();
    assert!(names.iter().all(|name| !name.is_empty()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), page.sources.len(), "two sources share a name");
    if fixture.service().stores().is_none() {
        assert!(image.stores.is_empty(), "there are no named stores, and {:?} hold the image", image.stores);
    }
}

/// A request that refuses partial answers gets a whole one, or an error that is silence.
pub async fn a_list_with_a_part_missing_is_refused_on_request(fixture: Fixture) {
    let image = fixture.make(fixture.draft()).await;
    let context = crate::Context { partial: Partial::Refuse, ..fixture.owner() };
    let query = fixture.query();
    if fixture.has_silent_source() {
        assert!(kind_of(fixture.service().index(&context, &query).await).is_silence());
        assert!(kind_of(fixture.detail(&context, &query).await).is_silence());
    } else {
        assert!(fixture.service().index(&context, &query).await.unwrap().items.contains(&(&image).into()));
        assert!(fixture.detail(&context, &query).await.unwrap().items.contains(&image));
    }
}

/// Where there is no `detail`, [`detail_by_show`] gives the same page, however many it shows at a time.
pub async fn detail_can_be_made_of_index_and_show(fixture: Fixture) {
    fixture.make_various().await;
    let limits = [1, 5, 100].map(std::num::NonZeroUsize::new);
    for limit in limits {
        let query = Query { limit, ..fixture.query() };
        let detail = fixture.detail(&fixture.owner(), &query).await.unwrap();
        for width in [0, 1, 3, 50] {
            let mut made = detail_by_show(fixture.service(), &fixture.owner(), &query, width).await.unwrap();
            // How a source fares may change from call to call, but not which there are.
            assert_eq!(made.sources.len(), detail.sources.len());
            for (made, listed) in made.sources.iter_mut().zip(&detail.sources) {
                made.state = listed.state;
            }
            assert_eq!(made, detail);
        }
    }
    let unknown = Query { filters: vec![Filter::Tag(String::from("nobody's"))], ..fixture.query() };
    if fixture.filters_by(&Filter::Tag(String::new())) {
        let made = detail_by_show(fixture.service(), &fixture.owner(), &unknown, 3).await.unwrap();
        assert!(made.items.is_empty() && !made.more);
    }
    if !fixture.has_detail() {
        let answer = fixture.service().detail(&fixture.owner(), &fixture.query()).await;
        assert_eq!(kind_of(answer), ErrorKind::NotImplemented);
    }
}

/// What a service can do is settled when it is made.
pub async fn what_a_service_can_do_does_not_change(fixture: Fixture) {
    let before = fixture.service().capabilities();
    let image = fixture.make(fixture.draft()).await;
    fixture.shown(&image.id).await;
    assert_eq!(fixture.service().capabilities(), before);
}
