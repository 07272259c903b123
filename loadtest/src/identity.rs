//! How a message is recognised wherever it turns up: its run and its place in the run's plan stand in
//! its `client_message_id`, and its text repeats them.

use uuid::{Builder, Uuid};

use crate::plan::Bodies;

/// Leaves room for a message's number in its body.
pub(crate) const BODY_BYTES_MIN: usize = 16;

/// Makes the names of a run's channels and messages, and recognises them.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    run: u64,
    filler: String,
    bodies: Bodies,
}

impl Identity {
    /// A new run's identity, different from every other one's.
    pub(crate) fn new(bodies: Bodies) -> Self {
        let run = rand::random::<u64>() >> 16;
        let filler = " every hop of a chat message, timed.".chars().cycle();
        let filler = filler.take(bodies.max().saturating_sub(8)).collect();
        Self { run, filler, bodies }
    }

    /// The name of the run's n-th channel. No other run uses it.
    pub(crate) fn channel(&self, number: usize) -> String {
        format!("load-{:012x}-{number}", self.run)
    }

    /// A pattern for all of them.
    pub(crate) fn channels(&self) -> String {
        format!("load-{:012x}-*", self.run)
    }

    /// The `client_message_id` of a message.
    pub(crate) fn client_message_id(&self, index: u32) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&self.run.to_be_bytes()[2..]);
        bytes[12..].copy_from_slice(&index.to_be_bytes());
        Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The message that bears this `client_message_id`; none if it isn't of this run.
    pub(crate) fn index_of(&self, id: Uuid) -> Option<u32> {
        let bytes = id.as_bytes();
        let index = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        (self.client_message_id(index) == id).then_some(index)
    }

    /// The text of a message.
    pub(crate) fn body(&self, index: u32) -> String {
        format!("{index:08x}{}", self.filler_of(index))
    }

    /// Whether this is the text of that message, unchanged.
    pub(crate) fn is_body(&self, index: u32, body: &str) -> bool {
        body.len() == self.bodies.length(index)
            && body.is_char_boundary(8)
            && u32::from_str_radix(&body[..8], 16) == Ok(index)
            && body[8..] == *self.filler_of(index)
    }

    fn filler_of(&self, index: u32) -> &str {
        &self.filler[..self.bodies.length(index) - 8]
    }
}

/// As much of a message's `id` as the ledgers keep, to compare where it appears.
pub(crate) fn id_tail(id: Uuid) -> u32 {
    let bytes = id.as_bytes();
    u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Range;

    #[test]
    fn a_message_is_recognised_by_its_run_only() {
        let (one, other) = (Identity::new(Bodies::Fixed(200)), Identity::new(Bodies::Fixed(200)));
        let id = one.client_message_id(77);
        assert_eq!(one.index_of(id), Some(77));
        assert_eq!(other.index_of(id), None);
        assert_eq!(one.index_of(Uuid::new_v4()), None);
    }

    #[test]
    fn a_changed_body_is_noticed() {
        let identity = Identity::new(Bodies::Fixed(200));
        let body = identity.body(77);
        assert_eq!(body.len(), 200);
        assert!(identity.is_body(77, &body));
        assert!(!identity.is_body(78, &body));
        assert!(!identity.is_body(77, &body[..199]));
        assert!(!identity.is_body(77, &body.replace('t', "T")));
    }

    #[test]
    fn texts_of_different_lengths_are_recognised() {
        let identity = Identity::new(Bodies::Range(Range { min: 16, max: 64 }));
        let lengths: Vec<usize> = (0..10)
            .map(|index| {
                let body = identity.body(index);
                assert!(identity.is_body(index, &body));
                assert!(!identity.is_body(index, &format!("{body}x")));
                body.len()
            })
            .collect();
        assert!(lengths.iter().any(|length| *length != lengths[0]), "{lengths:?}");
    }
}
