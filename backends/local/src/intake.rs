//! A stream into a file, and its hashes: everything at the same time, at the pace of the slowest.
//!
//! The stream is put together to pieces. Each is written, hashed to SHA-512 and hashed to MD5 on three threads at
//! once, and the disk is set to work behind the writer, so that little is left to wait for in the end. When the
//! slowest of them has one piece in hand and another waiting, the stream waits.
//!
//! So three pieces are all that is held, however fast or slow either side is: those two, and the one that is next.
//! A piece whose bytes have come in small parts of larger buffers may hold on to what else is in those.

use std::sync::Arc;

use futures::StreamExt;
use image_service::{ByteStream, Digests, Error, ErrorKind, HashAlgorithm, Hasher, Measure, Result, Upload};
use portico_catalogue::{Lanes, closed};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::incoming::{Behind, Incoming};
use crate::piece::{Gathering, Piece};
use crate::store::Store;

/// Pieces that wait for each of those who take them, beside the one in hand.
const WAITING: usize = 1;

/// After so many bytes a thread is left to others who wait for one.
const TURN: usize = 16 << 20;

/// How many bytes the disk is set to work on at once.
const STRETCH: u64 = 8 << 20;

/// All of an upload's data, and what is known of it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) incoming: Incoming,
    pub(crate) digests: Digests,
}

/// Takes all of `upload` in, unless `stop` comes first. On an error nothing stays.
///
/// # Errors
/// The stream's own; `Incomplete` as soon as more comes than was announced, or when less has come; `TooLarge` as soon
/// as more comes than an image may have, or the disk is full; `Unavailable` when stopped, or the disk fails.
pub(crate) async fn receive(
    store: &Arc<Store>,
    lanes: &Lanes,
    upload: Upload,
    stop: &CancellationToken,
) -> Result<Received> {
    let bounds = Bounds { announced: upload.size, most: store.max_upload() };
    let directory = Arc::clone(store);
    let incoming = lanes.run(move || Incoming::create(directory.directory())).await?;
    let (to_disk, written) = watch::channel(0);
    let behind = store.directory().is_durable().then(|| incoming.behind());
    let (pieces, [to_write, to_strong, to_checksum]) = outlets();
    let (fed, incoming, strong, checksum, ()) = futures::join!(
        feed(upload.stream, store.chunk_len(), &bounds, pieces, stop),
        write(lanes, to_write, incoming, to_disk),
        each(lanes, to_strong, Hasher::new(HashAlgorithm::Sha512), hash),
        each(lanes, to_checksum, Hasher::new(HashAlgorithm::Md5), hash),
        follow(lanes, behind, written),
    );
    // Who fails to write is why nobody could be fed any more.
    let incoming = incoming?;
    match (strong, checksum, fed) {
        (Ok(strong), Ok(checksum), Ok(measure)) => {
            Ok(Received { incoming, digests: measure.finish(checksum.finish(), strong.finish()) })
        }
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
            discard(lanes, incoming).await;
            Err(error)
        }
    }
}

/// An announced size that is more than an image may have need not even begin.
pub(crate) fn check_announced(size: Option<u64>, most: u64) -> Result<()> {
    match size {
        Some(size) if size > most => Err(too_large(most)),
        _ => Ok(()),
    }
}

fn too_large(most: u64) -> Error {
    Error::new(ErrorKind::TooLarge, format!("an image can have {most} bytes at most"))
}

struct Bounds {
    announced: Option<u64>,
    most: u64,
}

impl Bounds {
    fn admit(&self, received: u64) -> Result<()> {
        if let Some(announced) = self.announced.filter(|announced| received > *announced) {
            return Err(Error::new(
                ErrorKind::Incomplete,
                format!("{announced} bytes of image data were announced and more came"),
            ));
        }
        if received > self.most { Err(too_large(self.most)) } else { Ok(()) }
    }
}

/// Where each piece goes: to all who take them.
struct Outlets([mpsc::Sender<Piece>; 3]);

