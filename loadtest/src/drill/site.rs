//! Where a drill takes place: what can be broken, and when it was.

use std::{ops::Range, time::Duration};

use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::{
    clock::Clock,
    lab::{Lab, Server},
    progress::Voice,
    run::Survival,
};

/// A time in which something was broken, on the run's clock.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) label: String,
    /// From the moment at which it was broken until it was whole again.
    pub(crate) us: Range<u32>,
    /// Of these, those in which it was gone for certain: not yet being mended.
    pub(crate) gone_us: Range<u32>,
}

/// The servers' fault switches.
#[derive(Clone, Copy)]
pub(crate) struct Switches<'a> {
    lab: &'a Lab,
    /// Those that stay on, whatever else is switched.
    stay: &'a Map<String, Value>,
}

impl Switches<'_> {
    /// Sets those of one server.
    pub(crate) async fn set(&self, server: &Server, also: &Value) -> anyhow::Result<()> {
        let mut switches = self.stay.clone();
        switches.extend(also.as_object().cloned().unwrap_or_default());
        server.switch_faults(&Value::Object(switches)).await
    }

    /// Sets those of all servers.
    pub(crate) async fn set_all(&self, also: &Value) -> anyhow::Result<()> {
        for server in self.lab.servers() {
            self.set(&server, also).await?;
        }
        Ok(())
    }
}

/// A lab under load.
pub(crate) struct Site<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) survival: &'a Survival,
    pub(crate) switches: Switches<'a>,
    clock: Clock,
    voice: Voice,
    windows: Vec<Window>,
    missed: Vec<String>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        lab: &'a Lab,
        survival: &'a Survival,
        clock: Clock,
        stay: &'a Map<String, Value>,
        voice: Voice,
    ) -> Self {
        let switches = Switches { lab, stay };
        Self { lab, survival, switches, clock, voice, windows: Vec::new(), missed: Vec::new() }
    }

    /// Breaks something, waits, mends it, and notes when. `end` returns once it is whole again.
    pub(crate) async fn outage(
        &mut self,
        label: &str,
        begin: impl Future<Output = anyhow::Result<()>>,
        meanwhile: impl Future<Output = anyhow::Result<()>>,
        end: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        self.voice.say(label);
        let from = self.clock.now_us();
        begin.await?;
        let gone = self.clock.now_us();
        meanwhile.await?;
        let back = self.clock.now_us();
        end.await?;
        let until = self.clock.now_us();
        self.voice.say("mended");
        self.windows.push(Window { label: label.to_owned(), us: from..until, gone_us: gone..back });
        Ok(())
    }

    /// The fault didn't do what it is to do: the drill proves nothing.
    pub(crate) fn miss(&mut self, what: impl Into<String>) {
        self.missed.push(what.into());
    }

    /// When something was broken, and what was missed.
    pub(crate) fn into_parts(self) -> (Vec<Window>, Vec<String>) {
        (self.windows, self.missed)
    }
}

/// Lets time pass.
pub(crate) async fn pass(duration: Duration) -> anyhow::Result<()> {
    sleep(duration).await;
    Ok(())
}
