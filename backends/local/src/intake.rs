//! A stream into a file: in pieces of one size, one being written while the next is gathered.
//!
//! Two pieces are all that is held, however fast or slow either side is: when both are full, the stream waits.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use image_service::{ByteStream, Error, ErrorKind, Result, Upload};
use portico_catalogue::{Lanes, Running, closed};
use tokio_util::sync::CancellationToken;

use crate::directory::Incoming;
use crate::store::Store;

/// Takes all of `upload` in, unless `stop` comes first. On an error nothing stays.
///
/// # Errors
/// The stream's own; `Incomplete` as soon as more comes than was announced; `TooLarge` as soon as more comes than
/// an image may have, or the disk is full; `Unavailable` when stopped, or the disk fails.
pub(crate) async fn receive(
    store: &Arc<Store>,
    lanes: &Arc<Lanes>,
    upload: Upload,
    stop: &CancellationToken,
) -> Result<Incoming> {
    let bounds = Bounds { announced: upload.size, most: store.max_upload(), received: 0 };
    let mut intake = Intake::start(store, lanes);
    match intake.take(upload.stream, bounds, stop).await {
        Ok(()) => intake.finish().await,
        Err(error) => {
            intake.discard().await;
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
    received: u64,
}

impl Bounds {
    fn admit(&mut self, more: usize) -> Result<()> {
        self.received = self.received.saturating_add(more as u64);
        if let Some(announced) = self.announced.filter(|announced| self.received > *announced) {
            return Err(Error::new(
                ErrorKind::Incomplete,
                format!("{announced} bytes of image data were announced and more came"),
            ));
        }
        if self.received > self.most { Err(too_large(self.most)) } else { Ok(()) }
    }
}

struct Intake {
    lanes: Arc<Lanes>,
    piece: usize,
    gathered: Vec<u8>,
    /// Gives back the file and the memory of the piece that it wrote. `None` once it has failed.
    writing: Option<Running<(Incoming, Vec<u8>)>>,
}

impl Intake {
    fn start(store: &Arc<Store>, lanes: &Arc<Lanes>) -> Self {
        let piece = store.chunk_len();
        let store = Arc::clone(store);
        let writing =
            lanes.start(move || Ok((Incoming::create(store.directory())?, Vec::with_capacity(piece))));
        Self { lanes: Arc::clone(lanes), piece, gathered: Vec::with_capacity(piece), writing: Some(writing) }
    }

    async fn take(
        &mut self,
        mut stream: ByteStream,
        mut bounds: Bounds,
        stop: &CancellationToken,
    ) -> Result<()> {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(closed()),
                next = stream.next() => next,
            };
            let Some(bytes) = next.transpose()? else {
                return Ok(());
            };
            bounds.admit(bytes.len())?;
            self.gather(bytes).await?;
        }
    }

    async fn gather(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.piece.saturating_sub(self.gathered.len());
            let part = bytes.split_to(room.min(bytes.len()));
            self.gathered.extend_from_slice(&part);
            if self.gathered.len() >= self.piece {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Starts to write what has been gathered, when what went before has been written.
    async fn write(&mut self) -> Result<()> {
        let (mut incoming, empty) = self.written().await?;
        let mut full = std::mem::replace(&mut self.gathered, empty);
        self.writing = Some(self.lanes.start(move || {
            incoming.append(&full)?;
            full.clear();
            Ok((incoming, full))
        }));
        Ok(())
    }

    async fn written(&mut self) -> Result<(Incoming, Vec<u8>)> {
        match self.writing.take() {
            Some(writing) => writing.end().await,
            None => Err(Error::new(ErrorKind::Internal, "an upload goes on after it has failed")),
        }
    }

    async fn finish(mut self) -> Result<Incoming> {
        if !self.gathered.is_empty() {
            self.write().await?;
        }
        Ok(self.written().await?.0)
    }

    /// Waits for the last write, so that nothing is left once this returns.
    async fn discard(mut self) {
        if let Ok((incoming, _)) = self.written().await {
            let removed = self.lanes.run(move || {
                drop(incoming);
                Ok(())
            });
            if let Err(error) = removed.await {
                tracing::warn!(%error, "the data of a failed upload may still be there; opening will remove it");
            }
        }
    }
}
