//! Redis: coming and going, or dropping its subscribers.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use crate::{drill::site::Site, lab::Redis};

/// How long Redis is up and down in turn where it flaps.
const FLAP: Duration = Duration::from_millis(500);
/// Between two times at which subscribers are dropped.
const DROP_EVERY: Duration = Duration::from_millis(700);
/// So long a database pauses that many messages are then published at once.
const BURST: Duration = Duration::from_millis(400);
/// What may wait for a subscriber beyond Redis's first 16 KiB.
const SMALL_BUFFER: &str = "pubsub 4096 0 0";
const USUAL_BUFFER: &str = "pubsub 33554432 8388608 60";

/// What Redis logs then: not every version counts it.
const OVERFLOW: &str = "overcoming of output buffer limits";

pub(super) async fn flap(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let redis = site.lab.redis();
    let down = async {
        redis.kill();
        sleep(FLAP).await;
        Ok(())
    };
    let meanwhile = async {
        for _ in 1..(length.as_millis() / (2 * FLAP).as_millis()).max(2) {
            redis.start().await?;
            sleep(FLAP).await;
            redis.kill();
            sleep(FLAP).await;
        }
        Ok(())
    };
    site.outage("Redis comes and goes", down, meanwhile, redis.start()).await
}

/// First Redis is told to drop its subscribers, then it drops them by itself: bursts don't fit into their buffers.
pub(super) async fn drop_subscribers(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let (redis, postgres) = (site.lab.redis(), site.lab.postgres());
    let connection = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let mut by_order = connection.clone();
    let meanwhile = async {
        for _ in 0..rounds(length) {
            let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "pubsub"]).to_owned();
            let _: u64 = kill.query_async(&mut by_order).await?;
            sleep(DROP_EVERY).await;
        }
        Ok(())
    };
    site.outage("Redis drops its subscribers", async { Ok(()) }, meanwhile, async { Ok(()) }).await?;

    let before = overflows(redis);
    let mut small = connection.clone();
    let shrink = async move { set_buffer(&mut small, SMALL_BUFFER).await };
    let bursts = async {
        for _ in 0..rounds(length) {
            postgres.freeze();
            sleep(BURST).await;
            postgres.thaw();
            sleep(DROP_EVERY).await;
        }
        Ok(())
    };
    let mut usual = connection.clone();
    let restore = async move { set_buffer(&mut usual, USUAL_BUFFER).await };
    site.outage("Redis has small buffers", shrink, bursts, restore).await?;
    if overflows(redis) == before {
        site.miss("no subscriber's output buffer overflowed");
    }
    Ok(())
}

fn rounds(length: Duration) -> u128 {
    (length.as_millis() / 2 / DROP_EVERY.as_millis()).max(2)
}

/// How often Redis has given up a connection because it couldn't write fast enough.
fn overflows(redis: &Redis) -> usize {
    redis.log().matches(OVERFLOW).count()
}

async fn set_buffer(connection: &mut MultiplexedConnection, limit: &str) -> anyhow::Result<()> {
    let set = redis::cmd("CONFIG").arg(&["SET", "client-output-buffer-limit", limit]).to_owned();
    let () = set.query_async(connection).await?;
    Ok(())
}
