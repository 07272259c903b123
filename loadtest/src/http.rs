//! How services are asked over HTTP.

use std::time::Duration;

/// Longer than an answer from this machine takes, unless something is wrong.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A client that goes straight to the service, as WebSockets do: a proxy that the environment names is for what lies
/// outside. No answer may take longer than `limit`.
pub(crate) fn client(limit: Duration) -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(limit).build();
    client.expect("there is no TLS and no resolver to set up")
}
