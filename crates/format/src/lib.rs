//! Looks into image data: what format it has, how large a disk it holds, and whether it refers to other files.
//!
//! An image whose header names another file (the backing or data file of qcow2, an extent of vmdk) makes whoever opens
//! it read that file, on the machine where it is opened. Such an image is [`Finding::Unsafe`], whatever it is said to
//! be. What the format of data is, is found in its first [`HEAD`] bytes, by magic numbers; only the fixed kind of vhd
//! has its mark at the end, in the last [`TAIL`] bytes.
//!
//! Pure: bytes in, findings out. It must not know where the bytes come from.

mod qcow2;
mod rules;
mod vmdk;

pub use rules::{Declared, Verdict};

/// So many bytes at the beginning tell the format.
pub const HEAD: usize = 64 * 1024;

/// So many bytes at the end hold the mark of a fixed vhd.
pub const TAIL: usize = 512;

/// No disk has so many bytes: what holds sizes is signed in most places.
const LARGEST: u64 = i64::MAX.unsigned_abs();

/// What data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that is known: plain bytes.
    Plain,
    /// A disk with a table of partitions.
    Partitioned,
    /// qcow2, version 2 or 3.
    Qcow2,
    /// qcow, the version before.
    Qcow1,
    /// QED.
    Qed,
    /// vmdk.
    Vmdk,
    /// vhd.
    Vhd,
    /// vhdx.
    Vhdx,
    /// vdi.
    Vdi,
    /// ISO 9660.
    Iso,
    /// LUKS.
    Luks,
    /// ploop.
    Ploop,
}

impl Kind {
    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain | Self::Partitioned => "raw",
            Self::Qcow2 => "qcow2",
            Self::Qcow1 => "qcow",
            Self::Qed => "qed",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Iso => "iso",
            Self::Luks => "luks",
            Self::Ploop => "ploop",
        }
    }
}

/// What is found at the beginning of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Data of this kind.
    Kind {
        /// Which.
        kind: Kind,
        /// Bytes of the disk in it, if its header says so. Plain data is its own disk.
        disk: Option<u64>,
    },
    /// Data that is not to be opened.
    Unsafe {
        /// Which kind it is.
        kind: Kind,
        /// Why not: what is said of it behind "the image".
        why: &'static str,
    },
}

impl Finding {
    const fn of(kind: Kind) -> Self {
        Self::Kind { kind, disk: None }
    }

    /// The kind of data, safe or not.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Kind { kind, .. } | Self::Unsafe { kind, .. } => *kind,
        }
    }

    /// Bytes of the disk in data of `size` bytes, if that is known. A header that says more than any disk can have
    /// says nothing.
    #[must_use]
    pub fn virtual_size(&self, size: u64) -> Option<u64> {
        match self {
            Self::Kind { kind: Kind::Plain | Kind::Partitioned | Kind::Iso, .. } => Some(size),
            Self::Kind { disk, .. } => disk.filter(|disk| *disk < LARGEST),
            Self::Unsafe { .. } => None,
        }
    }
}

/// Finds out what data is that begins with `head`: its first [`HEAD`] bytes, or all of it if there are fewer.
#[must_use]
pub fn look(head: &[u8]) -> Finding {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(b"QFI\xfb") {
        return qcow2::look(head);
    }
    if starts(b"KDMV") || starts(b"COWD") || vmdk::is_descriptor(head) {
        return vmdk::look(head);
    }
    if starts(b"conectix") {
        return Finding::Kind { kind: Kind::Vhd, disk: big_endian(head, 48) };
    }
    if let Some(kind) = by_magic(head) {
        return Finding::of(kind);
    }
    if at(head, 0x40, 4) == Some(&[0x7f, 0x10, 0xda, 0xbe]) {
        return Finding::Kind { kind: Kind::Vdi, disk: little_endian(head, 0x170) };
    }
    // A disc that can be booted from may have a table of partitions as well.
    if [0x8001, 0x8801, 0x9001].into_iter().any(|place| at(head, place, 5) == Some(b"CD001")) {
        return Finding::of(Kind::Iso);
    }
    if at(head, 510, 2) == Some(&[0x55, 0xaa]) {
        return Finding::of(Kind::Partitioned);
    }
    Finding::of(Kind::Plain)
}

fn by_magic(head: &[u8]) -> Option<Kind> {
    let known: [(&[u8], Kind); 5] = [
        (b"vhdxfile", Kind::Vhdx),
        (b"QED\0", Kind::Qed),
        (b"LUKS\xba\xbe", Kind::Luks),
        (b"WithoutFreeSpace", Kind::Ploop),
        (b"WithouFreSpacExt", Kind::Ploop),
    ];
    known.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, kind)| kind)
}

/// Whether data that ends with `tail` has the mark of a fixed vhd there.
#[must_use]
pub fn is_fixed_vhd(tail: &[u8]) -> bool {
    tail.len() >= TAIL && tail.get(tail.len() - TAIL..).is_some_and(|footer| footer.starts_with(b"conectix"))
}

fn at(bytes: &[u8], place: usize, length: usize) -> Option<&[u8]> {
    bytes.get(place..place.checked_add(length)?)
}

fn big_endian(bytes: &[u8], place: usize) -> Option<u64> {
    Some(u64::from_be_bytes(at(bytes, place, 8)?.try_into().ok()?))
}

fn little_endian(bytes: &[u8], place: usize) -> Option<u64> {
    Some(u64::from_le_bytes(at(bytes, place, 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
