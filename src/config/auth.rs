//! Who comes in: the checks of its flags.

use std::{fmt::Display, net::SocketAddr, path::Path};

use super::{Auth, ServeArgs, check::Checker};
use crate::token::{Key, PublicKey, Secret, Verifier};

impl Checker {
    pub(super) fn auth(&mut self, args: &ServeArgs, listen: Option<SocketAddr>) -> Option<Auth> {
        let verifier = match args.auth.as_str() {
            "none" => {
                self.let_anyone_in(args, listen);
                None
            }
            "jwt" => Some(self.verifier(args)),
            other => {
                self.add("--auth", format!("{other:?}: none or jwt"));
                None
            }
        };
        for origin in args.allow_origin.iter().filter(|origin| !is_origin(origin)) {
            let why = "as browsers spell it: https://chat.example or http://127.0.0.1:3000, in small letters, no path";
            self.add("--allow-origin", format!("{origin:?}: {why}"));
        }
        let verifier = match verifier {
            Some(verifier) => Some(verifier?),
            None => None,
        };
        Some(Auth { verifier, origins: args.allow_origin.clone() })
    }

    /// Without tokens whoever reaches the server can use any name: that has to be meant.
    fn let_anyone_in(&mut self, args: &ServeArgs, listen: Option<SocketAddr>) {
        if let Some(address) = listen.filter(|address| !address.ip().is_loopback() && !args.let_anyone_in) {
            let why = format!(
                "none on {address} takes whoever reaches it, under any name; use --auth jwt, listen on 127.0.0.1, \
                 or say it twice with --let-anyone-in"
            );
            self.add("--auth", why);
        }
        let needless = [
            ("--jwt-secret-file", &args.jwt_secret_file),
            ("--jwt-public-key-file", &args.jwt_public_key_file),
            ("--jwt-issuer", &args.jwt_issuer),
            ("--jwt-audience", &args.jwt_audience),
        ];
        for (flag, _) in needless.iter().filter(|(_, value)| value.is_some()) {
            self.add(flag, "does nothing without --auth jwt");
        }
    }

    fn verifier(&mut self, args: &ServeArgs) -> Option<Verifier> {
        let key = match (&args.jwt_secret_file, &args.jwt_public_key_file) {
            (Some(file), None) => self.file("--jwt-secret-file", Some(file), Secret::read).map(Key::Secret),
            (None, Some(file)) => {
                self.file("--jwt-public-key-file", Some(file), PublicKey::read).map(Key::Public)
            }
            _ => {
                let why = "this or --jwt-public-key-file is needed, and not both: it decides the algorithm of all tokens";
                self.add("--jwt-secret-file", why);
                None
            }
        };
        let issuer = self.required("--jwt-issuer", args.jwt_issuer.as_deref(), "HOPLINE_JWT_ISSUER");
        let audience = self.required("--jwt-audience", args.jwt_audience.as_deref(), "HOPLINE_JWT_AUDIENCE");
        Some(Verifier::new(&key?, issuer?, audience?))
    }

    /// What a file holds; none if there is no file, or nothing that can be used.
    pub(super) fn file<T, E: Display>(
        &mut self,
        flag: &'static str,
        path: Option<&str>,
        read: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Option<T> {
        let path = path?;
        read(Path::new(path)).map_err(|error| self.add(flag, format!("{path} {error}"))).ok()
    }
}

/// Whether it has the form in which browsers send an origin: it is compared letter by letter.
fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme));
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    host.is_some_and(|(_, host)| !host.is_empty() && host.bytes().all(legal))
}
