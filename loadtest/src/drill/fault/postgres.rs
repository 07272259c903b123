//! PostgreSQL: gone, frozen or slow.

use std::time::Duration;

use tokio::time::sleep;

use crate::drill::site::{Site, pass};

/// Makes every commit take 50 ms longer, as a slow disk would.
const SLOW: [&str; 3] = [
    "ALTER SYSTEM SET commit_delay = 50000",
    "ALTER SYSTEM SET commit_siblings = 0",
    "SELECT pg_reload_conf()",
];
const USUAL: [&str; 3] =
    ["ALTER SYSTEM RESET commit_delay", "ALTER SYSTEM RESET commit_siblings", "SELECT pg_reload_conf()"];
/// Between the two crashes.
const PAUSE: Duration = Duration::from_secs(2);

/// First one backend is killed, which makes PostgreSQL restart all of them by itself; then everything.
pub(super) async fn crash(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let postgres = site.lab.postgres();
    let mut was_there = false;
    let kill = async {
        was_there = postgres.kill_backend();
        Ok(())
    };
    site.outage("a backend of PostgreSQL killed", kill, pass(Duration::ZERO), postgres.answers()).await?;
    if !was_there {
        site.miss("PostgreSQL had no backend to be killed");
    }
    sleep(PAUSE).await;
    let kill = async {
        postgres.kill().await;
        Ok(())
    };
    site.outage("PostgreSQL killed", kill, pass(length), postgres.start()).await
}

pub(super) async fn freeze(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let postgres = site.lab.postgres();
    let freeze = async {
        postgres.freeze();
        Ok(())
    };
    let thaw = async {
        postgres.thaw();
        Ok(())
    };
    site.outage("PostgreSQL frozen", freeze, pass(length), thaw).await
}

pub(super) async fn slow(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let postgres = site.lab.postgres();
    let (slow, usual) = (Box::pin(postgres.execute(&SLOW)), Box::pin(postgres.execute(&USUAL)));
    site.outage("PostgreSQL slow", slow, pass(length), usual).await
}

pub(super) async fn disk_full(site: &mut Site<'_>, length: Duration) -> anyhow::Result<()> {
    let postgres = site.lab.postgres();
    let fill = async { postgres.fill_disk() };
    site.outage("the database's disk full", fill, pass(length), postgres.clear_disk()).await
}
