//! One POST, to one address, with one answer. When to try again is not decided here.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{ClientCert, RootCerts, TlsConfig, TlsProvider};

use crate::deliver::Miss;
use crate::trust::Trust;

/// So many bytes of an answer are read.
const LONGEST: u64 = 4 << 20;

/// An address, and how to speak to it.
pub struct Http {
    agent: Agent,
    url: String,
}

/// What came back.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its first bytes.
    pub body: Vec<u8>,
}

impl Http {
    /// Makes one ready; an attempt takes no longer than `patience`.
    pub fn new(url: &str, name: &str, patience: Duration, trust: &Trust) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(match &trust.authorities {
                None => RootCerts::PlatformVerifier,
                Some(certs) => RootCerts::new_with_certs(certs),
            })
            .client_cert(trust.own.as_ref().map(|(certs, key)| ClientCert::new_with_certs(certs, key.to_owned())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .timeout_global(Some(patience))
            // Somewhere else than the settings say nothing is sent.
            .max_redirects(0)
            .http_status_as_error(false)
            // What is told is told to whom the settings name, past nobody else.
            .proxy(None)
            .user_agent(format!("{name}/{}", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: agent.new_agent(), url: url.to_owned() }
    }

    /// Asks whether something is there, and sends nothing.
    ///
    /// # Errors
    /// As for [`Http::post`].
    pub fn options(&self) -> Result<Answer, Miss> {
        self.answered(self.agent.options(&self.url).call())
    }

    /// Sends.
    ///
    /// # Errors
    /// Where there is no answer; it may be tried again.
    pub fn post(&self, headers: &[(&str, &str)], kind: &str, body: &[u8]) -> Result<Answer, Miss> {
        let request = self.agent.post(&self.url).header("content-type", kind);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.answered(request.send(body))
    }

    fn answered(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, Miss> {
        let failed = |why: &dyn std::fmt::Display| Miss::again(hide(&why.to_string(), &self.url));
        let answer = answer.map_err(|e| failed(&e))?;
        let (parts, body) = answer.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().take(LONGEST).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: bytes })
    }
}

/// Whether a message has arrived, by the answer (RFC 9110, RFC 6585). Final is only what speaks of the message itself, or
/// says that nobody is there any more: a token that expired, or a page in between, may be mended within the day.
///
/// # Errors
/// Why not.
pub fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Miss> {
    let why = format!("the server answers {status}");
    let after = headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    match status.as_u16() {
        200..=299 => Ok(()),
        400 | 410 | 413 | 415 | 422 => Err(Miss::never(why)),
        _ => Err(Miss { after, ..Miss::again(why) }),
    }
}

/// Some errors of the library name the address, which may be a secret.
fn hide(text: &str, secret: &str) -> String {
    text.replace(secret, "(the address)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_whether_to_try_again() {
        for (status, permanent) in [
            (408, false),
            (429, false),
            (500, false),
            (503, false),
            (301, false),
            (401, false),
            (404, false),
            (400, true),
            (410, true),
            (422, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", "7".parse().expect("a value"));
            let miss = judge(StatusCode::from_u16(status).expect("a status"), &headers).expect_err("a miss");
            assert_eq!(
                (miss.permanent, miss.after),
                (permanent, (!permanent).then_some(Duration::from_secs(7))),
                "{status}"
            );
        }
        assert!(judge(StatusCode::NO_CONTENT, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn what_is_secret_is_said_to_nobody() {
        assert_eq!(hide("no route to https://s/T0/x", "https://s/T0/x"), "no route to (the address)");
    }
}
