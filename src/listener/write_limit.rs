//! A limit of time for those who ask and don't read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream that fails with [`io::ErrorKind::TimedOut`] once it has been waiting for `limit` to write, flush or shut down, and has
/// got on with nothing. hyper has no such limit, and counts the time for the next request only from the answer's end.
///
/// It is no limit for the answer as a whole: who reads slowly, but takes some bytes within each `limit`, may take as long as
/// it likes, just as one who always asks again keeps its place. A kernel takes bytes again when a good part of its buffer is free,
/// so that much has to be read in time.
pub(super) struct WriteLimit<S> {
    stream: S,
    limit: Duration,
    /// Whether there is no limit any more.
    lifted: Arc<AtomicBool>,
    /// Runs while something waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteLimit<S> {
    /// Limits a stream until `lifted` is set.
    pub(super) fn new(stream: S, limit: Duration, lifted: Arc<AtomicBool>) -> Self {
        Self { stream, limit, lifted, deadline: None }
    }

    fn limited<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() || self.lifted.load(Ordering::Relaxed) {
            self.deadline = None;
            return polled;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimit<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limited(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limited(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.limited(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limited(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{Instant, timeout},
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    /// More than the other side's buffer holds.
    const ANSWER: [u8; 16] = [7; 16];

    fn limited() -> (WriteLimit<DuplexStream>, DuplexStream, Arc<AtomicBool>) {
        let (stream, client) = duplex(4);
        let lifted = Arc::<AtomicBool>::default();
        (WriteLimit::new(stream, LIMIT, Arc::clone(&lifted)), client, lifted)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_when_the_time_is_over() {
        let (mut stream, _client, _lifted) = limited();
        let begun = Instant::now();
        let written = timeout(2 * LIMIT, stream.write_all(&ANSWER)).await;
        assert_eq!(written.expect("it ends").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_byte_now_and_then_gets_everything() {
        let (mut stream, mut client, _lifted) = limited();
        let reading = async {
            let mut taken = Vec::new();
            while taken.len() < ANSWER.len() {
                sleep(LIMIT / 2).await;
                taken.push(client.read_u8().await.unwrap());
            }
            taken
        };
        let (written, taken) = tokio::join!(stream.write_all(&ANSWER), reading);
        written.unwrap();
        assert_eq!(taken, ANSWER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_lifted_ends_nothing_even_if_something_waits() {
        let (mut stream, _client, lifted) = limited();
        let lifting = async {
            sleep(LIMIT / 2).await;
            lifted.store(true, Ordering::Relaxed);
        };
        let (written, ()) = tokio::join!(timeout(3 * LIMIT, stream.write_all(&ANSWER)), lifting);
        assert!(written.is_err(), "it waits as long as it has to");
    }
}
