//! What an option does while all that runs between its servers is gone.

use std::{path::PathBuf, time::Duration};

use super::{Conditions, Drilled, Fault, Load, Site, under_load};
use crate::{
    lab::{Broker, Lab, LabOptions},
    progress::Progress,
};

/// How long it is gone; starting again comes on top.
const LENGTH: Duration = Duration::from_secs(3);

/// Kills it under load, and starts it again. Where there is nothing between servers, it is the server.
pub(crate) async fn outage(
    broker: Broker,
    server_binary: Option<PathBuf>,
    progress: &mut Progress,
) -> anyhow::Result<Drilled> {
    let options = LabOptions {
        servers: usize::from(broker.usual_servers()),
        broker,
        server_binary,
        server_args: vec!["--fault-switches".to_owned()],
        ..LabOptions::default()
    };
    let lab = Lab::start(options).await?;
    let fault = if broker == Broker::Local { Fault::ServerCrash } else { Fault::BrokerCrash };
    let strike = async |site: &mut Site<'_>, _| Box::pin(fault.strike(site, LENGTH)).await;
    under_load(&lab, Load::USUAL.over(broker).quick().workload(), Conditions::default(), strike, progress)
        .await
}
