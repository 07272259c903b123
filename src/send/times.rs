//! When a message's recipients got it: first, median and last, exact and without a lock.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use crate::{
    clock,
    hop::Recipient,
    telemetry::{metrics::metrics, trace},
};

const NOT_WRITTEN: u32 = u32::MAX;

/// The `send` times of one message on this server.
struct Times {
    handed_us: u64,
    pending: AtomicUsize,
    /// A slot for each recipient: microseconds from the hand-over until its socket took the frame.
    slots: Box<[AtomicU32]>,
    /// The span of `send`, if the message is sampled. Only who records locks it.
    span: Mutex<Option<trace::Open>>,
}

/// One recipient's part in a fan-out. The last one to be written or dropped records the figures.
pub struct Ticket {
    times: Arc<Times>,
    slot: usize,
}

/// A ticket for each of `count` recipients of a message that is handed over at `handed_us`.
pub(super) fn tickets(
    handed_us: u64,
    count: usize,
    span: Option<trace::Open>,
) -> impl Iterator<Item = Ticket> {
    let slots = (0..count).map(|_| AtomicU32::new(NOT_WRITTEN)).collect();
    let times =
        Arc::new(Times { handed_us, pending: AtomicUsize::new(count), slots, span: Mutex::new(span) });
    (0..count).map(move |slot| Ticket { times: times.clone(), slot })
}

impl Ticket {
    /// When the message was handed over.
    pub(super) fn handed_us(&self) -> u64 {
        self.times.handed_us
    }
}

/// Marks frames that were flushed together as written now.
pub(super) fn written(tickets: impl Iterator<Item = Ticket>) {
    let now_us = clock::now_us();
    for ticket in tickets {
        let duration_us = now_us.saturating_sub(ticket.times.handed_us);
        let capped = u32::try_from(duration_us).unwrap_or(NOT_WRITTEN - 1);
        ticket.times.slots[ticket.slot].store(capped, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // AcqRel: whoever counts down to zero sees what all the others have stored.
        if self.times.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.times.record();
        }
    }
}

impl Times {
    fn record(&self) {
        let slots = self.slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        let mut written: Vec<u32> = slots.filter(|&duration_us| duration_us != NOT_WRITTEN).collect();
        written.sort_unstable();
        let span = self.span.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(&first), Some(&last)) = (written.first(), written.last()) else {
            return span.into_iter().for_each(|span| span.fail("closed", clock::now_us()));
        };
        let median = written[(written.len() - 1) / 2];
        if let Some(mut span) = span {
            span.set("hopline.first_ms", f64::from(first) / 1e3);
            span.set("hopline.median_ms", f64::from(median) / 1e3);
            span.set("hopline.last_ms", f64::from(last) / 1e3);
            span.end(self.handed_us + u64::from(last));
        }
        metrics().hops.send(Recipient::First, first.into());
        metrics().hops.send(Recipient::Median, median.into());
        metrics().hops.send(Recipient::Last, last.into());
    }
}
