//! Open files: each connection takes one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files beside clients' connections: those to PostgreSQL and the broker, listeners, and what the runtime has open.
const OTHERS: u64 = 128;

/// Raises the limit of this process, and of those that it starts, as far as it may. Returns it.
pub fn raise_limit() -> u64 {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) => setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard),
        Err(_) => u64::MAX,
    }
}

/// Says what to do if so many connections of clients may meet the limit. Without a file left a server can't reach PostgreSQL either.
pub fn complain_of_limit(limit: u64, connections_max: usize) {
    let needed = connections_max as u64 + OTHERS;
    if limit < needed {
        tracing::warn!(
            limit,
            needed,
            "as many connections as are allowed need more open files than there may be: raise the hard limit \
             (ulimit -Hn, LimitNOFILE=), or allow fewer by --connections-max and --http-connections-max"
        );
    }
}
