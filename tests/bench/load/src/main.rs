//! The client of the benchmarks: one program that loads Portico and its peers in the same way.
//!
//! Client and servers share the processors of one machine, so whatever the client spends is missing to the servers. It
//! therefore speaks only as much HTTP as is needed, has one thread and one blocking socket per stream, and takes the
//! bytes of an answer without a copy unless it is told to read them. What it found is one line of JSON.
//!
//! It must not know whom it measures.

mod answer;
mod download;
mod upload;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use download::{Load, Reading};

/// Loads an HTTP server and tells how it fared.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Asks for a path on several connections, again and again, until the time is over.
    Get {
        /// Where the server is.
        address: SocketAddr,
        /// What to ask for.
        path: String,
        /// How many connections at once.
        #[arg(long, default_value_t = 1)]
        streams: usize,
        /// How long, in milliseconds. What is on its way then is cut off, and counts as far as it came.
        #[arg(long, default_value_t = 2000)]
        time: u64,
        /// How many bytes each answer must have.
        #[arg(long)]
        length: Option<u64>,
        /// Copies the bytes out of the kernel, as most clients do, instead of having it throw them away.
        #[arg(long)]
        copy: bool,
    },
    /// Asks for a path once, and tells the SHA-512 of what comes.
    Digest {
        /// Where the server is.
        address: SocketAddr,
        /// What to ask for.
        path: String,
    },
    /// Sends a file to a path.
    Put {
        /// Where the server is.
        address: SocketAddr,
        /// Where to send it.
        path: String,
        /// What to send.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().what {
        What::Get { address, path, streams, time, length, copy } => {
            let reading = if copy { Reading::Copied } else { Reading::Discarded };
            download::get(&Load {
                address,
                path,
                streams,
                time: Duration::from_millis(time),
                length,
                reading,
            })
        }
        What::Digest { address, path } => download::digest(address, &path),
        What::Put { address, path, file } => upload::put(address, &path, &file),
    };
    let told = outcome.and_then(|figures| writeln!(io::stdout(), "{figures}"));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}
