//! A socket on which files can be sent without looking at them: see [`crate::passage`].

use std::io::{self, IoSlice};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::passage::{self, Passage, TURN};

/// A socket that has its passage carry what stands for a file.
#[derive(Debug)]
pub(super) struct Carried {
    stream: TcpStream,
    passage: Passage,
    /// How much has been moved since others had their turn.
    turn: usize,
}

impl Carried {
    /// Wraps a socket.
    pub(super) fn new(stream: TcpStream, passage: Passage) -> Self {
        Self { stream, passage, turn: 0 }
    }

    fn poll_carry(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        if self.turn >= TURN {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, || self.passage.carry(self.stream.as_fd(), most)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => {
                    self.turn = self.turn.saturating_add(*outcome.as_ref().unwrap_or(&0));
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl AsyncRead for Carried {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Carried {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if passage::stands_in(bytes) {
            return self.poll_carry(cx, bytes.len());
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let real = pieces.iter().take_while(|piece| !passage::stands_in(piece)).count();
        match (pieces.get(..real), pieces.first()) {
            (Some([]), Some(first)) => self.poll_carry(cx, first.len()),
            (Some(real), _) => Pin::new(&mut self.stream).poll_write_vectored(cx, real),
            (None, _) => Pin::new(&mut self.stream).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
