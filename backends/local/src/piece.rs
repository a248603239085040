//! Bytes as they come, put together to pieces of one size, with as little copying as can be.
//!
//! Large bytes are kept as they are. Small ones are copied together: each would cost as much as a large one to hand
//! on, and could hold on to memory that is many times its size.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Bytes that are at least this long are not copied.
const LARGE: usize = 16 << 10;

/// Some bytes, in parts. None of them is empty. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Piece(Arc<[Bytes]>);

impl Piece {
    /// The bytes in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|part| &**part)
    }

    pub(crate) fn length(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

/// A piece that is not complete.
#[derive(Debug)]
pub(crate) struct Gathering {
    /// What a complete piece has.
    whole: usize,
    length: usize,
    parts: Vec<Bytes>,
    /// The small bytes behind the last part.
    copied: BytesMut,
}

impl Gathering {
    /// Nothing yet, of pieces of this length.
    pub(crate) fn of(whole: usize) -> Self {
        Self { whole, length: 0, parts: Vec::new(), copied: BytesMut::new() }
    }

    /// Takes bytes, at most until the piece is complete, and leaves the others.
    pub(crate) fn take(&mut self, bytes: &mut Bytes) {
        let room = self.whole.saturating_sub(self.length);
        let part = bytes.split_to(room.min(bytes.len()));
        self.length = self.length.saturating_add(part.len());
        if part.len() >= LARGE {
            self.end_copied();
            self.parts.push(part);
        } else {
            if self.copied.is_empty() {
                self.copied.reserve(room);
            }
            self.copied.extend_from_slice(&part);
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) const fn is_complete(&self) -> bool {
        self.length >= self.whole
    }

    /// What there is, complete or not. The next piece begins.
    pub(crate) fn end(&mut self) -> Piece {
        self.end_copied();
        self.length = 0;
        Piece(std::mem::take(&mut self.parts).into())
    }

    fn end_copied(&mut self) {
        if !self.copied.is_empty() {
            self.parts.push(self.copied.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(whole: usize, lengths: &[usize]) -> Vec<Piece> {
        let (mut gathering, mut pieces, mut next) = (Gathering::of(whole), Vec::new(), 0_usize);
        for &length in lengths {
            let mut bytes: Bytes = (next..next + length).map(|n| (n ^ (n >> 8)) as u8).collect();
            next += length;
            while !bytes.is_empty() {
                gathering.take(&mut bytes);
                if gathering.is_complete() {
                    pieces.push(gathering.end());
                }
            }
        }
        if !gathering.is_empty() {
            pieces.push(gathering.end());
        }
        pieces
    }

    #[test]
    fn pieces_are_of_one_length_but_for_the_last_and_hold_the_bytes_in_order() {
        let lengths = [[1, 16_383, 16_384, 0, 5, 100_000], [70_000, 1, 1, 1, 16_384, 3]];
        for whole in [4096, 16_384, 50_000, 1 << 20] {
            for lengths in lengths {
                let pieces = gathered(whole, &lengths);
                let all: usize = lengths.iter().sum();
                let bytes: Vec<u8> =
                    pieces.iter().flat_map(|piece| piece.parts().flatten()).copied().collect();
                assert_eq!(bytes, (0..all).map(|n| (n ^ (n >> 8)) as u8).collect::<Vec<_>>());
                let (last, full) = pieces.split_last().unwrap();
                assert!(full.iter().all(|piece| piece.length() == whole));
                assert_eq!(last.length(), all - whole * full.len());
            }
        }
    }

    #[test]
    fn large_bytes_are_not_copied_and_small_ones_end_up_in_few_parts() {
        let mut large = Bytes::from(vec![7; LARGE]);
        let mut gathering = Gathering::of(1 << 20);
        let at = large.as_ptr();
        gathering.take(&mut large);
        assert_eq!(gathering.end().parts().next().unwrap().as_ptr(), at);
        let small = vec![10; 100_000];
        for piece in gathered(1 << 20, &small) {
            assert_eq!(piece.parts().count(), 1);
        }
    }
}
