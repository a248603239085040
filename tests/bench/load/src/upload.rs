//! One file on its way to a server. The kernel moves it, so that the client costs next to nothing.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use rustix::fs::sendfile;
use serde_json::{Value, json};

use crate::answer::{self, wrong};
use crate::download::connect;

/// How much is sent at once, at most.
const PIECE: usize = 1 << 20;

/// Sends the file, and tells how long it took until the server said that it has all of it.
pub(crate) fn put(address: SocketAddr, path: &str, file: &Path) -> io::Result<Value> {
    let file = File::open(file)?;
    let length = file.metadata()?.len();
    let mut connection = connect(address)?;
    let begun = Instant::now();
    write!(
        connection,
        "PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\n\r\n"
    )?;
    let mut sent = 0;
    while sent < length {
        if sendfile(&connection, &file, Some(&mut sent), PIECE)? == 0 {
            return Err(wrong("the file ended before its length"));
        }
    }
    let head = answer::head(&mut connection, &mut Vec::new())?;
    if !(200..300).contains(&head.status) {
        return Err(wrong(&format!("status {}", head.status)));
    }
    Ok(json!({ "seconds": begun.elapsed().as_secs_f64(), "bytes": length, "answers": 1 }))
}
