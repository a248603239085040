//! The staging area: a directory of files that wait to be imported, within a number of bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use image_service::{ByteStream, Error, ErrorKind, Result};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

/// How much is read and written at a time.
const PIECE: usize = 1 << 20;

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    directory: PathBuf,
    used: Arc<AtomicU64>,
    most: u64,
}

/// Bytes that are taken until this goes, or is kept.
#[derive(Debug)]
struct Room<'a> {
    staging: &'a Staging,
    bytes: u64,
}

impl Room<'_> {
    /// Takes room for more bytes.
    ///
    /// # Errors
    /// `TooLarge` if there is not enough.
    fn grow(&mut self, bytes: u64) -> Result<()> {
        let most = self.staging.most;
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= most);
        match self.staging.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(_) => Err(Error::new(ErrorKind::TooLarge, "the staging area is full")),
        }
    }

    fn keep(mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.staging.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Staging {
    /// Opens the directory, which is made if it is not there, and removes every file in it that `known` does not name.
    /// Gives the sizes of the others.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be used.
    pub(super) fn open(
        directory: PathBuf,
        most: u64,
        known: &[String],
    ) -> Result<(Self, Vec<(String, u64)>)> {
        let failed = |error: io::Error| {
            let message = format!("{} cannot be used", directory.display());
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        };
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700)
            .create(&directory)
            .map_err(failed)?;
        let (mut found, mut used) = (Vec::new(), 0_u64);
        for file in std::fs::read_dir(&directory).map_err(failed)? {
            let file = file.map_err(failed)?;
            let name = file.file_name().to_string_lossy().into_owned();
            if known.contains(&name) {
                let size = file.metadata().map_err(failed)?.len();
                used = used.saturating_add(size);
                found.push((name, size));
            } else {
                std::fs::remove_file(file.path()).map_err(failed)?;
            }
        }
        Ok((Self { directory, used: Arc::new(AtomicU64::new(used)), most }, found))
    }

    /// Writes a file to its end and gives its size. What fails, or is given up, leaves a part that is to be removed.
    ///
    /// # Errors
    /// That of the stream; `Incomplete` if it is not of its announced size; `TooLarge` if there is no room.
    pub(super) async fn write(&self, name: &str, mut data: ByteStream, size: Option<u64>) -> Result<u64> {
        let mut room = Room { staging: self, bytes: 0 };
        if let Some(size) = size {
            room.grow(size)?;
        }
        let mut file =
            tokio::io::BufWriter::with_capacity(PIECE, self.create(name).await.map_err(unwritable)?);
        let mut written = 0_u64;
        while let Some(piece) = data.next().await {
            let piece = piece?;
            written = written.saturating_add(piece.len() as u64);
            if size.is_none() {
                room.grow(piece.len() as u64)?;
            } else if size.is_some_and(|size| written > size) {
                return Err(Error::new(ErrorKind::Incomplete, "more data came than was announced"));
            }
            file.write_all(&piece).await.map_err(unwritable)?;
        }
        if size.is_some_and(|size| written < size) {
            return Err(Error::new(ErrorKind::Incomplete, "less data came than was announced"));
        }
        file.flush().await.map_err(unwritable)?;
        file.get_ref().sync_all().await.map_err(unwritable)?;
        File::open(&self.directory).await.map_err(unwritable)?.sync_all().await.map_err(unwritable)?;
        Ok(room.keep())
    }

    async fn create(&self, name: &str) -> io::Result<File> {
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(name)).await
    }

    /// Reads a file from its beginning.
    ///
    /// # Errors
    /// `Unavailable` if that is not possible.
    pub(super) async fn read(&self, name: &str) -> Result<ByteStream> {
        let file = File::open(self.path(name)).await.map_err(unreadable)?;
        Ok(ReaderStream::with_capacity(file, PIECE).map_err(unreadable).boxed())
    }

    /// Removes a file of which `bytes` count, if it is there. Blocks on the file system.
    pub(super) fn remove(&self, name: &str, bytes: u64) {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = name, %error, "staged data cannot be removed, and stays until the next start");
            }
            _ => {
                self.used.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(Path::new(name).file_name().unwrap_or_default())
    }
}

fn unwritable(error: io::Error) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::TooLarge, "there is no room for staged data")
        }
        _ => (ErrorKind::Unavailable, "staged data cannot be written"),
    };
    Error::new(kind, message).with_source(error)
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "staged data cannot be read").with_source(error)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn stream(pieces: &[&'static [u8]]) -> ByteStream {
        let pieces: Vec<Result<Bytes>> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        futures::stream::iter(pieces).boxed()
    }

    async fn all(stream: ByteStream) -> Vec<u8> {
        stream.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    #[tokio::test]
    async fn what_is_staged_is_read_again_also_after_a_new_start_and_what_nobody_knows_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (staging, found) = Staging::open(directory.path().join("staging"), 100, &[]).unwrap();
        assert_eq!(found, []);
        assert_eq!(staging.write("a", stream(&[b"012", b"", b"345"]), None).await.unwrap(), 6);
        assert_eq!(staging.write("b", stream(&[b"01"]), Some(2)).await.unwrap(), 2);
        assert_eq!(all(staging.read("a").await.unwrap()).await, b"012345");
        let (staging, found) =
            Staging::open(directory.path().join("staging"), 100, &["a".into(), "gone".into()]).unwrap();
        assert_eq!(found, [("a".to_owned(), 6)]);
        assert!(staging.read("b").await.is_err());
        assert_eq!(all(staging.read("a").await.unwrap()).await, b"012345");
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_bytes_and_what_fails_or_goes_takes_none() {
        let directory = tempfile::tempdir().unwrap();
        let (staging, _) = Staging::open(directory.path().join("staging"), 10, &[]).unwrap();
        for (name, size) in [("a", None), ("b", Some(11))] {
            let error = staging.write(name, stream(&[b"0123456789", b"x"]), size).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            staging.remove(name, 0);
        }
        for (name, size) in [("c", Some(9)), ("d", Some(3))] {
            let error = staging.write(name, stream(&[b"0123"]), size).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incomplete);
            staging.remove(name, 0);
        }
        assert_eq!(staging.write("e", stream(&[b"0123456789"]), None).await.unwrap(), 10);
        assert!(staging.write("f", stream(&[b"0"]), None).await.is_err());
        staging.remove("f", 0);
        staging.remove("e", 10);
        assert_eq!(staging.write("g", stream(&[b"0123456789"]), Some(10)).await.unwrap(), 10);
        assert_eq!(std::fs::read_dir(directory.path().join("staging")).unwrap().count(), 1);
    }
}
