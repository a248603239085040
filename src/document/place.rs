//! Where in a TOML text something stands: a path of keys, and how to follow it.
//!
//! Nothing here reads values; see [`super::Document`].

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One step down into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a table, by key.
    Key(String),
    /// Into an array, by number from zero.
    Item(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(number: usize) -> Self {
        Self::Item(number)
    }
}

/// A path from the root of a document. Prints as `backend[1].options.endpoint`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Vec<Step>);

impl Place {
    /// The document itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// One step further down.
    #[must_use]
    pub fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// What `inner` is called from where this place is the root's.
    #[must_use]
    pub fn join(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    /// The place around this one and the last step to it; `None` for the root.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, &Step)> {
        self.0.split_last().map(|(last, way)| (Self(way.to_vec()), last))
    }

    /// The list that this place is an item of, the outermost if it is a list of lists; `None` if it is no item.
    #[must_use]
    pub fn list_around(&self) -> Option<Self> {
        let items = self.0.iter().rev().take_while(|step| matches!(step, Step::Item(_))).count();
        let way = self.0.get(..self.0.len() - items)?;
        (items > 0).then(|| Self(way.to_vec()))
    }

    /// The steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this place is `other` or lies within it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// The bytes of the text that `place` stands at, or those of the nearest table around it that is there.
pub(super) fn span_of(root: &DeTable<'_>, place: &Place) -> Option<Range<usize>> {
    let (mut span, mut table, mut array) = (None, Some(root), None);
    for step in place.steps() {
        let value: &Spanned<DeValue<'_>> = match step {
            Step::Key(key) => {
                let Some((name, value)) = table.and_then(|table| table.get_key_value(key.as_str())) else {
                    return span;
                };
                span = Some(name.span());
                value
            }
            Step::Item(number) => {
                let items = array.map(|items: &toml::de::DeArray<'_>| items.get(*number));
                let Some(Some(value)) = items else { return span };
                span = Some(value.span());
                value
            }
        };
        table = value.get_ref().as_table();
        array = value.get_ref().as_array();
    }
    span
}

/// The key or value that the bytes `span` belong to: the narrowest there is.
pub(super) fn place_of(root: &DeTable<'_>, span: &Range<usize>) -> Place {
    let mut best = (usize::MAX, Place::root());
    in_table(root, &Place::root(), span, &mut best);
    best.1
}

type Best = (usize, Place);

fn in_table(table: &DeTable<'_>, here: &Place, span: &Range<usize>, best: &mut Best) {
    for (key, value) in table {
        let place = here.then(key.get_ref().as_ref());
        narrow(&key.span(), &place, span, best);
        in_value(value, &place, span, best);
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, place: &Place, span: &Range<usize>, best: &mut Best) {
    narrow(&value.span(), place, span, best);
    match value.get_ref() {
        DeValue::Table(table) => in_table(table, place, span, best),
        DeValue::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                in_value(item, &place.then(number), span, best);
            }
        }
        _ => {}
    }
}

fn narrow(candidate: &Range<usize>, place: &Place, span: &Range<usize>, best: &mut Best) {
    if candidate.start <= span.start && span.end <= candidate.end && candidate.len() < best.0 {
        *best = (candidate.len(), place.clone());
    }
}

/// Takes what stands at the end of `steps` out of `table`, and says whether it was there.
pub(super) fn take_out(table: &mut DeTable<'_>, steps: &[Step]) -> bool {
    match steps {
        [Step::Key(key)] => table.remove(key.as_str()).is_some(),
        [Step::Key(key), rest @ ..] => {
            table.get_mut(key.as_str()).is_some_and(|value| take_out_of_value(value.get_mut(), rest))
        }
        _ => false,
    }
}

fn take_out_of_value(value: &mut DeValue<'_>, steps: &[Step]) -> bool {
    match (value, steps) {
        (DeValue::Table(table), _) => take_out(table, steps),
        (DeValue::Array(items), [Step::Item(number)]) => {
            let there = *number < items.len();
            let others = items.clone().into_iter().enumerate().filter(|(other, _)| other != number);
            *items = others.map(|(_, item)| item).collect();
            there
        }
        (DeValue::Array(items), [Step::Item(number), rest @ ..]) => {
            items.get_mut(*number).is_some_and(|item| take_out_of_value(item.get_mut(), rest))
        }
        _ => false,
    }
}
