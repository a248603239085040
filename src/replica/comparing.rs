//! What differs between two backends, told while both are read.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use image_service::{Context, ErrorKind, Image, MemberStatus, Visibility};
use serde::Serialize;

use super::difference::{Difference, Letter, Sameness, of_pair};
use super::names::{MOST_NAMES, Names};
use super::walk::{Pair, images, pairs};
use super::{Choice, Failed, Side, Verdict, context};

/// What is compared.
#[derive(Debug, Clone, Default)]
pub struct Comparing {
    /// The images that are meant: those of the first backend, and of the second what is not in the first.
    pub choice: Choice,
    /// What becomes of images that only the second backend has.
    pub only_in_b: OneSided,
    /// Whether members of shared images are compared, which costs a request to each backend for each shared image.
    pub members: Members,
}

/// Whether members are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Members {
    /// They are not.
    #[default]
    Ignored,
    /// They are, with their answers. A backend that cannot share has none.
    Compared,
}

/// What becomes of images that only one of the backends has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OneSided {
    /// They are no difference.
    #[default]
    Ignored,
    /// They are missing in the other one.
    Told,
}

/// How much of what there was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Images of the first backend that were meant.
    pub images_in_a: u64,
    /// Images of the second backend that were meant, or have the id of one that was.
    pub images_in_b: u64,
    /// Ids in both.
    pub in_both: u64,
    /// [`Difference::Missing`] in the second.
    pub missing_in_b: u64,
    /// [`Difference::Missing`] in the first, also if that is not told.
    pub missing_in_a: u64,
    /// [`Difference::Content`]
    pub content: u64,
    /// [`Difference::Unknown`]
    pub unknown: u64,
    /// [`Difference::Metadata`]
    pub metadata: u64,
    /// [`Difference::Name`]
    pub name: u64,
    /// Images that are in one backend only and whose names were not compared, because there were more than
    /// [`MOST_NAMES`].
    pub unnamed: u64,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Comparison {
    /// What was found.
    pub counts: Counts,
    /// Whether it differs.
    pub verdict: Verdict,
    /// Why it ended early, if it did.
    pub broken: Option<Failed>,
}

/// Compares `a` with `b`, and tells each difference as it is found: those of one id by id, and then those of names.
///
/// Nothing is written. Both are read page by page, and what changes meanwhile may be told as it was or as it is. Members
/// of shared images are compared if that is wished, times and stores are not. If a backend cannot be read to its end, what has been told is
/// true, and [`Comparison::broken`] says so.
pub async fn compare(
    a: &Side,
    b: &Side,
    settings: &Comparing,
    tell: &mut (dyn FnMut(&Difference) + Send),
) -> Comparison {
    let mut counts = Counts::default();
    let broken = walk(a, b, settings, &mut counts, tell).await.err();
    let lists_extra = settings.only_in_b == OneSided::Told && counts.missing_in_a > 0;
    let differs = [counts.missing_in_b, counts.content, counts.metadata].iter().any(|count| *count > 0);
    let verdict = Verdict::of(broken.is_some() || counts.unknown > 0, differs || lists_extra);
    Comparison { counts, verdict, broken }
}

async fn walk(
    a: &Side,
    b: &Side,
    settings: &Comparing,
    counts: &mut Counts,
    tell: &mut (dyn FnMut(&Difference) + Send),
) -> Result<(), Failed> {
    let (context, ids) = (context(), settings.choice.of_ids());
    let (in_a, in_b) = (images(a, &context, ids.clone()), images(b, &context, ids));
    let mut pairs = pairs(in_a, in_b);
    let (mut names, meant) = (Names::new(MOST_NAMES), settings.choice.filters());
    while let Some(pair) = pairs.try_next().await? {
        let (Pair::A(image) | Pair::B(image) | Pair::Both(image, _)) = &pair;
        if !meant.iter().all(|filter| filter.matches(image)) {
            continue;
        }
        note(&pair, &mut names, counts);
        if matches!(pair, Pair::B(_)) && settings.only_in_b == OneSided::Ignored {
            continue;
        }
        let members = match (settings.members, &pair) {
            (Members::Compared, Pair::Both(in_a, in_b)) => of_members((a, in_a), (b, in_b), &context).await?,
            _ => Sameness::Same,
        };
        for difference in of_pair(&pair, members) {
            count(&difference, counts);
            tell(&difference);
        }
    }
    for difference in names.differences() {
        count(&difference, counts);
        tell(&difference);
    }
    Ok(())
}

/// Whether an image is shared with the same projects in both backends, and these have answered alike. Where it is shared in
/// one alone, that is told as its visibility.
async fn of_members(a: (&Side, &Image), b: (&Side, &Image), context: &Context) -> Result<Sameness, Failed> {
    let are_shared = [a.1, b.1].iter().all(|image| image.visibility == Visibility::Shared);
    if !are_shared {
        return Ok(Sameness::Same);
    }
    let (in_a, in_b) = futures::try_join!(answers(a, context), answers(b, context))?;
    Ok(if in_a == in_b { Sameness::Same } else { Sameness::Other })
}

/// The members of an image, with their answers. One that has gone since it was listed has none.
async fn answers(
    (side, image): (&Side, &Image),
    context: &Context,
) -> Result<BTreeMap<String, MemberStatus>, Failed> {
    let members = match side.members(context, image).await {
        Err(failed) if failed.error.kind() == ErrorKind::NotFound => Vec::new(),
        members => members?,
    };
    Ok(members.into_iter().map(|member| (member.member_id, member.status)).collect())
}

/// Counts a pair, and remembers the name of what only one has.
fn note(pair: &Pair, names: &mut Names, counts: &mut Counts) {
    let one_sided = match pair {
        Pair::A(image) => {
            counts.images_in_a += 1;
            counts.missing_in_b += 1;
            (Letter::A, image)
        }
        Pair::B(image) => {
            counts.images_in_b += 1;
            counts.missing_in_a += 1;
            (Letter::B, image)
        }
        Pair::Both(..) => {
            counts.images_in_a += 1;
            counts.images_in_b += 1;
            counts.in_both += 1;
            return;
        }
    };
    if !names.note(one_sided.0, one_sided.1) {
        counts.unnamed += 1;
    }
}

fn count(difference: &Difference, counts: &mut Counts) {
    match difference {
        // It has been counted, told or not.
        Difference::Missing { .. } => {}
        Difference::Content { .. } => counts.content += 1,
        Difference::Unknown { .. } => counts.unknown += 1,
        Difference::Metadata { .. } => counts.metadata += 1,
        Difference::Name { .. } => counts.name += 1,
    }
}
