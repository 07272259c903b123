//! Tokens that are none, or don't hold.

use ring::hmac;
use serde_json::{Value, json};

use super::forge::{Pair, changed, claims, hmac_signed, hs256, in_s, part, raw_part};
use hopline::token::Issuer;

/// What it is, the token, and why it is refused.
pub(super) type Bad = (String, String, &'static str);

fn named(bad: Vec<(&str, String, &'static str)>) -> Vec<Bad> {
    bad.into_iter().map(|(what, token, reason)| (what.to_owned(), token, reason)).collect()
}

/// Those that have no form, or another algorithm than HS256.
pub(super) fn forms(issuer: &Issuer) -> Vec<Bad> {
    let (secret, good) = (issuer.secret.as_bytes(), claims(issuer));
    let with = |header: Value| hs256(&header, &good, secret);
    let unsigned = |alg: &str| format!("{}.{}.", part(&json!({ "alg": alg })), part(&good));
    let parts = with(json!({ "alg": "HS256" }));
    named(vec![
        ("nothing", String::new(), "malformed"),
        ("a word", "secret-word".into(), "malformed"),
        ("two parts", parts.rsplit_once('.').unwrap().0.into(), "malformed"),
        ("four parts", format!("{parts}.AAAA"), "malformed"),
        ("white space within", parts.replacen('.', " .", 1), "malformed"),
        ("padding", parts.replacen('.', "=.", 1), "malformed"),
        (
            "a header that is no JSON",
            hmac_signed(&raw_part(b"{"), &part(&good), hmac::HMAC_SHA256, secret),
            "malformed",
        ),
        ("no algorithm", with(json!({ "typ": "JWT" })), "malformed"),
        ("none", unsigned("none"), "malformed"),
        ("none, and a signature", with(json!({ "alg": "none" })), "malformed"),
        ("nOnE", unsigned("nOnE"), "malformed"),
        ("hs256 in small letters", with(json!({ "alg": "hs256" })), "malformed"),
        ("an unknown algorithm", with(json!({ "alg": "HS1" })), "malformed"),
        ("two algorithms", with(json!({ "alg": ["HS256", "none"] })), "malformed"),
        ("something critical", with(json!({ "alg": "HS256", "crit": ["b64"], "b64": false })), "malformed"),
        ("too large", hs256(&json!({ "alg": "HS256", "kid": "x".repeat(8192) }), &good, secret), "too_large"),
        (
            "HS512 with the right secret",
            hmac_signed(&part(&json!({ "alg": "HS512" })), &part(&good), hmac::HMAC_SHA512, secret),
            "algorithm",
        ),
        ("RS256 over an HMAC", with(json!({ "alg": "RS256" })), "algorithm"),
        ("ES256 over an HMAC", with(json!({ "alg": "ES256" })), "algorithm"),
        ("EdDSA over an HMAC", with(json!({ "alg": "EdDSA" })), "algorithm"),
        ("EdDSA by a key of one's own", Pair::of(1).sign(&json!({ "alg": "EdDSA" }), &good), "algorithm"),
    ])
}

/// Those that someone else signed, or changed.
pub(super) fn signatures(issuer: &Issuer) -> Vec<Bad> {
    let (header, good) = (json!({ "alg": "HS256" }), claims(issuer));
    let right = hs256(&header, &good, issuer.secret.as_bytes());
    let [head, _, signature] = right.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
    let own = &[7; 32];
    let more = changed(issuer, json!({ "read": ["*"], "write": ["*"] }));
    let jwk = json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": raw_part(own) } });
    named(vec![
        ("another secret", hs256(&header, &good, own), "signature"),
        ("an empty secret", hs256(&header, &good, b""), "signature"),
        ("an empty signature", format!("{head}.{}.", part(&good)), "signature"),
        ("half a signature", right[..right.len() - 23].into(), "signature"),
        ("another token's signature", format!("{head}.{}.{signature}", part(&more)), "signature"),
        (
            "another header",
            right.replacen(head, &part(&json!({ "alg": "HS256", "kid": "1" })), 1),
            "signature",
        ),
        ("the key in the header", hs256(&jwk, &good, own), "signature"),
        (
            "a key's file in the header",
            hs256(&json!({ "alg": "HS256", "kid": "/dev/null" }), &good, b""),
            "signature",
        ),
    ])
}

/// Those that say what a token must not say.
pub(super) fn claims_of(issuer: &Issuer) -> Vec<Bad> {
    let many: Vec<String> = (0..101).map(|number| format!("c{number}")).collect();
    let cases = [
        (json!({ "exp": in_s(-60) }), "expired"),
        (json!({ "exp": 0 }), "expired"),
        (json!({ "exp": null }), "claims"),
        (json!({ "exp": in_s(3600).to_string() }), "claims"),
        (json!({ "exp": -1 }), "claims"),
        (json!({ "exp": 1e300 }), "claims"),
        (json!({ "nbf": in_s(60) }), "not_yet"),
        (json!({ "nbf": "now" }), "claims"),
        (json!({ "aud": null }), "claims"),
        (json!({ "aud": "someone" }), "audience"),
        (json!({ "aud": "HOPLINE" }), "audience"),
        (json!({ "aud": ["someone", "someone-else"] }), "audience"),
        (json!({ "aud": [] }), "audience"),
        (json!({ "iss": null }), "claims"),
        (json!({ "iss": "someone" }), "issuer"),
        (json!({ "sub": null }), "claims"),
        (json!({ "sub": "" }), "claims"),
        (json!({ "sub": "al ice" }), "claims"),
        (json!({ "sub": "\u{430}lice" }), "claims"),
        (json!({ "sub": "x".repeat(65) }), "claims"),
        (json!({ "sub": 7 }), "claims"),
        (json!({ "read": "general" }), "claims"),
        (json!({ "read": [""] }), "claims"),
        (json!({ "read": ["a*b"] }), "claims"),
        (json!({ "read": ["**"] }), "claims"),
        (json!({ "read": [".*"] }), "claims"),
        (json!({ "write": ["*a"] }), "claims"),
        (json!({ "write": ["te\u{430}m-*"] }), "claims"),
        (json!({ "write": ["team-%2A"] }), "claims"),
        (json!({ "write": many }), "claims"),
    ];
    let secret = issuer.secret.as_bytes();
    let header = json!({ "alg": "HS256" });
    let bad = cases.map(|(changes, reason)| {
        (changes.to_string(), hs256(&header, &changed(issuer, changes), secret), reason)
    });
    let twice = claims(issuer).to_string().replacen('{', r#"{"sub":"bob","#, 1);
    let raw = |claims: &[u8]| hmac_signed(&part(&header), &raw_part(claims), hmac::HMAC_SHA256, secret);
    bad.into_iter()
        .chain(named(vec![
            ("two senders", raw(twice.as_bytes()), "claims"),
            ("a list", raw(b"[]"), "claims"),
            ("no JSON", raw(b"alice"), "claims"),
        ]))
        .collect()
}
