//! Faults that an operator switches on in a running server, to see them in traces and dashboards. Several look like
//! real bugs. They can be switched only if the server was started with `--fault-switches`, on the admin listener.

mod hold;
mod line;
mod queue;
mod switches;

use std::sync::OnceLock;

use tokio::sync::watch;

pub use hold::Hold;
pub use line::Line;
pub use queue::Queue;
pub use switches::{Delay, InvalidSwitches, Switches};

static FAULTS: OnceLock<watch::Sender<Switches>> = OnceLock::new();

/// Lets faults be switched in this process, from now on.
pub fn enable() {
    let _ = FAULTS.set(watch::channel(Switches::default()).0);
}

/// Whether faults can be switched.
pub fn is_enabled() -> bool {
    FAULTS.get().is_some()
}

/// How the switches stand; none if faults can't be switched.
pub fn switches() -> Option<Switches> {
    FAULTS.get().map(|faults| faults.borrow().clone())
}

/// Sets all switches. Does nothing if faults can't be switched.
pub fn set(switches: Switches) {
    if let Some(faults) = FAULTS.get() {
        tracing::warn!(?switches, "faults switched");
        faults.send_replace(switches);
    }
}

/// Whether this message from the broker is to be lost.
pub fn loses_message() -> bool {
    let share = FAULTS.get().map_or(0.0, |faults| faults.borrow().lost_share);
    share > 0.0 && rand::random_bool(share)
}

/// Whether messages go to the broker without their trace context.
pub fn loses_context() -> bool {
    FAULTS.get().is_some_and(|faults| faults.borrow().lose_context)
}

/// Whether gaps stay open.
pub fn heals_nothing() -> bool {
    FAULTS.get().is_some_and(|faults| faults.borrow().no_heal)
}

/// Whether publishers have their answer before the COMMIT.
pub fn acks_before_commit() -> bool {
    FAULTS.get().is_some_and(|faults| faults.borrow().ack_before_commit)
}

/// Ends the process as a crash after a COMMIT would, if that is switched on.
pub fn crash_after_commit() {
    crash_if(|switches| switches.crash_after_commit);
}

/// Ends the process as a crash of the relay after a publish would, if that is switched on.
pub fn crash_after_publish() {
    crash_if(|switches| switches.crash_after_publish);
}

fn crash_if(is_on: impl Fn(&Switches) -> bool) {
    if FAULTS.get().is_some_and(|faults| is_on(&faults.borrow())) {
        tracing::error!("crashing, as the fault switch says");
        std::process::abort();
    }
}
