//! Values of flags.

use std::net::{SocketAddr, ToSocketAddrs};

use super::WhichTrace;
use crate::{identity::BODY_BYTES_MIN, stats::PAIRS_MIN};

pub(crate) fn parse_rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds) if (PAIRS_MIN..=1000).contains(&rounds) => Ok(rounds),
        _ => Err(format!("a number from {PAIRS_MIN} to 1000")),
    }
}

pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

pub(crate) fn parse_trace(text: &str) -> Result<WhichTrace, String> {
    if text == "slowest" {
        return Ok(WhichTrace::Slowest);
    }
    let is_id = (4..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        Ok(WhichTrace::Id(text.to_ascii_lowercase()))
    } else {
        Err("a trace's identity has 32 hexadecimal digits; its first 4 may do. Or say slowest".to_owned())
    }
}

pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number from 1 to 100000".to_owned()),
    }
}

pub(crate) fn parse_body_bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (BODY_BYTES_MIN..=65_536).contains(&bytes) => Ok(bytes),
        _ => Err(format!("a text has {BODY_BYTES_MIN} to 65536 bytes")),
    }
}

pub(crate) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut addrs = text.to_socket_addrs().map_err(|error| error.to_string())?;
    addrs.next().ok_or_else(|| "no address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_by_its_beginning() {
        let id = |text: &str| Ok(WhichTrace::Id(text.to_owned()));
        assert_eq!(parse_trace("slowest"), Ok(WhichTrace::Slowest));
        assert_eq!(parse_trace("4BF9"), id("4bf9"));
        let whole = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(parse_trace(whole), id(whole));
        for wrong in ["4bf", "slow", "4bf92f3577b34da6a3ce929d0e0e47361"] {
            assert!(parse_trace(wrong).is_err(), "{wrong}");
        }
    }
}
