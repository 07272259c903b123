//! Which pages a browser may bring. A browser says whose page it is that asks (RFC 6454), and opens a WebSocket for any.

use axum::http::{HeaderMap, header};

/// Whether all origins that the head names are listed; so they are if it names none. `null`, which a browser says of
/// files and sandboxed pages, can't be listed.
pub(super) fn are_listed(listed: &[String], headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.all(|origin| listed.iter().any(|listed| origin == listed.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_that_is_listed_letter_by_letter_passes() {
        let listed = ["https://chat.example".to_owned(), "http://127.0.0.1:3000".to_owned()];
        let allow = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, origin.parse().unwrap());
            }
            are_listed(&listed, &headers)
        };
        assert!(allow(&[]) && allow(&["https://chat.example"]) && allow(&["http://127.0.0.1:3000"]));
        for origin in [
            "",
            "null",
            "*",
            "https://chat.example/",
            "https://chat.example:443",
            "http://chat.example",
            "https://chat.example.evil.example",
            "https://evil-chat.example",
            "https://CHAT.example",
            "https://chat.example, https://evil.example",
            "http://127.0.0.1",
            "http://localhost:3000",
        ] {
            assert!(!allow(&[origin]), "{origin:?}");
        }
        assert!(!allow(&["https://chat.example", "https://evil.example"]));
    }
}
