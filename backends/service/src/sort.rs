//! The total order of a list, and a place in it.

use std::cmp::Ordering;

use crate::words::words;
use crate::{Error, Image, ImageId, Result, Timestamp};

words! {
    /// An attribute that lists can be sorted by.
    SortKey, "sort key", {
        /// The name, by bytes.
        Name = "name",
        /// The status, by its word.
        Status = "status",
        /// The container format, by its word.
        ContainerFormat = "container_format",
        /// The disk format, by its word.
        DiskFormat = "disk_format",
        /// Bytes of data.
        Size = "size",
        /// The id, by bytes.
        Id = "id",
        /// When the record was made.
        CreatedAt = "created_at",
        /// When it last changed.
        UpdatedAt = "updated_at",
    }
}

words! {
    /// Which way a key is sorted.
    Direction, "sort direction", {
        /// Smallest first; unset values before all others.
        Asc = "asc",
        /// Largest first; unset values after all others.
        Desc = "desc",
    }
}

impl Direction {
    /// Turns an ascending comparison into this direction's.
    #[must_use]
    pub const fn apply(self, ascending: Ordering) -> Ordering {
        match self {
            Self::Asc => ascending,
            Self::Desc => ascending.reverse(),
        }
    }
}

/// The value of one sort key. Unset sorts below everything else of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SortValue {
    /// The attribute is unset.
    Unset,
    /// Text, compared by bytes.
    Text(String),
    /// A size.
    Number(u64),
    /// A moment.
    Time(Timestamp),
}

impl SortKey {
    /// This key's value in `image`.
    #[must_use]
    pub fn value(self, image: &Image) -> SortValue {
        let text = |value: &Option<String>| value.clone().map_or(SortValue::Unset, SortValue::Text);
        match self {
            Self::Name => text(&image.name),
            Self::Status => SortValue::Text(image.status.as_str().to_owned()),
            Self::ContainerFormat => text(&image.container_format),
            Self::DiskFormat => text(&image.disk_format),
            Self::Size => image.size.map_or(SortValue::Unset, SortValue::Number),
            Self::Id => SortValue::Text(image.id.as_str().to_owned()),
            Self::CreatedAt => SortValue::Time(image.created_at),
            Self::UpdatedAt => SortValue::Time(image.updated_at),
        }
    }

    /// Compares two images by this key, ascending, without copying their values.
    #[must_use]
    pub fn compare(self, a: &Image, b: &Image) -> Ordering {
        match self {
            Self::Name => a.name.cmp(&b.name),
            Self::Status => a.status.as_str().cmp(b.status.as_str()),
            Self::ContainerFormat => a.container_format.cmp(&b.container_format),
            Self::DiskFormat => a.disk_format.cmp(&b.disk_format),
            Self::Size => a.size.cmp(&b.size),
            Self::Id => a.id.cmp(&b.id),
            Self::CreatedAt => a.created_at.cmp(&b.created_at),
            Self::UpdatedAt => a.updated_at.cmp(&b.updated_at),
        }
    }

    /// Compares this key's value in `image` with `value`, ascending, without copying it.
    #[must_use]
    pub fn compare_value(self, image: &Image, value: &SortValue) -> Ordering {
        let SortValue::Text(wanted) = value else { return self.value(image).cmp(value) };
        let text = match self {
            Self::Name => image.name.as_deref(),
            Self::Status => Some(image.status.as_str()),
            Self::ContainerFormat => image.container_format.as_deref(),
            Self::DiskFormat => image.disk_format.as_deref(),
            Self::Id => Some(image.id.as_str()),
            Self::Size | Self::CreatedAt | Self::UpdatedAt => return self.value(image).cmp(value),
        };
        text.cmp(&Some(wanted.as_str()))
    }
}

/// A total order over images: keys with directions, ending in the id, so that no two images tie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sort(Vec<(SortKey, Direction)>);

impl Sort {
    /// Sorts by `keys`. Keys behind an `Id`, and repeats of a key, decide nothing and are dropped. If there is
    /// no `Id`, it is added in the first key's direction.
    #[must_use]
    pub fn by(keys: impl IntoIterator<Item = (SortKey, Direction)>) -> Self {
        let mut order: Vec<(SortKey, Direction)> = Vec::new();
        for (key, direction) in keys {
            if order.iter().all(|(seen, _)| *seen != key) {
                order.push((key, direction));
            }
            if key == SortKey::Id {
                return Self(order);
            }
        }
        let direction = order.first().map_or(Direction::Asc, |(_, direction)| *direction);
        order.push((SortKey::Id, direction));
        Self(order)
    }

    /// The keys in order of weight. The last one is the id, and it is the only id.
    #[must_use]
    pub fn keys(&self) -> &[(SortKey, Direction)] {
        &self.0
    }

    /// Which of two images comes first. `Equal` only for one and the same id.
    #[must_use]
    pub fn compare(&self, a: &Image, b: &Image) -> Ordering {
        self.0
            .iter()
            .map(|(key, direction)| direction.apply(key.compare(a, b)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Where `image` stands in this order.
    #[must_use]
    pub fn position_of(&self, image: &Image) -> Position {
        let keys = &self.0[..self.0.len() - 1];
        Position { values: keys.iter().map(|(key, _)| key.value(image)).collect(), id: image.id.clone() }
    }

    /// Whether `image` comes strictly after `position`.
    #[must_use]
    pub fn is_after(&self, image: &Image, position: &Position) -> bool {
        for ((key, direction), value) in self.0.iter().zip(&position.values) {
            match direction.apply(key.compare_value(image, value)) {
                Ordering::Less => return false,
                Ordering::Greater => return true,
                Ordering::Equal => {}
            }
        }
        let direction = self.0.last().map_or(Direction::Asc, |(_, direction)| *direction);
        direction.apply(image.id.cmp(&position.id)).is_gt()
    }

    /// Checks that `position` was made by this order.
    ///
    /// # Errors
    /// `Invalid` if it has another number of values, or a value of a kind its key never has.
    pub fn check(&self, position: &Position) -> Result<()> {
        let keys = &self.0[..self.0.len() - 1];
        let fits = keys.len() == position.values.len()
            && keys.iter().zip(&position.values).all(|((key, _), value)| match value {
                SortValue::Unset => !matches!(key, SortKey::CreatedAt | SortKey::UpdatedAt | SortKey::Status),
                SortValue::Number(_) => *key == SortKey::Size,
                SortValue::Time(_) => matches!(key, SortKey::CreatedAt | SortKey::UpdatedAt),
                SortValue::Text(_) => !matches!(key, SortKey::Size | SortKey::CreatedAt | SortKey::UpdatedAt),
            });
        if fits { Ok(()) } else { Err(Error::invalid("the position does not fit the sort keys")) }
    }
}

impl Default for Sort {
    /// Newest first.
    fn default() -> Self {
        Self::by([(SortKey::CreatedAt, Direction::Desc)])
    }
}

/// A place between images in one [`Sort`]: just behind the image it was taken from, also after that image
/// has changed or gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The values of all sort keys but the last, which is the id.
    pub values: Vec<SortValue>,
    /// The id of the image.
    pub id: ImageId,
}
