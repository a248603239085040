//! Image data on its way: ranges, downloads and uploads.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use crate::{Error, ErrorKind, Image, Result};
use bytes::Bytes;
use futures::stream::BoxStream;

/// Bytes in order. An error is the last item, and a stream that cannot finish ends in one: it never just
/// stops early.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A part of an image's data, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteRange {
    /// From the first offset to the second, both included.
    Between(u64, u64),
    /// From this offset to the end.
    From(u64),
    /// This many bytes at the end, or all if there are fewer.
    Last(u64),
}

impl ByteRange {
    /// The offsets this means in data of `total` bytes, end excluded, never empty.
    ///
    /// # Errors
    /// `RangeNotSatisfiable` if no byte is in it.
    pub fn within(self, total: u64) -> Result<Range<u64>> {
        let range = match self {
            Self::Between(first, last) => first..last.saturating_add(1).min(total),
            Self::From(first) => first..total,
            Self::Last(count) => total.saturating_sub(count)..total,
        };
        if range.is_empty() {
            return Err(Error::new(
                ErrorKind::RangeNotSatisfiable,
                format!("the range lies outside the image's {total} bytes"),
            ));
        }
        Ok(range)
    }
}

/// What `get` gives: the image, and its data if it has any.
#[derive(Debug)]
pub struct Download {
    /// The image as it was when the data was opened.
    pub image: Image,
    /// `None` while the image has no data.
    pub data: Option<Data>,
}

/// Data being read.
pub struct Data {
    /// Which bytes come: the whole, or the range that was asked for.
    pub range: Range<u64>,
    /// How many bytes the whole has.
    pub total: u64,
    stream: ByteStream,
    file: Option<FilePart>,
}

impl Data {
    /// Data that comes as a stream: exactly `range.end - range.start` bytes, or an error at the end.
    #[must_use]
    pub fn new(range: Range<u64>, total: u64, stream: ByteStream) -> Self {
        Self { range, total, stream, file: None }
    }

    /// The same data, of which the bytes of the range also lie in a file. Who has no need to see them can have the
    /// system move them from there.
    #[must_use]
    pub fn in_file(self, file: FilePart) -> Self {
        Self { file: Some(file), ..self }
    }

    /// The bytes.
    #[must_use]
    pub fn into_stream(self) -> ByteStream {
        self.stream
    }

    /// The bytes, and where they lie in a file, if they do. One of both is to be used.
    #[must_use]
    pub fn into_parts(self) -> (ByteStream, Option<FilePart>) {
        (self.stream, self.file)
    }

    /// The same data with another stream. That it lies in a file is forgotten, so that the stream is what is read.
    #[must_use]
    pub fn map(self, change: impl FnOnce(ByteStream) -> ByteStream) -> Self {
        Self { stream: change(self.stream), file: None, ..self }
    }
}

type Observer = Box<dyn Fn(u64) + Send + Sync>;

/// A part of a file that nobody changes while it is open.
pub struct FilePart {
    file: Arc<File>,
    offset: u64,
    observers: Vec<Observer>,
}

impl FilePart {
    /// The bytes of `file` from `offset` on.
    #[must_use]
    pub fn new(file: Arc<File>, offset: u64) -> Self {
        Self { file, offset, observers: Vec::new() }
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where in the file the first byte lies.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The same part, with somebody who is told how many bytes of it have been moved, each time some have. What it
    /// holds is kept until the part is dropped.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Tells that this many bytes more have been moved.
    pub fn moved(&self, bytes: u64) {
        self.observers.iter().for_each(|observer| observer(bytes));
    }
}

impl fmt::Debug for FilePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePart")
            .field("file", &self.file)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data").field("range", &self.range).field("total", &self.total).finish_non_exhaustive()
    }
}

/// Data to be written.
pub struct Upload {
    /// The bytes. An error in it ends the upload, and nothing of it stays.
    pub stream: ByteStream,
    /// How many bytes will come, if that is known. More or fewer is `Incomplete`.
    pub size: Option<u64>,
    /// The named store to put it in. `None` leaves that to the service. A plain store ignores it.
    pub store: Option<String>,
}

impl Upload {
    /// An upload of unknown size to wherever the service likes.
    #[must_use]
    pub fn new(stream: ByteStream) -> Self {
        Self { stream, size: None, store: None }
    }

    /// An upload of bytes at hand.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let size = Some(bytes.len() as u64);
        let stream = futures::stream::once(std::future::ready(Ok(bytes)));
        Self { stream: Box::pin(stream), size, store: None }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("size", &self.size).field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_data_and_never_empty() {
        assert_eq!(ByteRange::Between(2, 4).within(10).unwrap(), 2..5);
        assert_eq!(ByteRange::Between(2, u64::MAX).within(10).unwrap(), 2..10);
        assert_eq!(ByteRange::From(9).within(10).unwrap(), 9..10);
        assert_eq!(ByteRange::Last(3).within(10).unwrap(), 7..10);
        assert_eq!(ByteRange::Last(30).within(10).unwrap(), 0..10);
        for (range, total) in [
            (ByteRange::Between(10, 20), 10),
            (ByteRange::Between(4, 2), 10),
            (ByteRange::From(10), 10),
            (ByteRange::Last(0), 10),
            (ByteRange::Last(5), 0),
        ] {
            assert_eq!(range.within(total).unwrap_err().kind(), ErrorKind::RangeNotSatisfiable, "{range:?}");
        }
    }
}
