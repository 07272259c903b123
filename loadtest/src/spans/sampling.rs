//! Which messages are traced, and under which identities. All of it follows from a message's place in the plan,
//! so that nothing has to be remembered.

use opentelemetry::trace::{SpanId, TraceId};

/// As many traces are sampled as trace ids have a lower half, without its last bit, below this at a share of 1.
const WHOLE: f64 = (1_u64 << 63) as f64;

/// Decides by the trace id, as the SDK's `TraceIdRatioBased` does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    seed: u64,
    limit: u64,
}

impl Sampling {
    /// Samples this share of the messages, from 0 to 1, with identities that no other run uses.
    pub(crate) fn new(share: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^63")]
        let limit = (share.clamp(0.0, 1.0) * WHOLE) as u64;
        Self { seed: rand::random(), limit }
    }

    pub(crate) fn is_sampled(&self, index: u32) -> bool {
        self.word(index, 1) >> 1 < self.limit
    }

    pub(crate) fn trace_id(&self, index: u32) -> TraceId {
        TraceId::from(u128::from(self.word(index, 0)) << 64 | u128::from(self.word(index, 1)))
    }

    /// The identity of the message's `total`.
    pub(crate) fn total_id(&self, index: u32) -> SpanId {
        SpanId::from(self.word(index, 2))
    }

    /// What the message's frame carries. An unsampled one says so: a server would decide for itself otherwise.
    pub(crate) fn traceparent(&self, index: u32) -> String {
        let flags = u8::from(self.is_sampled(index));
        format!("00-{}-{}-{flags:02x}", self.trace_id(index), self.total_id(index))
    }

    /// A number that looks like a random one, and is never 0: identities mustn't be.
    fn word(&self, index: u32, number: u64) -> u64 {
        mix(self.seed ^ mix(u64::from(index) << 2 | number)).max(1)
    }
}

/// `SplitMix64`: <https://prng.di.unimi.it/splitmix64.c>.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
