//! The hand-over to `receive`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;

use super::{BrokerEvent, Incoming};
use crate::{
    clock,
    fault::{self, Line},
    hop::Hop,
    telemetry::{
        labels::{Direction, DropReason},
        metrics::metrics,
    },
};

/// Takes what comes in, without ever waiting: what `receive` has no room for is dropped.
pub(super) struct Arrivals {
    payloads: Line<Vec<u8>>,
    queue: Arc<Queue>,
}

struct Queue {
    events: mpsc::Sender<BrokerEvent>,
    overflowed: AtomicBool,
}

impl Arrivals {
    pub(super) fn new(events: mpsc::Sender<BrokerEvent>) -> Self {
        let queue = Arc::new(Queue { events, overflowed: AtomicBool::new(false) });
        let stamping = queue.clone();
        let payloads = Line::new(Hop::Broadcast, move |payload| stamping.hand_over(payload));
        Self { payloads, queue }
    }

    /// An encoded envelope has come in.
    pub(super) fn take(&self, payload: Vec<u8>) {
        if fault::loses_message() {
            return;
        }
        metrics().broker_bytes.of(Direction::In).increment(payload.len() as u64);
        if self.payloads.pass(clock::now_us(), payload).is_err() {
            self.queue.drop_one();
        }
    }
}

impl Queue {
    /// `broadcast` ends here.
    fn hand_over(&self, payload: Vec<u8>) {
        let after_overflow = self.overflowed.load(Ordering::Relaxed);
        let incoming = Incoming { payload, received_us: clock::now_us(), after_overflow };
        if self.events.try_send(BrokerEvent::Message(incoming)).is_err() {
            return self.drop_one();
        }
        metrics().receive_queue.increment(1.0);
        if after_overflow {
            self.overflowed.store(false, Ordering::Relaxed);
        }
    }

    /// The next message that is handed over says that some are missing.
    fn drop_one(&self) {
        self.overflowed.store(true, Ordering::Relaxed);
        metrics().dropped.of(DropReason::ReceiveQueueFull).increment(1);
    }
}
