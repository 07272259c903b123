//! A thread for the publishers alone.

use std::thread::{self, JoinHandle};

use anyhow::Context;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// A runtime on a thread of its own. Among a thousand subscribers that a message wakes, a publisher
/// would have to wait for its turn: the load would be late, and acknowledgements would seem so.
#[derive(Debug)]
pub(crate) struct Stage {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("can't start the publishers' runtime")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("publishers".to_owned()).spawn(move || {
            // Ends with the sender, too.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the publishers' tasks, and their connections, belong.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
