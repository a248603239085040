//! Enums whose variants have one word each, the word that clients and stores use for it.

use crate::Error;

/// An attribute's value that is not one of those known.
pub(crate) fn unknown(what: &str, text: &str, known: &[&str]) -> Error {
    Error::invalid(format!("{what}: '{text}' is not one of {}", known.join(", ")))
}

/// Writes an enum with one wire word for each variant, its parser and its list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> $crate::Result<Self> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::words::unknown($what, text, &[$($word,)+])),
                }
            }
        }
    };
}
pub(crate) use words;
