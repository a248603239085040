//! The header of a sparse vmdk and the descriptor in it, by VMware's "Virtual Disk Format": little-endian.
//!
//! The descriptor is a text that names the files with the data. In an image of one file it names that file alone, as one
//! sparse extent. One that names anything else refers to other files, and so does a descriptor that stands alone.

use super::{Finding, Kind, at, little_endian};

const SECTOR: u64 = 512;

/// A descriptor that stands alone begins so.
const ALONE: &[u8] = b"# Disk DescriptorFile";

pub(super) fn is_descriptor(head: &[u8]) -> bool {
    let blank = |byte: &u8| byte.is_ascii_whitespace();
    let text =
        head.iter().position(|byte| !blank(byte)).and_then(|start| head.get(start..)).unwrap_or_default();
    text.len() >= ALONE.len()
        && text.get(..ALONE.len()).is_some_and(|start| start.eq_ignore_ascii_case(ALONE))
}

pub(super) fn look(head: &[u8]) -> Finding {
    let unsafe_for = |why| Finding::Unsafe { kind: Kind::Vmdk, why };
    if !head.starts_with(b"KDMV") {
        return unsafe_for("is a part of a vmdk that refers to other files");
    }
    let (Some(sectors), Some(start), Some(length)) =
        (little_endian(head, 12), little_endian(head, 28), little_endian(head, 36))
    else {
        return unsafe_for("has no whole vmdk header");
    };
    let Some(text) = descriptor(head, start, length) else {
        return unsafe_for("has no vmdk descriptor where one must be");
    };
    match flaw(text) {
        Some(why) => unsafe_for(why),
        None => Finding::Kind { kind: Kind::Vmdk, disk: sectors.checked_mul(SECTOR) },
    }
}

fn descriptor(head: &[u8], start: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(start.checked_mul(SECTOR)?).ok().filter(|start| *start > 0)?;
    let length = usize::try_from(length.checked_mul(SECTOR)?).ok().filter(|length| *length > 0)?;
    let text = at(head, start, length)?;
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.get(..end)
}

/// What is wrong with a descriptor.
fn flaw(text: &[u8]) -> Option<&'static str> {
    let Ok(text) = std::str::from_utf8(text) else { return Some("has a vmdk descriptor that is no text") };
    let (mut kind, mut extents) = (None, 0);
    for line in text.split(['\n', '\r']).map(str::trim) {
        if let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("createType")
        {
            kind = Some(value.trim().trim_matches('"'));
        }
        if let Some(extent) = extent(line) {
            extents += 1;
            let own = extent.next_is_sparse && !extent.name.contains(['/', '\\']);
            if !own {
                return Some("refers to other files as its vmdk extents");
            }
        }
    }
    let known = |kind: &str| {
        ["monolithicSparse", "streamOptimized"].iter().any(|known| kind.eq_ignore_ascii_case(known))
    };
    if !kind.is_some_and(known) {
        return Some("is a vmdk of a kind that refers to other files");
    }
    (extents != 1).then_some("refers to other files as its vmdk extents")
}

struct Extent<'a> {
    next_is_sparse: bool,
    name: &'a str,
}

/// A line that describes an extent: access, sectors, type, name.
fn extent(line: &str) -> Option<Extent<'_>> {
    let mut words = line.split_ascii_whitespace();
    let access = words.next()?;
    if !["RW", "RDONLY", "NOACCESS"].iter().any(|known| access.eq_ignore_ascii_case(known)) {
        return None;
    }
    let next_is_sparse = words.nth(1).is_some_and(|kind| kind.eq_ignore_ascii_case("SPARSE"));
    Some(Extent { next_is_sparse, name: line.split_once('"').map_or(line, |(_, name)| name) })
}
