//! What a publisher knows of the messages that it sent.

use hopline::protocol::ErrorCode;

/// What became of a message, as far as its publisher was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It never left: a hole in the plan, which makes a run invalid.
    NotSent,
    /// It was sent and no answer came.
    Missing,
    /// It is committed.
    Acknowledged { seq: u64, id_tail: u32 },
    /// It was refused.
    Refused(ErrorCode),
}

/// A message, in its publisher's ledger. The times are those of the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) channel: u16,
    pub(crate) intended_us: u32,
    /// When writing it to the socket began.
    pub(crate) sent_us: u32,
    pub(crate) answered_us: u32,
    pub(crate) answer: Answer,
    /// How often it was sent.
    pub(crate) tries: u16,
}

impl Record {
    /// A message that hasn't left yet.
    pub(crate) const UNSENT: Self =
        Self { channel: 0, intended_us: 0, sent_us: 0, answered_us: 0, answer: Answer::NotSent, tries: 0 };

    pub(crate) fn was_sent(&self) -> bool {
        self.answer != Answer::NotSent
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        matches!(self.answer, Answer::Acknowledged { .. })
    }

    /// Its number in the channel, if it was acknowledged.
    pub(crate) fn seq(&self) -> Option<u64> {
        if let Answer::Acknowledged { seq, .. } = self.answer { Some(seq) } else { None }
    }

    /// Sent, and whether it was stored can't be told from the answer.
    pub(crate) fn is_indeterminate(&self) -> bool {
        match self.answer {
            Answer::Missing => true,
            // An earlier try may have been stored, whatever became of the last one.
            Answer::Refused(code) => {
                self.tries > 1 || matches!(code, ErrorCode::Unavailable | ErrorCode::ShuttingDown)
            }
            Answer::NotSent | Answer::Acknowledged { .. } => false,
        }
    }
}

/// All publishers' ledgers. Message `i` is the `i / publishers`-th of publisher `i % publishers`.
#[derive(Debug)]
pub(crate) struct Records(pub(crate) Vec<Vec<Record>>);

impl Records {
    pub(crate) fn get(&self, index: u32) -> Option<&Record> {
        let (publisher, number) = self.place(index);
        self.0.get(publisher)?.get(number)
    }

    /// Every message with its index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        let publishers = self.0.len();
        self.0.iter().enumerate().flat_map(move |(publisher, records)| {
            records
                .iter()
                .enumerate()
                .map(move |(number, record)| (index_of(publisher, number, publishers), record))
        })
    }

    fn place(&self, index: u32) -> (usize, usize) {
        let publishers = self.0.len().max(1);
        (index as usize % publishers, index as usize / publishers)
    }
}

/// The index of a publisher's n-th message.
pub(crate) fn index_of(publisher: usize, number: usize, publishers: usize) -> u32 {
    u32::try_from(number * publishers + publisher).unwrap_or(u32::MAX)
}
