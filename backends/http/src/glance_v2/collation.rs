//! How the server's database orders what our order says exactly: text, and what is unset.
//!
//! We order text by bytes and put unset values first. So does SQLite. MySQL takes no notice of case and accents,
//! PostgreSQL goes by the rules of a language and puts unset values last. A page or two seldom show which: with
//! small pages an image that belongs before the position would be lost unseen. So an order is not believed until
//! there is proof, and proof is asked for: two images whose order tells the one rule from the other are found
//! among the server's own, and the server is asked for just these two. What has been learnt is kept until the end
//! of the process.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use image_service::{Context, Direction, Field, Filter, Image, ImageId, Query, Sort, SortKey, SortValue};

use super::Glance;
use super::params::{self, Order};
use super::walk::{self, Budget, Halt};
use crate::options::TextOrder;

/// What can be said of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// It is ours.
    Ours,
    /// Nothing has shown yet.
    Unknown,
    /// It is another.
    Other,
}

/// What is known of the orders of one server.
#[derive(Debug)]
pub(super) struct Collation {
    text: Known,
    unset: Known,
    /// Keys by which the server was seen to order otherwise, whatever the reason.
    otherwise: AtomicU16,
}

#[derive(Debug)]
struct Known(AtomicU8);

impl Known {
    const fn new(belief: Belief) -> Self {
        Self(AtomicU8::new(belief as u8))
    }

    fn get(&self) -> Belief {
        match self.0.load(Ordering::Relaxed) {
            0 => Belief::Ours,
            1 => Belief::Unknown,
            _ => Belief::Other,
        }
    }

