//! The header of qcow2, by QEMU's `docs/interop/qcow2.rst`: big-endian.

use super::{Finding, Kind, at, big_endian};

/// The image says that another file holds its data.
const DATA_FILE: u64 = 1 << 2;

/// What an image may need of whoever opens it: dirty, corrupt, another file for its data, another compression, extended
/// entries. What is not among these is not known, and nobody can say what it would do.
const KNOWN: u64 = 0b1_1111;

pub(super) fn look(head: &[u8]) -> Finding {
    let unsafe_for = |why| Finding::Unsafe { kind: Kind::Qcow2, why };
    let version = at(head, 4, 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    match version {
        Some(1) => return Finding::of(Kind::Qcow1),
        Some(2 | 3) => {}
        _ => return unsafe_for("is of a version of qcow2 that is not known"),
    }
    let (Some(backing), Some(disk)) = (big_endian(head, 8), big_endian(head, 24)) else {
        return unsafe_for("has no whole qcow2 header");
    };
    if backing != 0 {
        return unsafe_for("refers to a backing file");
    }
    if version == Some(3) {
        let Some(needs) = big_endian(head, 72) else { return unsafe_for("has no whole qcow2 header") };
        if needs & DATA_FILE != 0 {
            return unsafe_for("refers to a data file");
        }
        if needs & !KNOWN != 0 {
            return unsafe_for("needs a feature of qcow2 that is not known");
        }
    }
    Finding::Kind { kind: Kind::Qcow2, disk: Some(disk) }
}
