//! What an option does while all that runs between its servers is gone.

use std::{path::PathBuf, time::Duration};

use super::{Conditions, Drilled, Load, Site, pass, under_load};
use crate::{
    lab::{Broker, Lab, LabOptions},
    progress::Progress,
};

/// How long it is gone; starting again comes on top.
const LENGTH: Duration = Duration::from_secs(3);

/// Kills it under load, and starts it again. Where there is nothing between servers, it is the server.
pub(crate) async fn outage(
    broker: Broker,
    servers: u16,
    server_binary: Option<PathBuf>,
    progress: &mut Progress,
) -> anyhow::Result<Drilled> {
    let options = LabOptions {
        servers: usize::from(servers),
        broker,
        server_binary,
        server_args: vec!["--fault-switches".to_owned()],
        ..LabOptions::default()
    };
    let lab = Lab::start(options).await?;
    let strike = async |site: &mut Site<'_>, _| Box::pin(strike(site)).await;
    under_load(&lab, Load::USUAL.quick().workload(), Conditions::default(), strike, progress).await
}

async fn strike(site: &mut Site<'_>) -> anyhow::Result<()> {
    let lab = site.lab;
    match lab.broker() {
        Broker::Local => {
            let server = lab.server("a");
            let kill = async {
                server.kill();
                Ok(())
            };
            site.outage("the server is killed", kill, pass(LENGTH), server.start()).await
        }
        broker => {
            let kill = async {
                lab.backend().kill();
                Ok(())
            };
            let label = format!("what carries {} is killed", broker.name());
            site.outage(&label, kill, pass(LENGTH), lab.backend().start()).await
        }
    }
}
