//! What can be done, and how it is drawn: from a seed, so that it can be drawn again.

use fastrand::Rng;

use crate::people::{PEOPLE, PROJECTS};

pub(crate) const VISIBILITIES: [&str; 4] = ["public", "community", "shared", "private"];
pub(crate) const TAGS: [&str; 3] = ["x", "y", "z"];
const ANSWERS: [&str; 3] = ["accepted", "pending", "rejected"];

/// What a list is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) visibility: Option<&'static str>,
    pub(crate) member_status: Option<&'static str>,
    pub(crate) hidden: bool,
    pub(crate) owner: Option<&'static str>,
    pub(crate) protected: Option<bool>,
}

/// A patch of one attribute.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Nothing,
    Visibility(&'static str),
    Owner(Option<&'static str>),
    Hidden(bool),
    Protected(bool),
    Name(u8),
}

/// What is done.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Create {
        visibility: Option<&'static str>,
        owner: Option<Option<&'static str>>,
        hidden: bool,
        protected: bool,
        names_id: bool,
        store: usize,
    },
    /// The whole list, in pages of so many, by `next` or by the marker.
    List {
        scope: Scope,
        limit: usize,
        by_marker: bool,
        sort: &'static str,
    },
    /// A page from behind the image.
    ListFrom(Scope),
    Show,
    Download {
        range: Option<(usize, usize)>,
        prefer: Option<usize>,
    },
    Upload {
        bytes: usize,
        store: Option<usize>,
    },
    Patch(Edit),
    Delete,
    Deactivate,
    Reactivate,
    Members,
    AddMember(&'static str),
    ShowMember(&'static str),
    /// With an answer that there is, or one that there is not.
    Answer(&'static str, &'static str),
    RemoveMember(&'static str),
    AddTag(&'static str),
    RemoveTag(&'static str),
    RemoveCopy(usize),
    /// A store falls silent.
    Silence(usize),
    /// All stores answer again.
    Return,
}

/// Somebody does something to the image of a number.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) who: usize,
    pub(crate) image: usize,
    pub(crate) deed: Deed,
}

/// What is drawn from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Urn {
    /// Images that are there from the beginning.
    pub(crate) images: usize,
    /// Stores, and the names that clients know them by.
    pub(crate) stores: usize,
    pub(crate) names: usize,
    pub(crate) silences: bool,
}

fn one<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())]
}

fn maybe<T: Copy>(rng: &mut Rng, of: &[T]) -> Option<T> {
    rng.bool().then(|| one(rng, of))
}

fn scope(rng: &mut Rng) -> Scope {
    Scope {
        visibility: maybe(rng, &["public", "community", "shared", "private", "all", "all"]),
        member_status: maybe(rng, &["accepted", "pending", "rejected", "all"]),
        hidden: rng.u8(..4) == 0,
        owner: if rng.u8(..4) == 0 { Some(one(rng, &PROJECTS)) } else { None },
        protected: if rng.u8(..8) == 0 { Some(rng.bool()) } else { None },
    }
}

fn edit(rng: &mut Rng) -> Edit {
    match rng.u8(..10) {
        0 => Edit::Nothing,
        1..=5 => Edit::Visibility(one(rng, &VISIBILITIES)),
        6 => Edit::Owner(if rng.u8(..4) == 0 { None } else { Some(one(rng, &PROJECTS)) }),
        7 => Edit::Hidden(rng.bool()),
        8 => Edit::Protected(rng.u8(..4) == 0),
        _ => Edit::Name(rng.u8(..9)),
    }
}

fn creation(rng: &mut Rng, urn: Urn) -> Deed {
    Deed::Create {
        visibility: maybe(rng, &VISIBILITIES),
        owner: if rng.u8(..5) == 0 { Some(maybe(rng, &PROJECTS)) } else { None },
        hidden: rng.u8(..6) == 0,
        protected: rng.u8(..8) == 0,
        names_id: rng.bool(),
        store: rng.usize(..urn.names),
    }
}

fn listing(rng: &mut Rng) -> Deed {
    Deed::List {
        scope: scope(rng),
        limit: one(rng, &[1, 2, 3, 7, 50]),
        by_marker: rng.bool(),
        sort: one(rng, &["", "name:asc", "size:desc", "id:asc"]),
    }
}

/// A deed, and whether it is done to an image that need not exist yet.
fn deed(rng: &mut Rng, urn: Urn) -> Deed {
    match rng.u8(..100) {
        0..=11 => creation(rng, urn),
        12..=21 => listing(rng),
        22..=25 => Deed::ListFrom(scope(rng)),
        26..=33 => Deed::Show,
        34..=41 => Deed::Download {
            range: rng.bool().then(|| (rng.usize(..12), rng.usize(..12))),
            prefer: if rng.u8(..4) == 0 { Some(rng.usize(..urn.names)) } else { None },
        },
        42..=49 => Deed::Upload {
            bytes: rng.usize(1..20),
            store: if rng.u8(..4) == 0 { Some(rng.usize(..urn.names)) } else { None },
        },
        50..=61 => Deed::Patch(edit(rng)),
        62..=64 => Deed::Delete,
        65..=66 => Deed::Deactivate,
        67..=68 => Deed::Reactivate,
        69..=72 => Deed::Members,
        73..=78 => Deed::AddMember(one(rng, &PROJECTS)),
        79..=81 => Deed::ShowMember(one(rng, &PROJECTS)),
        82..=87 => {
            let answer = if rng.u8(..12) == 0 { "maybe" } else { one(rng, &ANSWERS) };
            Deed::Answer(one(rng, &PROJECTS), answer)
        }
        88..=90 => Deed::RemoveMember(one(rng, &PROJECTS)),
        91..=92 => Deed::AddTag(one(rng, &TAGS)),
        93..=94 => Deed::RemoveTag(one(rng, &TAGS)),
        95 => Deed::RemoveCopy(rng.usize(..urn.names)),
        96..=97 if urn.silences => Deed::Silence(rng.usize(..urn.stores)),
        98..=99 if urn.silences => Deed::Return,
        _ => Deed::Show,
    }
}

/// So many steps.
pub(crate) fn draw(seed: u64, steps: usize, urn: Urn) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let mut images = urn.images;
    (0..steps)
        .map(|_| {
            let deed = deed(&mut rng, urn);
            let is_new = matches!(deed, Deed::Create { .. }) && (images == 0 || rng.u8(..8) > 0);
            let image = if is_new {
                images += 1;
                images - 1
            } else {
                // Late images more often than early ones, many of which are gone.
                let early = rng.usize(..images.max(1));
                early.max(rng.usize(..images.max(1)))
            };
            // Administrators and those who may do most are not most of those who ask.
            Step { who: rng.usize(..PEOPLE.len()), image, deed }
        })
        .collect()
}
