//! How many bytes wait for clients' sockets, over all clients.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::extract::ws::Utf8Bytes;

use crate::telemetry::metrics::metrics;

/// What all clients' frames may take together. Clones are the same.
#[derive(Clone)]
pub struct Waiting(Arc<Sum>);

struct Sum {
    bytes: AtomicUsize,
    bytes_max: usize,
}

/// A frame that counts until the last of those who wait for it has it.
#[derive(Clone)]
pub struct Frame {
    text: Utf8Bytes,
    _counted: Arc<Counted>,
}

struct Counted {
    bytes: usize,
    waiting: Waiting,
}

impl Waiting {
    /// Nothing waits yet.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Sum { bytes: AtomicUsize::new(0), bytes_max }))
    }

    /// Counts a frame. One that many clients get counts once.
    pub fn frame(&self, text: Utf8Bytes) -> Frame {
        let bytes = text.len();
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        metrics().send_queue_bytes.increment(bytes as f64);
        Frame { text, _counted: Arc::new(Counted { bytes, waiting: self.clone() }) }
    }

    /// Whether more waits than may.
    pub(super) fn is_too_much(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) > self.0.bytes_max
    }
}

impl Frame {
    /// What goes to the socket. The frame counts as long as it is kept itself.
    pub(super) fn text(&self) -> Utf8Bytes {
        self.text.clone()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.waiting.0.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        metrics().send_queue_bytes.decrement(self.bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_once_until_its_last_copy_has_gone() {
        let waiting = Waiting::new(9);
        let frame = waiting.frame("ten bytes.".into());
        let copies = vec![frame.clone(); 100];
        assert!(waiting.is_too_much());
        drop(frame);
        assert!(waiting.is_too_much());
        drop(copies);
        assert!(!waiting.is_too_much());
    }
}
