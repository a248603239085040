//! The images in every order that lists begin with, so that a page costs what it shows and passes over, not what
//! the store holds.
//!
//! Each order holds every image, smallest first, and is walked either way from any place. A list whose keys all
//! agree with one of them takes its page as it comes. Where only the first keys agree, images that tie by them are
//! gathered and put in order here, never more than twice a page of them at once.
//!
//! The orders share the images, so that one costs two words an image and the room of its tree. What is in them must
//! not change: who has a changed image puts it in the place of the old one.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use image_service::{Direction, Image, ImageId, Position, Query, Sort, SortKey, SortValue};

/// Every image, in each of the orders.
#[derive(Debug)]
pub(crate) struct Orders(Vec<Order>);

/// Every image, in one ascending order.
#[derive(Debug)]
struct Order {
    keys: Keys,
    images: BTreeSet<Filed>,
}

/// The keys of an order. Behind them comes the id, which decides nothing more where it is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keys([SortKey; 2]);

/// An image where it stands in an order of these keys.
#[derive(Debug)]
struct Filed {
    keys: Keys,
    image: Arc<Image>,
}

impl Orders {
    /// Puts in an image whose id is not here.
    pub(crate) fn insert(&mut self, image: &Arc<Image>) {
        for Order { keys, images } in &mut self.0 {
            images.insert(Filed { keys: *keys, image: Arc::clone(image) });
        }
    }

    /// Takes out an image that was put in.
    pub(crate) fn remove(&mut self, image: &Arc<Image>) {
        for Order { keys, images } in &mut self.0 {
            images.remove(&Filed { keys: *keys, image: Arc::clone(image) });
        }
    }

    /// The first `most` of the images that `shown` lets through behind the position of `query`, in its order.
    pub(crate) fn first(&self, query: &Query, most: usize, shown: impl Fn(&Image) -> bool) -> Vec<&Image> {
        let sort = &query.sort;
        let Some((order, agreed)) =
            self.0.iter().map(|order| (order, order.keys.agree(sort))).max_by_key(|(_, agreed)| *agreed)
        else {
            return Vec::new();
        };
        let walk = order.walk(sort, agreed, query.position.as_ref()).filter(|image| shown(image));
        if agreed == sort.keys().len() {
            return walk.take(most).collect();
        }
        let mut found = Vec::new();
        let mut tied = Tied { sort, room: most, images: Vec::new() };
        for image in walk {
            if !tied.images.last().is_none_or(|other| order.keys.tie(agreed, other, image)) {
                found.append(&mut tied.in_order());
                if found.len() == most {
                    return found;
                }
                tied.room = most - found.len();
            }
            tied.push(image);
        }
        found.append(&mut tied.in_order());
        found
    }
}

impl Default for Orders {
    /// No images, in these orders: each key alone, as the contract has them, and each with ties broken by age, as
    /// the Image API breaks them.
    fn default() -> Self {
        let alone = SortKey::ALL.iter().map(|key| Keys([*key, SortKey::Id]));
        let by_age = |key: &&SortKey| !matches!(key, SortKey::Id | SortKey::CreatedAt);
        let aged = SortKey::ALL.iter().filter(by_age).map(|key| Keys([*key, SortKey::CreatedAt]));
        Self(alone.chain(aged).map(|keys| Order { keys, images: BTreeSet::new() }).collect())
    }
}

impl Order {
    /// The images from where those that agree with `position` in the first `agreed` keys of `sort` begin; right
    /// behind it if all keys agree.
    fn walk<'a>(
        &'a self,
        sort: &Sort,
        agreed: usize,
        position: Option<&Position>,
    ) -> Box<dyn Iterator<Item = &'a Image> + 'a> {
        let ascending = way(sort) == Direction::Asc;
        let edge = position.map(|position| Edge {
            keys: self.keys,
            values: position.values.get(..agreed).unwrap_or(&position.values),
            id: (agreed > position.values.len()).then_some(&position.id),
            ties: if ascending { Ordering::Greater } else { Ordering::Less },
        });
        let bound = edge.as_ref().map_or(Bound::Unbounded, |edge| Bound::Excluded(edge as &dyn Placed));
        if ascending {
            let behind = self.images.range::<dyn Placed + '_, _>((bound, Bound::Unbounded));
            Box::new(behind.map(|filed| filed.image.as_ref()))
        } else {
            let before = self.images.range::<dyn Placed + '_, _>((Bound::Unbounded, bound));
            Box::new(before.rev().map(|filed| filed.image.as_ref()))
        }
    }
}

/// Which way an order is walked for `sort`: as its first key says.
fn way(sort: &Sort) -> Direction {
    sort.keys().first().map_or(Direction::Asc, |(_, direction)| *direction)
}

impl Keys {
    fn each(self) -> impl Iterator<Item = SortKey> {
        self.0.into_iter().chain([SortKey::Id])
    }

    /// How many keys of `sort`, from the first, a walk through this order obeys.
    fn agree(self, sort: &Sort) -> usize {
        let way = way(sort);
        sort.keys().iter().zip(self.each()).take_while(|(wanted, key)| **wanted == (*key, way)).count()
    }

    fn compare(self, a: &Image, b: &Image) -> Ordering {
        self.each().map(|key| key.compare(a, b)).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }

    fn tie(self, agreed: usize, a: &Image, b: &Image) -> bool {
        self.each().take(agreed).all(|key| key.compare(a, b).is_eq())
    }
}

