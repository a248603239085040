//! Many streams that take answers as fast as they come, for a given time.
//!
//! All connect first and begin together. A stream that has its answer asks again on the same connection, unless the
//! server ended it. An answer with another status or another length than it must have ends all in an error, so a server
//! cannot be fast by doing less.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::answer::{self, wrong};

/// How much is taken at once, at most.
const PIECE: usize = 1 << 20;
/// How long a server may give nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to ask for, and how.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) streams: usize,
    pub(crate) time: Duration,
    pub(crate) length: Option<u64>,
    pub(crate) reading: Reading,
}

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The kernel throws them away and only says how many there were.
    Discarded,
    /// They are copied out of the kernel.
    Copied,
}

#[derive(Debug, Default)]
struct Taken {
    answers: u64,
    bytes: u64,
}

/// Loads the server, and tells how many bytes and whole answers came in which time.
pub(crate) fn get(load: &Load) -> io::Result<Value> {
    // Our own thread waits there too, so that the time begins when all are connected.
    let start = Barrier::new(load.streams.saturating_add(1));
    thread::scope(|scope| {
        let streams: Vec<_> = (0..load.streams).map(|_| scope.spawn(|| stream(load, &start))).collect();
        start.wait();
        let begun = Instant::now();
        let mut all = Taken::default();
        for stream in streams {
            let taken = stream.join().map_err(|_| wrong("a stream ended in a panic"))??;
            all.answers += taken.answers;
            all.bytes += taken.bytes;
        }
        Ok(json!({
            "seconds": begun.elapsed().as_secs_f64(),
            "bytes": all.bytes,
            "answers": all.answers,
        }))
    })
}

/// Takes an answer whole and tells its length and its SHA-512.
pub(crate) fn digest(address: SocketAddr, path: &str) -> io::Result<Value> {
    let mut connection = connect(address)?;
    connection.write_all(&request(address, path))?;
    let mut data = Vec::new();
    let head = answer::head(&mut connection, &mut data)?;
    let mut hash = Sha512::new();
    hash.update(&data);
    let mut left = head.length.saturating_sub(data.len() as u64);
    data.resize(PIECE, 0);
    while left > 0 {
        let read = connection.read(data.get_mut(..at_most(left)).unwrap_or_default())?;
        if read == 0 {
            return Err(wrong("the data ended before its length"));
        }
        hash.update(data.get(..read).unwrap_or_default());
        left = left.saturating_sub(read as u64);
    }
    Ok(json!({ "status": head.status, "length": head.length, "sha512": hex::encode(hash.finalize()) }))
}

fn stream(load: &Load, start: &Barrier) -> io::Result<Taken> {
    let connected = connect(load.address);
    // Who cannot connect must not keep the others waiting.
    start.wait();
    let mut connection = connected?;
    let end = Instant::now() + load.time;
    let request = request(load.address, &load.path);
    let mut taken = Taken::default();
    let mut beginning = Vec::new();
    let mut buffer = vec![0; PIECE];
    while Instant::now() < end {
        connection.write_all(&request)?;
        let head = answer::head(&mut connection, &mut beginning)?;
        check(load, &head)?;
        let begun = beginning.len() as u64;
        let data = take(&connection, head.length.saturating_sub(begun), &mut buffer, load.reading, end)?;
        taken.bytes += begun + data;
        if begun + data < head.length {
            // Nothing more is wanted: the server must see that at once, and not at the end of the process.
            let _ = connection.shutdown(Shutdown::Both);
            break;
        }
        taken.answers += 1;
        if head.last {
            connection = connect(load.address)?;
        }
    }
    Ok(taken)
}

fn check(load: &Load, head: &answer::Head) -> io::Result<()> {
    if head.status != 200 {
        return Err(wrong(&format!("status {}", head.status)));
    }
    match load.length {
        Some(length) if length != head.length => {
            Err(wrong(&format!("{} bytes are announced, and not {length}", head.length)))
        }
        _ => Ok(()),
    }
}

/// Takes `length` bytes, or as many as come until `end`.
fn take(
    connection: &TcpStream,
    length: u64,
    buffer: &mut [u8],
    reading: Reading,
    end: Instant,
) -> io::Result<u64> {
    let flags = match reading {
        Reading::Discarded => RecvFlags::TRUNC,
        Reading::Copied => RecvFlags::empty(),
    };
    let mut left = length;
    while left > 0 && Instant::now() < end {
        let piece = buffer.get_mut(..at_most(left)).unwrap_or_default();
        let read = match recv(connection, piece, flags) {
            Ok((_, 0)) => return Err(wrong("the data ended before its length")),
            Ok((_, read)) => read,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        left = left.saturating_sub(read as u64);
    }
    Ok(length - left)
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

fn request(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

fn at_most(left: u64) -> usize {
    usize::try_from(left).map_or(PIECE, |left| left.min(PIECE))
}