    /// Believes in our order, unless more is known already.
    fn set_ours(&self) {
        let (unknown, ours) = (Belief::Unknown as u8, Belief::Ours as u8);
        // Whoever was first knew at least as much.
        let _ = self.0.compare_exchange(unknown, ours, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Believes in another order from now on. Whether that is news.
    fn set_other(&self) -> bool {
        self.0.swap(Belief::Other as u8, Ordering::Relaxed) != Belief::Other as u8
    }
}

impl Collation {
    pub(super) const fn new(order: TextOrder) -> Self {
        let (text, unset) = match order {
            TextOrder::Auto => (Belief::Unknown, Belief::Unknown),
            TextOrder::Bytes => (Belief::Ours, Belief::Unknown),
            TextOrder::Other => (Belief::Other, Belief::Unknown),
        };
        Self { text: Known::new(text), unset: Known::new(unset), otherwise: AtomicU16::new(0) }
    }

    /// Notes that the server was seen to order by `key` in another way than ours.
    pub(super) fn distrust(&self, backend: &str, key: SortKey) {
        let bit = 1 << key as u16;
        let news = self.otherwise.fetch_or(bit, Ordering::Relaxed) & bit == 0;
        if key == SortKey::Name && self.text.set_other() || key != SortKey::Name && news {
            tracing::warn!(
                backend,
                key = key.as_str(),
                "the image service behind sorts by this in another order than ours: such lists are sorted here"
            );
        }
    }

    /// Learns from two images that came in our order next to each other on one page.
    pub(super) fn saw(&self, sort: &Sort, first: &Image, second: &Image) {
        if self.unset.get() != Belief::Unknown {
            return;
        }
        let values = params::leading(sort).iter().map(|(key, _)| (key.value(first), key.value(second)));
        let differing = values.into_iter().find(|(a, b)| a != b);
        if differing.is_some_and(|(a, b)| a == SortValue::Unset || b == SortValue::Unset) {
            self.unset.set_ours();
        }
    }

    /// What to think of the text that lists in this order are sorted by.
    pub(super) fn of_text(&self, sort: &Sort) -> Belief {
        let leading = params::leading(sort);
        let otherwise = self.otherwise.load(Ordering::Relaxed);
        if leading.iter().any(|(key, _)| otherwise & (1 << *key as u16) != 0) {
            return Belief::Other;
        }
        let named = leading.iter().any(|(key, _)| *key == SortKey::Name);
        if named { self.text.get() } else { Belief::Ours }
    }
}

/// What to think of where the server puts unset values in a list.
///
/// Until a page has shown it, each list is asked for its highest value. If that is set, unset ones, should there be
/// any, are where ours are. If it is not, either they are, or all there is is unset.
pub(super) async fn of_unset(
    glance: &Glance,
    context: &Context,
    query: &Query,
    budget: &Budget,
    hidden: bool,
) -> Result<Belief, Halt> {
    let leading = params::leading(&query.sort);
    for (key, _) in leading.iter().filter(|(key, _)| can_be_unset(*key)) {
        match glance.collation.unset.get() {
            Belief::Unknown => {}
            known => return Ok(known),
        }
        let end_is_unset = async |direction| -> Result<bool, Halt> {
            let params = params::of(query, glance.upstream.credentials(), Order::By(*key, direction), hidden);
            let page = walk::ask(glance, context, budget, &params, 1, None).await?;
            let end = page.and_then(|page| page.images.into_iter().next());
            Ok(end.is_some_and(|image| key.value(&image) == SortValue::Unset))
        };
        if end_is_unset(Direction::Desc).await? && !end_is_unset(Direction::Asc).await? {
            if glance.collation.unset.set_other() {
                tracing::warn!(
                    backend = glance.name,
                    "the image service behind puts unset values last: lists sorted by what may be unset are sorted here"
                );
            }
            return Ok(Belief::Other);
        }
    }
    Ok(Belief::Ours)
}

const fn can_be_unset(key: SortKey) -> bool {
    matches!(key, SortKey::Name | SortKey::ContainerFormat | SortKey::DiskFormat | SortKey::Size)
}

/// Learns from `images`, which are all in one list of the server, how it orders text, if they can show it.
pub(super) async fn learn(
    glance: &Glance,
    context: &Context,
    query: &Query,
    budget: &Budget,
    hidden: bool,
    images: &[Image],
) -> Result<(), Halt> {
    let Some((first, second)) = telling(images) else { return Ok(()) };
    let both = [first, second].map(ToString::to_string);
    let asked = Query {
        filters: vec![Filter::Text { field: Field::Id, any_of: both.to_vec() }],
        scope: query.scope,
        sort: Sort::by([(SortKey::Name, Direction::Asc)]),
        ..Query::default()
    };
    let params = params::of(&asked, glance.upstream.credentials(), Order::Asked, hidden);
    let Some(page) = walk::ask(glance, context, budget, &params, both.len(), None).await? else {
        return Ok(());
    };
    let came: Vec<&Image> = page.images.iter().collect();
    // Either may have been renamed meanwhile: what counts is what came.
    let [a, b] = came[..] else { return Ok(()) };
    match telling(&page.images) {
        Some((first, _)) if *first == a.id => {
            glance.collation.text.set_ours();
        }
        Some((first, _)) if *first == b.id => glance.collation.distrust(&glance.name, SortKey::Name),
        _ => {}
    }
    Ok(())
}

/// Two images of which the first is before the second by bytes, and behind it without regard to case, and by the
/// rules of any language: what their names begin with differs in case at most, and then comes, in small letters,
/// an earlier letter or digit in the second.
fn telling(images: &[Image]) -> Option<(&ImageId, &ImageId)> {
    let mut named: Vec<(&str, &ImageId)> =
        images.iter().filter_map(|image| Some((image.name.as_deref()?, &image.id))).collect();
    named.sort_unstable();
    let initial = |name: &str| name.bytes().next();
    let capitals = named.iter().filter(|(name, _)| initial(name).is_some_and(|c| c.is_ascii_uppercase()));
    let small = named.iter().filter(|(name, _)| initial(name).is_some_and(|c| c.is_ascii_lowercase()));
    let ends = capitals.max().zip(small.min());
    let neighbours = named.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    ends.into_iter().chain(neighbours).find(|(a, b)| tells(a.0, b.0)).map(|(a, b)| (a.1, b.1))
}

/// Whether two names, the first of which is before the second by bytes, are such a pair.
fn tells(first: &str, second: &str) -> bool {
    let folded = |name: &str| name.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>();
    let (first, second) = (folded(first), folded(second));
    let differing = first.iter().zip(&second).find(|(a, b)| a != b);
    differing.is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() && b < a)
}

#[cfg(test)]
mod tests {
    use image_service::{Caller, NewImage, Timestamp};

    use super::*;

    fn told(names: &[&str]) -> Option<(String, String)> {
        let images: Vec<Image> = names
            .iter()
            .map(|name| NewImage {
                id: Some(ImageId::lookup(*name)),
                name: Some((*name).to_owned()),
                ..NewImage::default()
            })
            .map(|new| new.into_image(&Caller::administrator(), Timestamp::from_second(0).unwrap()).unwrap())
            .collect();
        telling(&images).map(|(first, second)| (first.to_string(), second.to_string()))
    }

    #[test]
    fn names_tell_orders_apart_if_bytes_put_one_first_that_every_language_puts_last() {
        for (names, expected) in [
            (&["a", "B"][..], Some(("B", "a"))),
            (&["c", "_", "A", "B", "b"], None),
            (&["c", "_", "A", "D", "b"], Some(("D", "b"))),
            (&["image-a", "image-B", "image-c"], Some(("image-B", "image-a"))),
            (&["a", "b", "c 1", "é"], None),
            (&["A", "a", "AAA"], None),
            (&["Image 2", "image 1"], Some(("Image 2", "image 1"))),
            (&["Image-2", "image 1", "image_3"], None),
            (&["Éa", "ä"], None),
            (&[], None),
        ] {
            let expected = expected.map(|(first, second)| (first.to_owned(), second.to_owned()));
            assert_eq!(told(names), expected, "{names:?}");
        }
    }
}
