//! `lab`: something to play with.

use std::{
    future::pending,
    io::{Write, stdout},
};

use crate::{cli::LabArgs, exit::Exit, lab::Lab, progress::Progress};

pub(super) async fn execute(args: &LabArgs) -> anyhow::Result<Exit> {
    let mut progress = Progress::new();
    let lab = super::start_lab(args, None, &mut progress).await?;
    drop(progress);
    stdout().write_all(description(&lab).as_bytes())?;
    // Until Ctrl-C or SIGTERM, which drops this and with it the lab.
    pending().await
}

fn description(lab: &Lab) -> String {
    let mut lines = Vec::new();
    for server in lab.servers() {
        let (public, admin) = (server.public_addr(), server.admin_addr());
        lines.push(format!("server {}", server.node()));
        lines.push(format!("  WebSocket     ws://{public}/v1/ws?sender=NAME"));
        lines.push(format!("  HTTP          http://{public}/v1/channels/CHANNEL/messages"));
        lines.push(format!("  metrics       http://{admin}/metrics"));
    }
    lines.push(format!("DATABASE_URL    {}", lab.database_url()));
    lines.push(format!("REDIS_URL       {}", lab.redis_url()));
    lines.push(format!("folder          {} (logs)", lab.folder().display()));
    let addrs = lab.addrs();
    if let Some(first) = addrs.first() {
        let all: Vec<String> = addrs.iter().map(ToString::to_string).collect();
        lines.push(String::new());
        lines.push("Try:".to_owned());
        lines.push(format!("  hopline-loadtest run --target {}", all.join(",")));
        lines.push(format!(
            "  curl -X POST http://{first}/v1/channels/general/messages -H 'content-type: application/json' \\\n    \
             -d '{{\"client_message_id\":\"{}\",\"sender\":\"ann\",\"body\":\"hello\"}}'",
            uuid::Uuid::new_v4()
        ));
        lines.push(format!("  curl 'http://{first}/v1/channels/general/messages?after_seq=0'"));
    }
    lines.push(String::new());
    lines.push("Ctrl-C takes it all down.".to_owned());
    lines.join("\n") + "\n"
}
