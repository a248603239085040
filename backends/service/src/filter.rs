//! Conditions on images.

use std::cmp::Ordering;

use crate::words::words;
use crate::{Image, Timestamp};

words! {
    /// An attribute that filters can test.
    Field, "attribute", {
        /// The id.
        Id = "id",
        /// The name.
        Name = "name",
        /// The status.
        Status = "status",
        /// The visibility.
        Visibility = "visibility",
        /// The container format.
        ContainerFormat = "container_format",
        /// The disk format.
        DiskFormat = "disk_format",
        /// The owner.
        Owner = "owner",
        /// The MD5 checksum.
        Checksum = "checksum",
        /// The algorithm of the strong hash.
        HashAlgorithm = "os_hash_algo",
        /// The value of the strong hash.
        HashValue = "os_hash_value",
        /// Bytes of data.
        Size = "size",
        /// Bytes a guest sees.
        VirtualSize = "virtual_size",
        /// Smallest disk.
        MinDisk = "min_disk",
        /// Smallest memory.
        MinRam = "min_ram",
        /// When it was made.
        CreatedAt = "created_at",
        /// When it last changed.
        UpdatedAt = "updated_at",
        /// Whether it is hidden.
        Hidden = "os_hidden",
        /// Whether it is protected.
        Protected = "protected",
        /// A tag.
        Tag = "tag",
        /// A custom property.
        Property = "property",
        /// A part of the name. Apart from the name itself, for many stores find names but no parts of them.
        NamePart = "name_part",
    }
}

words! {
    /// How a value is compared with the one asked for.
    Comparison, "operator", {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "neq",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Le = "lte",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Ge = "gte",
    }
}

impl Comparison {
    /// Whether `actual` stands in this relation to `wanted`.
    #[must_use]
    pub fn holds<T: Ord>(self, actual: &T, wanted: &T) -> bool {
        let ordering = actual.cmp(wanted);
        match self {
            Self::Eq => ordering == Ordering::Equal,
            Self::Ne => ordering != Ordering::Equal,
            Self::Lt => ordering == Ordering::Less,
            Self::Le => ordering != Ordering::Greater,
            Self::Gt => ordering == Ordering::Greater,
            Self::Ge => ordering != Ordering::Less,
        }
    }
}

/// One condition. An unset attribute satisfies none, whatever the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// A text attribute is one of these, byte for byte. An attribute that is not text never is.
    Text {
        /// The attribute.
        field: Field,
        /// The values, any of which will do.
        any_of: Vec<String>,
    },
    /// A number compares so.
    Number {
        /// The attribute.
        field: Field,
        /// The relation.
        comparison: Comparison,
        /// The number asked for.
        value: u64,
    },
    /// A moment compares so, in whole seconds.
    Time {
        /// The attribute.
        field: Field,
        /// The relation.
        comparison: Comparison,
        /// The moment asked for.
        value: Timestamp,
    },
    /// Hidden, or not.
    Hidden(bool),
    /// Protected, or not.
    Protected(bool),
    /// Has this tag.
    Tag(String),
    /// Has this property with this value.
    Property {
        /// The property's key.
        key: String,
        /// The value asked for.
        value: String,
    },
    /// The name has this in it, byte for byte. Anything has the empty text in it, but an unset name has nothing.
    NameContains(String),
}

impl Filter {
    /// The attribute is exactly `value`.
    pub fn text(field: Field, value: impl Into<String>) -> Self {
        Self::Text { field, any_of: vec![value.into()] }
    }

    /// What it tests.
    #[must_use]
    pub const fn field(&self) -> Field {
        match self {
            Self::Text { field, .. } | Self::Number { field, .. } | Self::Time { field, .. } => *field,
            Self::Hidden(_) => Field::Hidden,
            Self::Protected(_) => Field::Protected,
            Self::Tag(_) => Field::Tag,
            Self::Property { .. } => Field::Property,
            Self::NameContains(_) => Field::NamePart,
        }
    }

    /// Whether `image` satisfies it.
    #[must_use]
    pub fn matches(&self, image: &Image) -> bool {
        match self {
            Self::Text { field, any_of } => {
                field.text(image).is_some_and(|actual| any_of.iter().any(|wanted| wanted == actual))
            }
            Self::Number { field, comparison, value } => {
                field.number(image).is_some_and(|actual| comparison.holds(&actual, value))
            }
            Self::Time { field, comparison, value } => {
                field.time(image).is_some_and(|actual| comparison.holds(&actual, value))
            }
            Self::Hidden(wanted) => image.hidden == *wanted,
            Self::Protected(wanted) => image.protected == *wanted,
            Self::Tag(tag) => image.tags.contains(tag),
            Self::Property { key, value } => image.properties.get(key) == Some(value),
            Self::NameContains(part) => image.name.as_ref().is_some_and(|name| name.contains(part.as_str())),
        }
    }
}

impl Field {
    fn text(self, image: &Image) -> Option<&str> {
        match self {
            Self::Id => Some(image.id.as_str()),
            Self::Name => image.name.as_deref(),
            Self::Status => Some(image.status.as_str()),
            Self::Visibility => Some(image.visibility.as_str()),
            Self::ContainerFormat => image.container_format.as_deref(),
            Self::DiskFormat => image.disk_format.as_deref(),
            Self::Owner => image.owner.as_deref(),
            Self::Checksum => image.checksum.as_deref(),
            Self::HashAlgorithm => image.hash.as_ref().map(|hash| hash.algorithm.as_str()),
            Self::HashValue => image.hash.as_ref().map(|hash| hash.value.as_str()),
            _ => None,
        }
    }

    fn number(self, image: &Image) -> Option<u64> {
        match self {
            Self::Size => image.size,
            Self::VirtualSize => image.virtual_size,
            Self::MinDisk => Some(image.min_disk.into()),
            Self::MinRam => Some(image.min_ram.into()),
            _ => None,
        }
    }

    const fn time(self, image: &Image) -> Option<Timestamp> {
        match self {
            Self::CreatedAt => Some(image.created_at),
            Self::UpdatedAt => Some(image.updated_at),
            _ => None,
        }
    }
}
