//! The head of an answer: just what the load needs of it, and an error for everything else.

use std::io::{self, Read};

/// Most bytes of a head. A head that comes in one piece is read in one.
const HEAD: usize = 64 * 1024;

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// How many bytes follow.
    pub(crate) length: u64,
    /// Whether the connection ends with this answer.
    pub(crate) last: bool,
}

/// Reads a head, and with it the beginning of the data, which is left in `beginning`.
pub(crate) fn head(source: &mut impl Read, beginning: &mut Vec<u8>) -> io::Result<Head> {
    beginning.clear();
    let mut piece = [0; 4096];
    let end = loop {
        let read = source.read(&mut piece)?;
        if read == 0 {
            return Err(wrong("the connection ended before the answer"));
        }
        let looked_at = beginning.len().saturating_sub(3);
        beginning.extend_from_slice(piece.get(..read).unwrap_or_default());
        let unseen = beginning.get(looked_at..).unwrap_or_default();
        if let Some(found) = unseen.windows(4).position(|window| window == b"\r\n\r\n") {
            break looked_at + found + 4;
        }
        if beginning.len() > HEAD {
            return Err(wrong("a head without an end"));
        }
    };
    let data = beginning.split_off(end);
    let head = std::mem::replace(beginning, data);
    parse(&String::from_utf8_lossy(&head))
}

fn parse(text: &str) -> io::Result<Head> {
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| wrong(&format!("no HTTP: {first}")))?;
    let mut head = Head { status, length: 0, last: first.starts_with("HTTP/1.0") };
    let mut length = if status == 204 { Some(0) } else { None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            head.last = value.eq_ignore_ascii_case("close");
        }
    }
    head.length = length.ok_or_else(|| wrong(&format!("{first}: no length")))?;
    Ok(head)
}

/// An error of ours.
pub(crate) fn wrong(sentence: &str) -> io::Error {
    io::Error::other(sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_apart_from_the_data_behind_it() {
        let mut sent: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nconnection: close\r\n\r\n0123";
        let mut beginning = Vec::new();
        let read = head(&mut sent, &mut beginning).unwrap();
        assert_eq!(read, Head { status: 200, length: 10, last: true });
        assert_eq!(beginning, b"0123");
    }

    #[test]
    fn a_head_in_single_bytes_is_the_same_head() {
        struct Slow(&'static [u8]);
        impl Read for Slow {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let (one, rest) = self.0.split_at(self.0.len().min(1));
                self.0 = rest;
                into[..one.len()].copy_from_slice(one);
                Ok(one.len())
            }
        }
        let read = head(&mut Slow(b"HTTP/1.1 204 No Content\r\n\r\nmore"), &mut Vec::new()).unwrap();
        assert_eq!(read, Head { status: 204, length: 0, last: false });
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        let mut sent: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(head(&mut sent, &mut Vec::new()).is_err());
    }
}
