//! `doctor`: is everything there?

use crate::{
    cli::DoctorArgs,
    doctor::{Addresses, Examination, check_stack, programs},
    exit::Exit,
    progress::Progress,
    report::publish,
};

pub(super) async fn execute(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let findings = if args.compose {
        let mut progress = Progress::new();
        progress.step("sending a message through the stack");
        check_stack(&Addresses {
            servers: args.server.clone(),
            credentials: args.credentials.read()?,
            prometheus: args.prometheus.clone(),
            jaeger: args.jaeger.clone(),
            grafana: args.grafana.clone(),
        })
        .await
    } else {
        programs()
    };
    let examination = Examination { findings };
    publish(&examination, args.json.as_deref())?;
    Ok(examination.exit())
}