/// Images that tie by the keys that the order obeys, of which only the first few by all keys are wanted.
struct Tied<'a, 's> {
    sort: &'s Sort,
    /// How many are wanted: at least one.
    room: usize,
    images: Vec<&'a Image>,
}

impl<'a> Tied<'a, '_> {
    fn push(&mut self, image: &'a Image) {
        self.images.push(image);
        if self.images.len() >= self.room.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.images.len() > self.room {
            self.images.select_nth_unstable_by(self.room, |a, b| self.sort.compare(a, b));
            self.images.truncate(self.room);
        }
    }

    /// Takes out those that are wanted.
    fn in_order(&mut self) -> Vec<&'a Image> {
        self.cut();
        self.images.sort_unstable_by(|a, b| self.sort.compare(a, b));
        std::mem::take(&mut self.images)
    }
}

/// A place in an order that no image need stand at.
struct Edge<'a> {
    keys: Keys,
    /// Of the first keys.
    values: &'a [SortValue],
    /// With it, the place is the one of this image.
    id: Option<&'a ImageId>,
    /// Without it, the side of the place that all images with these values lie on.
    ties: Ordering,
}

impl Edge<'_> {
    /// Where this place lies, seen from `image`.
    fn seen_from(&self, image: &Image) -> Ordering {
        let values = self.keys.each().zip(self.values).map(|(key, value)| key.compare_value(image, value));
        let id = self.id.map_or(self.ties, |id| image.id.cmp(id));
        values.chain([id]).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal).reverse()
    }
}

/// What a set that holds images can be searched by: an image, or an edge. A search that had to be an image would
/// need one for every position, also for those that no image can have.
trait Placed {
    fn place(&self) -> Place<'_>;
}

enum Place<'a> {
    Image(Keys, &'a Image),
    Edge(&'a Edge<'a>),
}

impl Placed for Filed {
    fn place(&self) -> Place<'_> {
        Place::Image(self.keys, &self.image)
    }
}

impl Placed for Edge<'_> {
    fn place(&self) -> Place<'_> {
        Place::Edge(self)
    }
}

impl<'a> Borrow<dyn Placed + 'a> for Filed {
    fn borrow(&self) -> &(dyn Placed + 'a) {
        self
    }
}

impl Ord for dyn Placed + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.place(), other.place()) {
            (Place::Image(keys, a), Place::Image(_, b)) => keys.compare(a, b),
            (Place::Image(_, image), Place::Edge(edge)) => edge.seen_from(image).reverse(),
            (Place::Edge(edge), Place::Image(_, image)) => edge.seen_from(image),
            (Place::Edge(a), Place::Edge(b)) => (a.values, a.id, a.ties).cmp(&(b.values, b.id, b.ties)),
        }
    }
}

impl PartialOrd for dyn Placed + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Placed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Placed + '_ {}

impl Ord for Filed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.keys.compare(&self.image, &other.image)
    }
}

impl PartialOrd for Filed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Filed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Filed {}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::num::NonZeroUsize;

    use super::*;
    use image_service::{Caller, NewImage, Timestamp};

    /// A thousand images, of which all have one status, ten at a time one name, and each another age.
    fn many() -> Orders {
        let mut orders = Orders::default();
        for number in 0..1000 {
            let new = NewImage {
                id: Some(ImageId::lookup(format!("{:04}", number * 7 % 1000))),
                name: Some(format!("{:03}", number / 10)),
                ..NewImage::default()
            };
            let made = Timestamp::from_second(number).unwrap();
            orders.insert(&Arc::new(new.into_image(&Caller::administrator(), made).unwrap()));
        }
        orders
    }

    /// How many images are looked at for a page of 25 from the start, and for the next one.
    fn looked_at(orders: &Orders, keys: &[(SortKey, Direction)]) -> [usize; 2] {
        let sort = Sort::by(keys.iter().copied());
        let mut query = Query { sort, limit: NonZeroUsize::new(25), ..Query::default() };
        [(); 2].map(|()| {
            let count = Cell::new(0);
            let shown = |image: &Image| {
                count.set(count.get() + 1);
                query.admits(image)
            };
            let page = orders.first(&query, 25, shown);
            assert_eq!(page.len(), 25);
            query.position = page.last().map(|last| query.sort.position_of(last));
            count.get()
        })
    }

    #[test]
    fn a_page_in_an_order_that_is_kept_costs_what_it_shows() {
        let orders = many();
        for way in [Direction::Asc, Direction::Desc] {
            for key in SortKey::ALL {
                assert_eq!(looked_at(&orders, &[(*key, way)]), [25, 25], "{key}:{way}");
                let aged = [(*key, way), (SortKey::CreatedAt, way)];
                assert_eq!(looked_at(&orders, &aged), [25, 25], "{key}:{way} and age");
            }
        }
    }

    #[test]
    fn a_page_in_another_order_costs_the_ties_at_its_ends_more() {
        let orders = many();
        let keys = [(SortKey::Name, Direction::Asc), (SortKey::CreatedAt, Direction::Desc)];
        // Three names and the first image of the next; then from the third name to the fifth.
        assert_eq!(looked_at(&orders, &keys), [31, 31]);
        // All have one status: each is looked at, and few are kept.
        let keys = [(SortKey::Status, Direction::Asc), (SortKey::CreatedAt, Direction::Desc)];
        assert_eq!(looked_at(&orders, &keys), [1000, 1000]);
    }
}
