//! What must hold for whatever is read from outside: each function panics on a text for which it does not. The fuzz
//! targets call them; they stand here because only this crate knows the types that the texts become.

use std::fmt::Debug;

use hopline::{
    hop::{Origin, Recipient},
    protocol::{HistoryPage, Message, ServerFrame, Timing},
};
use serde::de::IgnoredAny;

use crate::{
    archive::Run,
    budget::{Budget, Claim},
    compare::{Change, Comparison, Limits},
    latency::Key,
    plan::{Plan, Workload},
    require::{Comparison as Operator, Figure, Flow, Requirement, Stat, limit},
    run::wire::{Incoming, Page},
    scenario::{Scenario, WorkloadArgs},
};

/// Plans with more messages are not made.
const PLANNED_MAX: f64 = 5_000.0;

/// A budget that is accepted makes rules: each limit is a bound of a histogram, and may be exceeded by some.
pub fn budget(text: &str) {
    let Ok(budget) = Budget::parse(text) else { return };
    for (claim, limit) in budget.latencies() {
        let (limit_s, share) = (limit.limit_s(), limit.error_budget());
        assert!(limit_s.is_finite() && limit_s > 0.0, "{claim:?}: {limit_s} s");
        assert!(share > 0.0 && share < 1.0, "{claim:?}: {share} may exceed it");
        assert!(limit.samples_min() >= 10, "{claim:?}");
        let again = toml::to_string(claim).expect("a claim is written");
        assert_eq!(&toml::from_str::<Claim>(&again).expect("and read"), claim);
    }
}

/// A scenario that is accepted makes a plan: channels that exist, and times that ascend and end in time.
pub fn scenario(text: &str) {
    let Ok(scenario) = Scenario::parse(text) else { return };
    let workload = Workload::from(&WorkloadArgs { scenario: Some(scenario), ..WorkloadArgs::default() });
    let end = workload.warm_up + workload.duration;
    let rates = workload.steps.iter().map(|step| step.rate_per_s);
    let rate_max = rates.fold(workload.rate_per_s, f64::max);
    if rate_max * end.as_secs_f64() > PLANNED_MAX {
        return;
    }
    let plan = Plan::new(&workload);
    for index in 0..plan.messages() {
        let intended_us = plan.intended_us(index);
        assert!(usize::from(plan.channel(index)) < workload.layout.channels);
        assert!(plan.intended(index) <= end, "message {index} is due after the end");
        assert!(index == 0 || plan.intended(index - 1) <= plan.intended(index));
        assert!(plan.due(intended_us + 1) > index, "message {index} is not sent when it is due");
    }
}

/// A requirement that is accepted is the same when it is spelled out, and can be followed during a run.
pub fn requirement(text: &str) {
    let Ok(requirement) = Requirement::parse(text) else { return };
    let Requirement { figure, comparison, value, .. } = requirement;
    assert!(value.is_finite() && value >= 0.0, "{value}");
    let spelled = format!("{} {} {value}{}", name(figure), operator(comparison), figure.unit().as_str());
    let again = Requirement::parse(&spelled).unwrap_or_else(|error| panic!("{spelled}: {error}"));
    assert_eq!((again.figure, again.comparison, again.value), (figure, comparison, value), "{spelled}");
    assert_eq!(Requirement::parse(&requirement.text).as_ref(), Ok(&requirement), "its own text");
    if let Some(limit) = limit(&requirement, 1_000, 6_000) {
        assert!(f64::from(limit.from_us) >= (value * 1_000.0).floor().min(f64::from(u32::MAX)), "{limit:?}");
    }
}

/// A report that is accepted is no better and no worse than itself.
pub fn report(text: &str) {
    let Ok(run) = Run::parse("report", text) else { return };
    let limits = Limits { min_effect: 0.05, min_effect_ms: 0.1, run_noise: 0.03 };
    let comparison = Comparison::of(std::slice::from_ref(&run), std::slice::from_ref(&run), &limits);
    for one in &comparison.compared {
        assert!(matches!(one.change, Change::None | Change::Unclear), "{one:?}");
        assert!(
            one.low <= one.ratio && one.ratio <= one.high && (one.ratio - 1.0).abs() < f64::EPSILON,
            "{one:?}"
        );
    }
}

/// Whatever a server answers, the parsers that copy nothing read as the protocol's types do.
pub fn answer(text: &str) {
    if let Ok(page) = serde_json::from_str::<HistoryPage>(text) {
        let text = written(&page);
        let read: Page<'_> = serde_json::from_str(&text).expect("a page");
        assert_eq!(read.next_after_seq, page.next_after_seq);
        assert_eq!(read.messages.len(), page.messages.len());
        for (read, message) in read.messages.iter().zip(&page.messages) {
            let read = (read.seq, read.id, read.client_message_id, &*read.body);
            assert_eq!(read, (message.seq, message.id, message.client_message_id, &*message.body));
        }
    }
    if let Ok(frame) = serde_json::from_str::<ServerFrame>(text) {
        let text = written(&frame);
        serde_json::from_str::<Incoming<'_, IgnoredAny>>(&text).expect("a frame");
        if let ServerFrame::Message(message) = frame {
            same_message(&serde_json::from_str(&text).expect("a message"), &message);
        }
    }
}

fn written<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let text = serde_json::to_string(value).expect("it is written");
    assert_eq!(&serde_json::from_str::<T>(&text).expect("and read"), value);
    text
}

fn same_message(read: &Incoming<'_, Timing>, message: &Message) {
    assert_eq!((&*read.kind, &*read.channel, &*read.body), ("message", &*message.channel, &*message.body));
    assert_eq!((read.seq, read.id), (Some(message.seq), Some(message.id)));
    assert_eq!(read.client_message_id, Some(message.client_message_id));
    assert_eq!(&*read.traceparent, message.traceparent.as_deref().unwrap_or_default());
    assert_eq!(read.timing, message.timing);
}

fn name(figure: Figure) -> String {
    let flow = |flow| match flow {
        Flow::Acknowledged => "acknowledged",
        Flow::Delivered => "delivered",
        Flow::Traced => "traces",
    };
    match figure {
        Figure::Latency(Key { measure, origin, recipient }, stat) => {
            let qualifier = origin.map(Origin::as_str).or(recipient.map(Recipient::as_str));
            let qualifier = qualifier.map(|it| format!(".{it}")).unwrap_or_default();
            let stat = match stat {
                Stat::Percentile(percentile) => format!("p{percentile}"),
                Stat::Mean => "mean".to_owned(),
                Stat::Max => "max".to_owned(),
            };
            format!("{}{qualifier}.{stat}", measure.as_str())
        }
        Figure::Audit(None) => "audit.findings".to_owned(),
        Figure::Audit(Some(kind)) => format!("audit.{}", kind.as_str()),
        Figure::Indeterminate => "audit.indeterminate".to_owned(),
        Figure::Rate(what) => format!("{}.rate", flow(what)),
        Figure::Share(what) => format!("{}.share", flow(what)),
        Figure::Reconciliation(percentile) => format!("reconciliation.p{percentile}"),
    }
}

const fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Below => "<",
        Operator::AtMost => "<=",
        Operator::Above => ">",
        Operator::AtLeast => ">=",
        Operator::Equal => "=",
    }
}
