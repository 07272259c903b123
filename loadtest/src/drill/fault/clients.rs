//! Clients: too slow, or all at once.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    drill::site::{Site, pass},
    run::Order,
};

/// Between two storms.
const STORM_EVERY: Duration = Duration::from_secs(1);
/// The server whose clients all reconnect, by number.
const STORMED: usize = 0;

/// Some subscribers read nothing for a while.
pub(super) async fn stop_reading(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let survival = site.survival;
    let order = async |order| {
        survival.order(order);
        Ok(())
    };
    site.outage("some clients don't read", order(Order::StopReading), pass(length), order(Order::Nothing))
        .await
}

/// All clients of a server reconnect at once, again and again.
pub(super) async fn storm(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let survival = site.survival;
    let storms = async {
        for _ in 0..length.as_secs().max(1) {
            survival.order(Order::Storm(STORMED));
            sleep(STORM_EVERY).await;
        }
        Ok(())
    };
    site.outage("all clients of a server reconnect", async { Ok(()) }, storms, async { Ok(()) }).await
}
