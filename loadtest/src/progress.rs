//! Shows how far a command has come: a bar on a terminal, with news beneath it; a plain line every five seconds otherwise.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(5);
const BLOCK_EVERY: Duration = Duration::from_secs(1);
const BAR: &str = "{msg} {wide_bar} {pos}/{len}";

/// What else is to be told of a step, in the two ways in which that can be.
#[derive(Debug)]
pub(crate) struct News {
    /// Behind the position.
    pub(crate) line: String,
    /// Several lines, beneath the bar.
    pub(crate) block: String,
}

/// Progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    step: &'static str,
    length: u64,
    last_told: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, step: "", length: 0, last_told: Instant::now() }
    }

    /// Begins a step of unknown length.
    pub(crate) fn step(&mut self, step: &'static str) {
        self.begin(step, 0, "{spinner} {msg} {elapsed}");
    }

    /// Begins a step of a known length.
    pub(crate) fn step_of(&mut self, step: &'static str, length: u64) {
        self.begin(step, length, BAR);
    }

    /// Says how far the step has come.
    pub(crate) fn at(&mut self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        } else if self.is_due(LINE_EVERY) {
            eprintln!("{} {position}/{}", self.step, self.length);
        }
    }

    /// The same with news, which are asked for only when they are shown.
    pub(crate) fn tell(&mut self, position: u64, news: impl FnOnce() -> News) {
        if self.bar.is_none() {
            if self.is_due(LINE_EVERY) {
                eprintln!("{} {position}/{}: {}", self.step, self.length, news().line);
            }
            return;
        }
        let block = self.is_due(BLOCK_EVERY).then(|| news().block);
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            if let Some(block) = block {
                bar.set_style(style(&format!("{BAR}\n{{prefix}}")));
                bar.set_prefix(block);
            }
        }
    }

    fn is_due(&mut self, every: Duration) -> bool {
        let is_due = self.last_told.elapsed() >= every;
        if is_due {
            self.last_told = Instant::now();
        }
        is_due
    }

    /// Writes a line that stays.
    pub(crate) fn say(&self, line: &str) {
        self.voice().say(line);
    }

    /// For whoever has to say something while the progress is someone else's.
    pub(crate) fn voice(&self) -> Voice {
        Voice(self.bar.clone())
    }

    fn begin(&mut self, step: &'static str, length: u64, template: &str) {
        (self.step, self.length) = (step, length);
        self.last_told = Instant::now();
        match &self.bar {
            Some(bar) => {
                bar.reset();
                bar.set_style(style(template));
                bar.set_length(length);
                bar.set_message(step);
            }
            None => eprintln!("{step} …"),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Says lines that stay.
#[derive(Clone, Debug)]
pub(crate) struct Voice(Option<ProgressBar>);

impl Voice {
    /// Writes a line.
    pub(crate) fn say(&self, line: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
