//! The ways that are an HTTP POST: a webhook, Slack, ntfy.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use backstop_core::audit::Severity;
use serde_json::json;

use super::{PATIENCE, Sender, each};
use crate::config;
use crate::deliver::Miss;
use crate::http::{Http, judge};
use crate::message::Message;
use crate::payload::{self, Key};
use crate::secret::secret;
use crate::settings::address;
use crate::trust::Trust;

/// So many bytes a text of Slack's may have (3,000 in a block), and a message of ntfy's (4,096).
const ROOM: (usize, usize) = (2_900, 4_000);

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
    fn send(&self, message: &Message) -> Result<(), Miss> {
        each(message, |item| {
            let (id, body) = (&*item.notice.id, payload::of(item));
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let signature = self.key.sign(id, i64::try_from(now).unwrap_or_default(), &body);
            let at = now.to_string();
            let headers = [("webhook-id", id), ("webhook-timestamp", &*at), ("webhook-signature", &*signature)];
            self.post.send(&headers, &body)
        })
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
    fn send(&self, message: &Message) -> Result<(), Miss> {
        // `plain_text`: no name in it can become a link, a mention or a picture. The notification's line is markup.
        let text = message.text(ROOM.0);
        let body = json!({
            "text": escaped(&message.title()),
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
    fn send(&self, message: &Message) -> Result<(), Miss> {
        let mut body = json!({
            "topic": self.topic,
            "title": message.title(),
            "message": message.text(ROOM.1),
            // 4 is high, 3 the default.
            "priority": if message.asks() || message.severity() <= Severity::Error { 4 } else { 3 },
        });
        if let Some(link) = message.link() {
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
