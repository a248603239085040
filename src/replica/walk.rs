//! Both backends read by id, page by page, and woven into pairs.

use std::num::NonZeroUsize;

use futures::StreamExt as _;
use futures::TryStreamExt as _;
use futures::stream::{self, BoxStream};
use image_service::{
    Context, Direction, Error, ErrorKind, Filter, Image, ImageId, MemberScope, Query, Scope, Sort, SortKey,
    VisibilityScope,
};

use super::{Failed, Side};

/// Images in one page.
const PAGE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(499);

/// What the two backends have under one id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are of the large kind, and a box for each would save nothing"
)]
pub(super) enum Pair {
    /// The first one has it.
    A(Image),
    /// The second one has it.
    B(Image),
    /// Both have it.
    Both(Image, Image),
}

/// The images of one backend, or why they cannot be told.
pub(super) type Images<'a> = BoxStream<'a, Result<Image, Failed>>;

/// The images of `side` that satisfy the filters, by their ids: hidden ones, and those of everybody.
pub(super) fn images<'a>(side: &'a Side, context: &'a Context, filters: Vec<Filter>) -> Images<'a> {
    let query = Query {
        filters,
        scope: Scope { visibility: VisibilityScope::All, member_status: MemberScope::All },
        sort: Sort::by([(SortKey::Id, Direction::Asc)]),
        limit: Some(PAGE),
        ..Query::default()
    };
    stream::try_unfold(Some(query), move |query| async move {
        match query {
            Some(query) => page(side, context, query).await.map(Some),
            None => Ok(None),
        }
    })
    .map_ok(|images| stream::iter(images.into_iter().map(Ok::<Image, Failed>)))
    .try_flatten()
    .boxed()
}

/// The page that `query` asks for, and what to ask next.
async fn page(side: &Side, context: &Context, query: Query) -> Result<(Vec<Image>, Option<Query>), Failed> {
    let page = side.service.detail(context, &query).await.map_err(|error| side.failed(error))?;
    let mut before = query.position.as_ref().map(|position| &position.id);
    for image in &page.items {
        if before.is_some_and(|before| image.id <= *before) {
            return Err(side.failed(disorder(&image.id)));
        }
        before = Some(&image.id);
    }
    let position = page.items.last().map(|last| query.sort.position_of(last));
    let next = position.filter(|_| page.more);
    let next = next.map(|position| Query { position: Some(position), resume: page.resume, ..query });
    Ok((page.items, next))
}

fn disorder(id: &ImageId) -> Error {
    Error::new(ErrorKind::Internal, format!("its list is out of order at image {id}"))
}

/// The images of two backends, by their ids.
pub(super) fn pairs<'a>(a: Images<'a>, b: Images<'a>) -> BoxStream<'a, Result<Pair, Failed>> {
    stream::try_unfold(Weave { a: Head::of(a), b: Head::of(b) }, Weave::next).boxed()
}

/// A list, and its first image that has not been given yet.
struct Head<'a> {
    rest: Images<'a>,
    first: Option<Image>,
}

impl<'a> Head<'a> {
    fn of(images: Images<'a>) -> Self {
        Self { rest: images.fuse().boxed(), first: None }
    }

    async fn fill(&mut self) -> Result<(), Failed> {
        if self.first.is_none() {
            self.first = self.rest.try_next().await?;
        }
        Ok(())
    }
}

struct Weave<'a> {
    a: Head<'a>,
    b: Head<'a>,
}

impl Weave<'_> {
    async fn next(mut self) -> Result<Option<(Pair, Self)>, Failed> {
        futures::try_join!(self.a.fill(), self.b.fill())?;
        let pair = match (self.a.first.take(), self.b.first.take()) {
            (None, None) => return Ok(None),
            (Some(a), None) => Pair::A(a),
            (None, Some(b)) => Pair::B(b),
            (Some(a), Some(b)) if a.id < b.id => {
                self.b.first = Some(b);
                Pair::A(a)
            }
            (Some(a), Some(b)) if a.id > b.id => {
                self.a.first = Some(a);
                Pair::B(b)
            }
            (Some(a), Some(b)) => Pair::Both(a, b),
        };
        Ok(Some((pair, self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::metadata::tests::active;

    fn listed(ids: &[&str]) -> Images<'static> {
        let image = |id: &&str| Ok(Image { id: ImageId::lookup(*id), ..active() });
        stream::iter(ids.iter().map(image).collect::<Vec<_>>()).boxed()
    }

    async fn woven(a: &[&str], b: &[&str]) -> String {
        let pairs: Vec<Pair> = pairs(listed(a), listed(b)).try_collect().await.unwrap();
        let told = |pair: &Pair| match pair {
            Pair::A(image) => format!("a{}", image.id),
            Pair::B(image) => format!("b{}", image.id),
            Pair::Both(image, _) => format!("={}", image.id),
        };
        pairs.iter().map(told).collect::<Vec<_>>().join(" ")
    }

    #[tokio::test]
    async fn two_lists_become_one_of_pairs_in_the_order_of_ids() {
        assert_eq!(woven(&["1", "2", "4"], &["2", "3", "5"]).await, "a1 =2 b3 a4 b5");
        assert_eq!(woven(&[], &["1", "2"]).await, "b1 b2");
        assert_eq!(woven(&["1"], &[]).await, "a1");
        assert_eq!(woven(&[], &[]).await, "");
        assert_eq!(woven(&["A", "a"], &["a"]).await, "aA =a");
    }

    #[tokio::test]
    async fn a_list_that_breaks_off_ends_the_pairs_in_its_failure() {
        let broken = Failed { backend: "b".into(), error: Error::new(ErrorKind::Unavailable, "gone") };
        let b = listed(&["1"]).chain(stream::iter([Err(broken)])).boxed();
        let pairs: Vec<_> = pairs(listed(&["1", "2"]), b).collect().await;
        assert!(
            matches!(&pairs[..], [Ok(Pair::Both(..)), Err(failed)] if failed.backend == "b"),
            "{pairs:?}"
        );
    }
}
