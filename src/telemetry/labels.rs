//! The values of the metrics' labels: enums, so that no client can invent a series.

use crate::protocol::{CloseCode, ErrorCode};

/// An enum whose values label a metric.
pub trait Label: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];
    /// The label's value.
    fn label(self) -> &'static str;
    /// Its place in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$value_doc])* $value,)+ }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];
            fn label(self) -> &'static str {
                match self { $(Self::$value => $label,)+ }
            }
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// What became of a publish.
    PublishOutcome {
        /// Committed as a new message.
        Stored = "stored",
        /// Had been stored before; answered with the first one's number.
        Repeated = "repeated",
        /// Refused: the id was used for another body.
        Conflict = "conflict",
        /// Refused: PostgreSQL rejects the data.
        Rejected = "rejected",
        /// Refused: PostgreSQL is away or too slow.
        Unavailable = "unavailable",
        /// Refused: it would have to wait too long, or the queue is full.
        Busy = "busy",
    }
}

label! {
    /// What a connection was refused for.
    ConnectionLimit {
        /// The server has as many as it may.
        Server = "server",
        /// The client's address has.
        Address = "address",
    }
}

label! {
    /// Why a batch was sent to PostgreSQL again.
    PersistRetry {
        /// The connection broke or the answer didn't come.
        Connection = "connection",
        /// PostgreSQL asked for it: a deadlock or a serialisation failure.
        Contention = "contention",
        /// A row was refused, so the batch was split to save the others.
        Split = "split",
    }
}

label! {
    /// What became of a message that came from the broker.
    Arrival {
        /// It was the next one and was delivered.
        InOrder = "in_order",
        /// It came before its predecessor and waits for it.
        Early = "early",
        /// It had been delivered before.
        Duplicate = "duplicate",
        /// No local client is subscribed to its channel.
        Unwatched = "unwatched",
    }
}

label! {
    /// What was dropped, and why. Clients still get every message: receivers heal from PostgreSQL,
    /// closed clients recover by `seq`.
    DropReason {
        /// Not published: the broker is disconnected.
        BrokerDown = "broker_down",
        /// Not published, or not known to be: the broker failed or did not answer in time.
        PublishFailed = "publish_failed",
        /// Not published: the queue before `publish` was full.
        PublishQueueFull = "publish_queue_full",
        /// Received, but `receive` was too far behind.
        ReceiveQueueFull = "receive_queue_full",
        /// Received, but not an envelope of this version.
        MalformedEnvelope = "malformed_envelope",
        /// Received too far ahead of its predecessors.
        AheadFull = "ahead_full",
        /// Not handed over: the client's queue was full.
        SlowClient = "slow_client",
    }
}

label! {
    /// What showed that messages are missing.
    GapCause {
        /// A later message arrived.
        Arrival = "arrival",
        /// The channel's counter is further on.
        Position = "position",
    }
}

label! {
    /// What called for a comparison of positions with the counters.
    CheckTrigger {
        /// Its time had come.
        Interval = "interval",
        /// The broker connection was lost.
        Lost = "lost",
        /// The broker connection came back.
        Restored = "restored",
        /// The queue before `receive` overflowed.
        Overflow = "overflow",
    }
}

label! {
    /// What became of a TLS handshake.
    HandshakeOutcome {
        /// The connection is encrypted.
        Done = "done",
        /// The client did not believe the certificate, or gave up with another alert.
        Refused = "refused",
        /// What came is not TLS.
        NotTls = "not_tls",
        /// The client has no version or algorithm that the server takes.
        Incompatible = "incompatible",
        /// The connection broke.
        Closed = "closed",
        /// It took too long.
        Late = "late",
    }
}

label! {
    /// Why someone was not let in, or not let do something. Clients are told no more than a code.
    AuthRefusal {
        /// There is no token.
        NoToken = "no_token",
        /// The `Authorization` is not `Bearer`.
        Scheme = "scheme",
        /// There is more than one token.
        Ambiguous = "ambiguous",
        /// The token is too long.
        TooLarge = "too_large",
        /// What should be a token is none.
        Malformed = "malformed",
        /// The token names another algorithm than the one that is in use.
        Algorithm = "algorithm",
        /// The signature is not by the key that is in use.
        Signature = "signature",
        /// The token has ended.
        Expired = "expired",
        /// The token has not begun.
        NotYet = "not_yet",
        /// The token is from another issuer.
        Issuer = "issuer",
        /// The token is for someone else.
        Audience = "audience",
        /// A claim is missing or can't be used.
        Claims = "claims",
        /// The renewing token is another sender's.
        OtherSender = "other_sender",
        /// The first frame is not `authenticate`.
        FirstFrame = "first_frame",
        /// There was no first frame in time.
        Timeout = "timeout",
        /// The channel may not be read.
        Read = "read",
        /// The channel may not be written.
        Write = "write",
        /// The page's origin is not on the list.
        Origin = "origin",
        /// Faults may not be switched from there, or not with this token.
        Admin = "admin",
    }
}

label! {
    /// Why a connection was closed for want of a request.
    HeadRefusal {
        /// No request's head came in time, or no further one.
        Slow = "slow",
        /// The head is too large.
        TooLarge = "too_large",
        /// It is no HTTP.
        Malformed = "malformed",
    }
}

label! {
    /// What became of a span.
    SpanOutcome {
        /// It is over. It may still be waiting for the exporter.
        Ended = "ended",
        /// The collector took it.
        Exported = "exported",
        /// The collector could not be reached or refused it.
        Failed = "failed",
        /// Too many were waiting already.
        Dropped = "dropped",
    }
}

label! {
    /// Which way a message's bytes went.
    Direction {
        /// To the broker.
        Out = "out",
        /// From the broker.
        In = "in",
    }
}

label! {
    /// What a connection that reads from PostgreSQL does.
    ReaderState {
        /// It waits for a read.
        Idle = "idle",
        /// It reads.
        Used = "used",
    }
}

label! {
    /// Why the broker connection was given up.
    BrokerLoss {
        /// It was closed, or an attempt to connect failed.
        Closed = "closed",
        /// A heartbeat was not answered in time.
        Heartbeat = "heartbeat",
        /// It seemed up while its messages did not arrive.
        Deaf = "deaf",
        /// Some of its topics are another node's now.
        Moved = "moved",
    }
}

impl Label for ErrorCode {
    const ALL: &'static [Self] = &ErrorCode::ALL;
    fn label(self) -> &'static str {
        self.as_str()
    }
    fn index(self) -> usize {
        self as usize
    }
}

impl Label for CloseCode {
    const ALL: &'static [Self] = &CloseCode::ALL;
    fn label(self) -> &'static str {
        self.as_str()
    }
    fn index(self) -> usize {
        self as usize
    }
}
