//! The token that a request's head brings: as a bearer's authorisation (RFC 6750), or from pages, which can't set
//! that header for a WebSocket, as a subprotocol. Never in the URL: proxies write those into their logs.

use axum::http::{HeaderMap, header};

use crate::{protocol::TOKEN_SUBPROTOCOL, telemetry::labels::AuthRefusal};

const SCHEME: &str = "Bearer";

/// The token; none if there is none. Two are refused, for which one counts would be anyone's guess.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<&str>, AuthRefusal> {
    let mut tokens = Vec::new();
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = value.to_str().map_err(|_| AuthRefusal::Malformed)?;
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(AuthRefusal::Scheme);
        }
        tokens.push(token.trim_ascii());
    }
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let value = value.to_str().map_err(|_| AuthRefusal::Malformed)?;
        tokens.extend(value.split(',').filter_map(|name| name.trim_ascii().strip_prefix(TOKEN_SUBPROTOCOL)));
    }
    match tokens[..] {
        [] => Ok(None),
        [token] => Ok(Some(token)),
        _ => Err(AuthRefusal::Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(headers: &[(&'static str, &'static str)]) -> Result<Option<String>, AuthRefusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        token(&map).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn one_token_is_found_wherever_it_may_stand() {
        assert_eq!(offered(&[]), Ok(None));
        assert_eq!(offered(&[("sec-websocket-protocol", "hopline.v1")]), Ok(None));
        for header in [
            ("authorization", "Bearer a.b.c"),
            ("authorization", "bearer  a.b.c "),
            ("sec-websocket-protocol", "hopline.v1,hopline.token.a.b.c"),
            ("sec-websocket-protocol", "hopline.token.a.b.c , hopline.v1"),
        ] {
            assert_eq!(offered(&[header]), Ok(Some("a.b.c".into())), "{header:?}");
        }
    }

    #[test]
    fn two_tokens_are_refused_though_they_be_the_same() {
        let (header, protocol) =
            (("authorization", "Bearer a"), ("sec-websocket-protocol", "hopline.token.a"));
        let twice = ("sec-websocket-protocol", "hopline.token.a, hopline.token.a");
        for headers in [&[header, header][..], &[header, protocol], &[protocol, protocol], &[twice]] {
            assert_eq!(offered(headers), Err(AuthRefusal::Ambiguous), "{headers:?}");
        }
    }

    #[test]
    fn what_is_no_bearers_is_refused() {
        assert_eq!(offered(&[("authorization", "Basic YTpi")]), Err(AuthRefusal::Scheme));
        assert_eq!(offered(&[("authorization", "a.b.c")]), Err(AuthRefusal::Scheme));
        assert_eq!(offered(&[("authorization", "Bearer")]), Ok(Some(String::new())));
    }
}