fn outlets() -> (Outlets, [mpsc::Receiver<Piece>; 3]) {
    let [(a, to_a), (b, to_b), (c, to_c)] = std::array::from_fn(|_| mpsc::channel(WAITING));
    (Outlets([a, b, c]), [to_a, to_b, to_c])
}

impl Outlets {
    async fn give(&self, piece: Piece) -> Result<()> {
        for outlet in &self.0 {
            if outlet.send(piece.clone()).await.is_err() {
                return Err(Error::new(ErrorKind::Internal, "an upload goes on after it has failed"));
            }
        }
        Ok(())
    }
}

/// Gives all of the stream on, in pieces.
async fn feed(
    mut stream: ByteStream,
    piece: usize,
    bounds: &Bounds,
    outlets: Outlets,
    stop: &CancellationToken,
) -> Result<Measure> {
    let (mut measure, mut gathering) = (Measure::default(), Gathering::of(piece));
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(closed()),
            next = stream.next() => next,
        };
        let Some(mut bytes) = next.transpose()? else { break };
        measure.update(&bytes);
        bounds.admit(measure.size())?;
        while !bytes.is_empty() {
            gathering.take(&mut bytes);
            if gathering.is_complete() {
                outlets.give(gathering.end()).await?;
            }
        }
    }
    measure.check(bounds.announced)?;
    if !gathering.is_empty() {
        outlets.give(gathering.end()).await?;
    }
    Ok(measure)
}

/// Has every piece taken in turn, on a thread for blocking work, into a state, and gives what that has become. The
/// thread is kept while pieces wait, so that whoever is slowest never stands still, but for no more than [`TURN`].
async fn each<S: Send + 'static>(
    lanes: &Lanes,
    mut pieces: mpsc::Receiver<Piece>,
    mut state: S,
    take: fn(&mut S, &Piece) -> Result<()>,
) -> Result<S> {
    while let Some(first) = pieces.recv().await {
        let job = move || {
            take(&mut state, &first)?;
            let mut taken = first.length();
            while taken < TURN
                && let Ok(piece) = pieces.try_recv()
            {
                take(&mut state, &piece)?;
                taken = taken.saturating_add(piece.length());
            }
            Ok((state, pieces))
        };
        (state, pieces) = lanes.run(job).await?;
    }
    Ok(state)
}

/// Has every piece written, and tells how far that has come. Who listens hears the end when this returns.
async fn write(
    lanes: &Lanes,
    pieces: mpsc::Receiver<Piece>,
    incoming: Incoming,
    written: watch::Sender<u64>,
) -> Result<Incoming> {
    let take = |(incoming, written): &mut (Incoming, watch::Sender<u64>), piece: &Piece| {
        incoming.append(piece)?;
        written.send_replace(incoming.written());
        Ok(())
    };
    Ok(each(lanes, pieces, (incoming, written), take).await?.0)
}

#[expect(clippy::unnecessary_wraps, reason = "writing can fail, and hashing is called alike")]
fn hash(hasher: &mut Hasher, piece: &Piece) -> Result<()> {
    piece.parts().for_each(|part| hasher.update(part));
    Ok(())
}

/// Sets the disk to work on what has been written, stretch by stretch, until the writer has gone.
async fn follow(lanes: &Lanes, behind: Option<Behind>, mut written: watch::Receiver<u64>) {
    let Some(behind) = behind else { return };
    let mut begun = 0;
    while written.changed().await.is_ok() {
        let range = begun..*written.borrow_and_update();
        if range.end.saturating_sub(range.start) >= STRETCH {
            begun = range.end;
            let behind = behind.clone();
            let job = move || {
                behind.begin(&range);
                Ok(())
            };
            // It is for speed alone.
            lanes.run(job).await.ok();
        }
    }
}

/// Removes the file, and returns when it has gone.
async fn discard(lanes: &Lanes, incoming: Incoming) {
    let removed = lanes.run(move || {
        drop(incoming);
        Ok(())
    });
    if let Err(error) = removed.await {
        tracing::warn!(%error, "the data of a failed upload may still be there; opening will remove it");
    }
}
