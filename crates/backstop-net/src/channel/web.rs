//! The ways that are an HTTP POST: a webhook, Slack, ntfy.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use backstop_core::notice::{Notice, What};
use serde_json::json;

use super::{PATIENCE, Sender};
use crate::config;
use crate::deliver::Miss;
use crate::http::{Http, judge};
use crate::payload::{self, Key};
use crate::secret::secret;
use crate::settings::address;
use crate::trust::Trust;

/// A POST that is no more than its answer's status.
pub(crate) struct Post(Http);

impl Post {
    pub fn new(url: &str) -> Self {
        Self(Http::new(url, "backstop-notify", PATIENCE, &Trust::default()))
    }

    pub fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Miss> {
        let answer = self.0.post(headers, "application/json", body)?;
        judge(answer.status, &answer.headers)
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

/// To an address that is a secret.
pub(crate) fn hidden(url_file: &Path) -> Result<Post, String> {
    let url = secret(url_file)?;
    // Without the address itself.
    address(&url).map_err(|_| format!("{} holds no https address", url_file.display()))?;
    Ok(Post::new(&url))
}

impl Slack {
    pub fn new(to: &config::Hidden) -> Result<Self, String> {
        hidden(&to.url_file).map(Self)
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
    fn markup_is_none() {
        assert_eq!(escaped("<!channel> & <http://x|y>"), "&lt;!channel&gt; &amp; &lt;http://x|y&gt;");
    }
}
