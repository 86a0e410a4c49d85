//! The ways that are an HTTP POST: a webhook, Slack, ntfy.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backstop_core::notice::{Notice, What};
use serde_json::json;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::{PATIENCE, Sender, secret};
use crate::config;
use crate::deliver::Miss;
use crate::payload::{self, Key};

/// A POST that is no more than its answer's status.
struct Post {
    agent: Agent,
    url: String,
}

impl Post {
    fn new(url: &str) -> Self {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            // Somewhere else than the settings say nothing is sent.
            .max_redirects(0)
            .http_status_as_error(false)
            // What is told is told to whom the settings name, past nobody else.
            .proxy(None)
            .user_agent(concat!("backstop-notify/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: agent.new_agent(), url: url.to_owned() }
    }

    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Miss> {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send(body).map_err(|e| Miss::again(hide(&e.to_string(), &self.url)))?;
        judge(answer.status(), answer.headers())
    }
}

/// Whether a message has arrived, by the answer (RFC 9110, RFC 6585). Final is only what speaks of the message itself, or
/// says that nobody is there any more: a token that expired, or a page in between, may be mended within the day.
fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Miss> {
    let why = format!("the server answers {status}");
    let after = headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    match status.as_u16() {
        200..=299 => Ok(()),
        400 | 410 | 413 | 415 | 422 => Err(Miss::never(why)),
        _ => Err(Miss { after, ..Miss::again(why) }),
    }
}

pub(super) struct Webhook {
    post: Post,
    key: Key,
}

impl Webhook {
    pub fn new(config: &config::Webhook) -> Result<Self, String> {
        let key = secret(&config.secret_file)?;
        let key = Key::parse(&key).map_err(|why| format!("{}: {why}", config.secret_file.display()))?;
        Ok(Self { post: Post::new(&config.url), key })
    }
}

impl Sender for Webhook {
    fn send(&self, notice: &Notice, link: Option<&str>) -> Result<(), Miss> {
        let body = payload::of(notice, link);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let signature = self.key.sign(&notice.id, i64::try_from(now).unwrap_or_default(), &body);
        let at = now.to_string();
        let headers = [("webhook-id", &*notice.id), ("webhook-timestamp", &*at), ("webhook-signature", &*signature)];
        self.post.send(&headers, &body)
    }
}

pub(super) struct Slack(Post);

impl Slack {
    pub fn new(config: &config::Slack) -> Result<Self, String> {
        let url = secret(&config.url_file)?;
        // Without the address itself: it is the secret.
        config::address(&url).map_err(|_| format!("{} holds no https address", config.url_file.display()))?;
        Ok(Self(Post::new(&url)))
    }
}

impl Sender for Slack {
    fn send(&self, notice: &Notice, link: Option<&str>) -> Result<(), Miss> {
        // `plain_text`: no name in it can become a link, a mention or a picture. The notification's line is markup.
        let text = notice.text(link);
        let body = json!({
            "text": escaped(&notice.title()),
            "blocks": [{ "type": "section", "text": { "type": "plain_text", "text": text, "emoji": false } }],
            "unfurl_links": false,
            "unfurl_media": false,
        });
        self.0.send(&[], body.to_string().as_bytes())
    }
}

/// Some errors of the library name the address, which may be a secret.
fn hide(text: &str, secret: &str) -> String {
    text.replace(secret, "(the address)")
}

/// Slack's three characters of markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) struct Ntfy {
    post: Post,
    topic: String,
    bearer: Option<String>,
}

impl Ntfy {
    pub fn new(config: &config::Ntfy) -> Result<Self, String> {
        let bearer = config.token_file.as_deref().map(secret).transpose()?.map(|token| format!("Bearer {token}"));
        Ok(Self { post: Post::new(&config.server), topic: config.topic.clone(), bearer })
    }
}

impl Sender for Ntfy {
    fn send(&self, notice: &Notice, link: Option<&str>) -> Result<(), Miss> {
        let asked = matches!(notice.what, What::Asked { .. });
        let mut body = json!({
            "topic": self.topic,
            "title": notice.title(),
            "message": notice.text(link),
            // 4 is high, 3 the default.
            "priority": if asked { 4 } else { 3 },
        });
        if let Some(link) = link {
            body["click"] = link.into();
        }
        let headers: Vec<(&str, &str)> = self.bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.post.send(&headers, body.to_string().as_bytes())
    }
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
    fn what_is_secret_is_said_to_nobody_and_markup_is_none() {
        assert_eq!(hide("no route to https://s/T0/x", "https://s/T0/x"), "no route to (the address)");
        assert_eq!(escaped("<!channel> & <http://x|y>"), "&lt;!channel&gt; &amp; &lt;http://x|y&gt;");
    }
}
