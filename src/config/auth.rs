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
            (Some(file), None) => {
                self.read_from("--jwt-secret-file", Some(file), Secret::read).map(Key::Secret)
            }
            (None, Some(file)) => {
                self.read_from("--jwt-public-key-file", Some(file), PublicKey::read).map(Key::Public)
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
    pub(super) fn read_from<T, E: Display>(
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigErrors, parsed};

    fn config(flags: &[&str]) -> Result<Config, ConfigErrors> {
        parsed(flags.iter().copied())
    }

    #[test]
    fn a_server_without_tokens_on_an_address_that_others_reach_has_to_be_meant() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
            let listen = format!("--listen={address}");
            let ConfigErrors(problems) = config(&[&listen]).unwrap_err();
            assert!(
                problems[0].flag == "--auth" && problems[0].why.contains("--let-anyone-in"),
                "{problems:?}"
            );
            assert!(config(&[&listen, "--let-anyone-in"]).is_ok());
        }
        for address in ["127.0.0.1:0", "127.9.9.9:0", "[::1]:0"] {
            assert!(config(&[&format!("--listen={address}")]).is_ok(), "{address}");
        }
    }

    #[test]
    fn a_server_with_tokens_has_one_key_an_issuer_and_an_audience() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "an-open-secret-that-is-long-enough").unwrap();
        let secret = format!("--jwt-secret-file={}", file.path().display());
        let public = format!("--jwt-public-key-file={}", file.path().display());
        let names = ["--auth=jwt", "--jwt-issuer=me", "--jwt-audience=chat"];
        let with = |flags: &[&str]| config(&[&names, flags].concat());
        let right = with(&["--listen=0.0.0.0:0", &secret]).unwrap();
        assert!(!format!("{right:?}").contains("an-open-secret"));
        let flags_of = |flags: &[&str]| {
            let ConfigErrors(problems) = config(flags).unwrap_err();
            assert!(problems.iter().all(|problem| !problem.why.contains("an-open-secret")), "{problems:?}");
            problems.into_iter().map(|problem| problem.flag).collect::<Vec<_>>()
        };
        let all = ["--jwt-secret-file", "--jwt-issuer", "--jwt-audience"];
        assert_eq!(flags_of(&["--auth=jwt"]), all);
        assert_eq!(flags_of(&[&names[..], &[&secret, &public]].concat()), ["--jwt-secret-file"]);
        assert_eq!(flags_of(&[&names[..], &[&public]].concat()), ["--jwt-public-key-file"]);
        assert_eq!(flags_of(&[&names[..], &["--jwt-secret-file=/nowhere"]].concat()), ["--jwt-secret-file"]);
        assert_eq!(flags_of(&["--auth=some"]), ["--auth"]);
        assert_eq!(flags_of(&[&secret, "--jwt-issuer=me"]), ["--jwt-secret-file", "--jwt-issuer"]);
        std::fs::write(&file, "an-open-secret").unwrap();
        let admin = format!("--admin-token-file={}", file.path().display());
        assert_eq!(
            flags_of(&[&names[..], &[&secret, &admin]].concat()),
            ["--jwt-secret-file", "--admin-token-file"]
        );
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert!(config(&["--allow-origin=https://chat.example,http://127.0.0.1:3000"]).is_ok());
        for origin in
            ["*", "null", "chat.example", "https://", "https://chat.example/", "https://Chat.example"]
        {
            assert!(config(&[&format!("--allow-origin={origin}")]).is_err(), "{origin}");
        }
    }
}
