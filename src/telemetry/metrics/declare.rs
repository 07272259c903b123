//! How a metric is declared: a line with its name, whose doc comment is its help text.

use std::marker::PhantomData;

use metrics::{Counter, Gauge, Histogram};

use crate::telemetry::labels::Label;

/// A metric that can be registered by a name, a help text and, if its kind has one, a label.
pub(super) trait Declared {
    fn declare(name: &'static str, help: &'static str, label: &'static str) -> Self;
}

impl Declared for Counter {
    fn declare(name: &'static str, help: &'static str, _label: &'static str) -> Self {
        metrics::describe_counter!(name, help);
        metrics::counter!(name)
    }
}

impl Declared for Gauge {
    fn declare(name: &'static str, help: &'static str, _label: &'static str) -> Self {
        metrics::describe_gauge!(name, help);
        metrics::gauge!(name)
    }
}

impl Declared for Histogram {
    fn declare(name: &'static str, help: &'static str, _label: &'static str) -> Self {
        metrics::describe_histogram!(name, help);
        metrics::histogram!(name)
    }
}

/// A counter for each value of a label.
pub struct Counters<L>(Vec<Counter>, PhantomData<fn(L)>);

impl<L: Label> Declared for Counters<L> {
    fn declare(name: &'static str, help: &'static str, label: &'static str) -> Self {
        metrics::describe_counter!(name, help);
        let counter = |value: &L| metrics::counter!(name, label => value.label());
        Self(L::ALL.iter().map(counter).collect(), PhantomData)
    }
}

impl<L: Label> Counters<L> {
    /// The counter of one value.
    pub fn of(&self, value: L) -> &Counter {
        &self.0[value.index()]
    }
}

/// Makes a struct of metrics, and the function that registers them.
macro_rules! declare {
    ($(#[$doc:meta])* $struct:ident { $(
        #[doc = $help:literal]
        $name:literal: $field:ident is $kind:ty $(, by $label:literal)?;
    )+ }) => {
        $(#[$doc])*
        pub struct $struct { $(#[doc = $help] pub $field: $kind,)+ }

        impl $struct {
            fn register() -> Self {
                Self { $($field: Declared::declare($name, $help.trim_ascii(), concat!($($label)?)),)+ }
            }
        }
    };
}

pub(super) use declare;
