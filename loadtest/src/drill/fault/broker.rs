//! Whatever runs between the servers: gone, frozen, or a part of it gone.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use serde_json::json;

use crate::{
    drill::site::{Site, pass},
    http,
    lab::{Broker, Lab, Server},
    scrape,
};

pub(super) async fn crash(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let (backend, label) = (site.lab.backend(), format!("{} killed", name(site.lab)));
    let kill = async {
        backend.kill();
        Ok(())
    };
    site.outage(&label, kill, pass(length), backend.start()).await
}

pub(super) async fn freeze(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let (backend, label) = (site.lab.backend(), format!("{} frozen", name(site.lab)));
    let freeze = async {
        backend.freeze();
        Ok(())
    };
    let thaw = async {
        backend.thaw();
        Ok(())
    };
    site.outage(&label, freeze, pass(length), thaw).await
}

/// One of a cluster's masters; its replica takes over meanwhile.
pub(super) async fn crash_master(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let cluster = site.lab.cluster();
    let master = cluster.master_of(site.lab.redis_topic()).await?;
    let kill = async {
        master.kill();
        Ok(())
    };
    site.outage("a master killed", kill, pass(length), cluster.start()).await
}

/// The server that relays the outbox, between the broker's acknowledgement and the removal of what it acknowledged.
pub(super) async fn crash_relay(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let (relay, switches) = (relay(site.lab).await?, site.switches);
    let crash = async {
        switches.set(&relay, &json!({ "crash_after_publish": true })).await?;
        relay.ended().await.context("no publish made it crash")?;
        Ok(())
    };
    site.outage("the relay crashed after a publish", crash, pass(length), relay.start()).await
}

async fn relay(lab: &Lab) -> anyhow::Result<Arc<Server>> {
    let http = http::client(http::ANSWER_LIMIT);
    for server in lab.servers() {
        if scrape::sum(&http, &[server.admin_addr()], "hopline_outbox_relay", "").await? > 0.0 {
            return Ok(server);
        }
    }
    anyhow::bail!("no server relays the outbox")
}

fn name(lab: &Lab) -> &'static str {
    match lab.broker() {
        Broker::Kafka | Broker::KafkaAsWritten => "Kafka",
        Broker::RedisSharded => "all nodes of Redis",
        _ => "Redis",
    }
}
