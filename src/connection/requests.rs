//! What a client asks for, frame by frame.

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{Change, Connection, encode, subscribe::Subscribe};
use crate::{
    accept::{Request, channel_name},
    clock,
    limit::Rate,
    protocol::{ClientFrame, ErrorCode, ProtocolError, ServerFrame},
    send::Registration,
};

impl Connection {
    pub(super) fn on_text(&mut self, text: &str) {
        let accepted_us = clock::now_us();
        let frame = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => {
                return self.refuse(ProtocolError::new(ErrorCode::Malformed, error.to_string()));
            }
        };
        let done = match frame {
            ClientFrame::Publish { channel, client_message_id, body, traceparent } => {
                let publisher = self.identity.clone();
                self.publish(Request {
                    channel,
                    publisher,
                    client_message_id,
                    body,
                    traceparent,
                    accepted_us,
                })
            }
            ClientFrame::Subscribe { channel, after_seq, timing } => {
                self.subscribe(&channel, after_seq, timing).map_err(|error| error.in_channel(channel))
            }
            ClientFrame::Unsubscribe { channel } => {
                self.unsubscribe(&channel).map_err(|error| error.in_channel(channel))
            }
            ClientFrame::Authenticate { token } => self.renew(&token),
            ClientFrame::Ping {} => {
                self.answer(&ServerFrame::Pong);
                Ok(())
            }
        };
        if let Err(error) = done {
            self.refuse(error);
        }
    }

    fn publish(&mut self, request: Request) -> Result<(), ProtocolError> {
        if let Err(error) = self.may_publish() {
            return Err(error.in_channel(request.channel).of_message(request.client_message_id));
        }
        let answer = self.shared.accept.publish(request);
        let frame = answer.map(|answer| match answer {
            Ok(ack) => ServerFrame::Ack(ack),
            Err(error) => ServerFrame::Error(error),
        });
        self.publishes.push(frame.boxed());
        Ok(())
    }

    fn may_publish(&mut self) -> Result<(), ProtocolError> {
        let limits = &self.shared.config.limits;
        let max = limits.outstanding_max;
        if self.publishes.len() >= max {
            let message = format!("{max} publishes are not acknowledged yet; wait for an answer");
            return Err(ProtocolError::new(ErrorCode::TooManyOutstanding, message));
        }
        let rate = Rate::new(limits.publish_rate_per_s_max, limits.publish_burst_max);
        self.bucket.take(&rate, Instant::now()).map_err(|wait| {
            let message = format!("more than {} publishes a second; wait", limits.publish_rate_per_s_max);
            ProtocolError::new(ErrorCode::RateLimited, message).retry_after(wait)
        })
    }

    fn subscribe(
        &mut self,
        channel: &str,
        after_seq: Option<u64>,
        timing: bool,
    ) -> Result<(), ProtocolError> {
        let channel = channel_name(channel)?;
        self.identity.check_read(&channel)?;
        let max = self.shared.config.limits.subscriptions_max;
        if self.subscriptions.contains(&channel) {
            let message = "there is a subscription already; unsubscribe first to change it";
            return Err(ProtocolError::new(ErrorCode::AlreadySubscribed, message));
        }
        if self.subscriptions.len() >= max {
            let message = format!("at most {max} subscriptions; unsubscribe from another channel first");
            return Err(ProtocolError::new(ErrorCode::TooManySubscriptions, message));
        }
        let subscribe = Subscribe { channel, after_seq, timing, client: self.client.clone() };
        self.change = Some(subscribe.carry_out(self.shared.clone()).boxed());
        Ok(())
    }

    fn unsubscribe(&mut self, channel: &str) -> Result<(), ProtocolError> {
        let channel = channel_name(channel)?;
        if !self.subscriptions.remove(&channel) {
            return Err(ProtocolError::new(ErrorCode::NotSubscribed, "there is no such subscription"));
        }
        let farewell = Some(encode(&ServerFrame::Unsubscribed { channel: channel.clone(), code: None }));
        let leave = Registration::Leave { channel, session: self.client.session, farewell };
        let registrar = self.shared.registrar.clone();
        let change = async move {
            registrar.register(leave).await;
            Ok(Change::Unsubscribed)
        };
        self.change = Some(change.boxed());
        Ok(())
    }
}
