//! Services that wake people, and rooms where they talk: PagerDuty, Alertmanager, Discord, Teams. What goes on until something
//! says that it is over opens an alarm there, and closes it.

use backstop_core::audit::Severity;
use backstop_core::notice::{Notice, What};
use backstop_core::time::Timestamp;
use backstop_engine::clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::web::{Post, hidden};
use super::{Sender, each};
use crate::config;
use crate::deliver::Miss;
use crate::message::{Item, Message};
use crate::secret::secret;

/// So long, in seconds, an alarm that nothing closes is open: that of a single moment, and that of what goes on, which is told
/// once and not repeated.
const MOMENT: i64 = 3_600;
const GOES_ON: i64 = 28 * 86_400;

/// So many seconds before it is over an alarm ends: our clock may be ahead of theirs, and an end to come is none.
const AHEAD: i64 = 60;

/// By <https://developer.pagerduty.com/docs/events-api-v2-overview>.
pub(super) struct Pagerduty {
    post: Post,
    key: String,
}

impl Pagerduty {
    pub fn new(to: &config::Pagerduty) -> Result<Self, String> {
        let url = format!("{}/v2/enqueue", to.server.trim_end_matches('/'));
        Ok(Self { post: Post::new(&url), key: secret(&to.key_file)? })
    }
}

impl Sender for Pagerduty {
    fn send(&self, message: &Message) -> Result<(), Miss> {
        each(message, |item| self.post.send(&[], event(item, &self.key).to_string().as_bytes()))
    }
}

fn event(item: &Item, key: &str) -> Value {
    let (notice, link) = (&item.notice, item.link.as_deref());
    let (matter, over) = notice.matter().unwrap_or_else(|| (once(notice), false));
    let mut event = json!({
        "routing_key": key,
        "event_action": if over { "resolve" } else { "trigger" },
        // The same for what opens it, what is sent again, and what closes it. At most 255 characters.
        "dedup_key": format!("backstop/{}/{matter}", notice.host).chars().take(255).collect::<String>(),
        "client": "Backstop",
        "payload": {
            "summary": item.title().chars().take(1_024).collect::<String>(),
            "source": source(notice),
            "severity": match notice.severity {
                Severity::Alert => "critical",
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Notice | Severity::Info | Severity::Debug => "info",
            },
            "timestamp": notice.at,
            "component": "backstop",
            "custom_details": { "text": notice.text(link) },
        },
    });
    if let Some(link) = link {
        event["links"] = json!([{ "href": link, "text": "look" }]);
    }
    event
}

/// By <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>.
pub(super) struct Alertmanager {
    post: Post,
    authorization: Option<String>,
}

impl Alertmanager {
    pub fn new(to: &config::Alertmanager) -> Result<Self, String> {
        let authorization = match (&to.user, &to.password_file) {
            (Some(user), Some(password)) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret(password)?))))
            }
            _ => None,
        };
        let url = format!("{}/api/v2/alerts", to.url.trim_end_matches('/'));
        Ok(Self { post: Post::new(&url), authorization })
    }
}

impl Sender for Alertmanager {
    fn send(&self, message: &Message) -> Result<(), Miss> {
        let headers: Vec<(&str, &str)> = self.authorization.iter().map(|v| ("authorization", v.as_str())).collect();
        each(message, |item| self.post.send(&headers, json!([alert(item, clock::now())]).to_string().as_bytes()))
    }
}

/// The labels say which alert it is, so what closes one has those of what opened it.
fn alert(item: &Item, now: Timestamp) -> Value {
    let (notice, link) = (&item.notice, item.link.as_deref());
    let from = |at: Timestamp, seconds: i64| Timestamp::new(at.secs.saturating_add(seconds), 0);
    let until = match notice.what {
        What::Banned { until, .. } => until,
        _ => notice.expires,
    };
    let (matter, starts, ends) = match notice.matter() {
        Some((matter, true)) => (matter, from(notice.at, -AHEAD - 1), from(notice.at, -AHEAD)),
        Some((matter, false)) => (matter, notice.at, until.unwrap_or_else(|| from(notice.at, GOES_ON))),
        // From now on, or it would be over when it comes late.
        None => (once(notice), notice.at, from(now.max(notice.at), MOMENT)),
    };
    let name = matter.split(' ').next().unwrap_or_default();
    let (name, rule) = match &notice.what {
        What::Alert { rule, .. } => ("alert", Some(rule)),
        _ if notice.matter().is_some() => (name, None),
        _ => ("event", None),
    };
    let mut alert = json!({
        "labels": { "alertname": format!("Backstop_{name}"), "instance": source(notice), "job": "backstop", "matter": matter },
        "annotations": {
            "severity": notice.severity.name(),
            "summary": item.title(),
            "description": notice.text(link),
        },
        "startsAt": starts,
        "endsAt": ends,
    });
    if let Some(rule) = rule {
        alert["labels"]["rule"] = json!(rule);
    }
    if let Some(link) = link {
        alert["generatorURL"] = json!(link);
    }
    alert
}

/// What a moment is called: an alert of which the same is told together as whatever is the same, so that one alarm stands for
/// all of it.
fn once(notice: &Notice) -> String {
    match (&notice.what, notice.same()) {
        (What::Alert { rule, .. }, Some((same, _))) => format!("alert {rule} {same}"),
        _ => notice.id.clone(),
    }
}

fn source(notice: &Notice) -> &str {
    if notice.host.is_empty() { "unknown" } else { &notice.host }
}

/// By <https://discord.com/developers/docs/resources/webhook#execute-webhook>.
pub(super) struct Discord(Post);

impl Discord {
    pub fn new(to: &config::Hidden) -> Result<Self, String> {
        hidden(&to.url_file).map(Self)
    }
}

impl Sender for Discord {
    fn send(&self, message: &Message) -> Result<(), Miss> {
        self.0.send(&[], discord(message).to_string().as_bytes())
    }
}

fn discord(message: &Message) -> Value {
    // In a block of code no name is markup; nothing in it can end the block, and nobody is called by it. 2,000 are the most.
    let text = message.text(1_900).replace('`', "'");
    json!({ "content": format!("```\n{text}\n```"), "allowed_mentions": { "parse": [] }, "flags": 4 })
}

/// By <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>: a card in a message.
pub(super) struct Teams(Post);

impl Teams {
    pub fn new(to: &config::Hidden) -> Result<Self, String> {
        hidden(&to.url_file).map(Self)
    }
}

impl Sender for Teams {
    fn send(&self, message: &Message) -> Result<(), Miss> {
        self.0.send(&[], teams(message).to_string().as_bytes())
    }
}

fn teams(message: &Message) -> Value {
    // Runs of text have no markup, unlike a block of it.
    let line = |text: &str| json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text, "fontType": "Monospace" }] });
    // 28 KB are the most, with what stands around each line.
    let body: Vec<Value> = message.text(8_000).lines().map(line).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(what: What) -> Notice {
        let at = Timestamp::new(1_800_000_000, 0);
        Notice { code: Some("0a1b2c3d".to_owned()), severity: Severity::Warning, what, ..Notice::test("db-1", at) }
    }

    #[test]
    fn what_is_over_closes_what_it_opened() {
        let asked = Notice {
            expires: Some(Timestamp::new(1_800_001_800, 0)),
            ..notice(What::Asked { needs: "2 people".to_owned() })
        };
        let ended = notice(What::Ended { how: "denied".to_owned() });
        let of = |notice: &Notice, link: &str| Item::one(notice.clone(), Some(link.to_owned()));
        let [opens, closes] = [&asked, &ended].map(|notice| event(&of(notice, "https://c"), "k"));
        assert_eq!((&opens["event_action"], &closes["event_action"]), (&json!("trigger"), &json!("resolve")));
        assert_eq!(opens["dedup_key"], closes["dedup_key"]);
        assert_eq!(opens["payload"]["severity"], "warning");
        let [opens, closes] = [&asked, &ended].map(|notice| alert(&of(notice, "https://c"), notice.at));
        assert_eq!(opens["labels"], closes["labels"]);
        assert_eq!(
            (&opens["endsAt"], &closes["endsAt"]),
            (&json!("2027-01-15T08:30:00Z"), &json!("2027-01-15T07:59:00Z"))
        );
        assert_eq!(opens["labels"]["alertname"], "Backstop_request");
        let away = |back| {
            let (since, now) = (Timestamp::new(9, 0), Timestamp::new(300, 0));
            event(&of(&Notice::local("db-1", What::Away { back }, Severity::Alert, "x", since, now), "https://c"), "k")
        };
        assert_eq!(away(false)["dedup_key"], away(true)["dedup_key"]);
        assert_eq!(away(false)["payload"]["severity"], "critical");
        // What comes late is not over when it comes.
        let late = alert(&of(&notice(What::Denied), "https://c"), Timestamp::new(1_800_007_200, 0));
        assert_eq!(
            (&late["startsAt"], &late["endsAt"]),
            (&json!("2027-01-15T08:00:00Z"), &json!("2027-01-15T11:00:00Z"))
        );
        // What a rule raised is found by it.
        let raised = What::Alert { again: 60, rule: "deletes-trees".to_owned(), same: "s".to_owned() };
        let raised = Item { more: 4, ..of(&notice(raised), "https://c") };
        let alarm = alert(&raised, raised.notice.at);
        assert_eq!(
            (&alarm["labels"]["alertname"], &alarm["labels"]["rule"]),
            (&json!("Backstop_alert"), &json!("deletes-trees"))
        );
        let again = Item { notice: Notice { id: "n-other".to_owned(), ..raised.notice.clone() }, ..raised.clone() };
        assert_eq!(alert(&again, again.notice.at)["labels"], alarm["labels"], "one alarm for what is the same");
        assert_eq!(event(&again, "k")["dedup_key"], event(&raised, "k")["dedup_key"]);
        let each = What::Alert { again: 0, rule: "undone".to_owned(), same: "s".to_owned() };
        let each = |id: &str| event(&of(&Notice { id: id.to_owned(), ..notice(each.clone()) }, "https://c"), "k");
        assert_ne!(each("n-1")["dedup_key"], each("n-2")["dedup_key"], "where each is told, each is an alarm");
        assert!(alarm["annotations"]["summary"].as_str().is_some_and(|s| s.ends_with("(and 4 more like it)")));
        // A moment is an alarm of its own.
        let once = event(&of(&notice(What::Denied), "https://c"), "k");
        assert_eq!(
            (&once["event_action"], &once["dedup_key"]),
            (&json!("trigger"), &json!("backstop/db-1/n-test-1800000000"))
        );
    }

    #[test]
    fn no_name_is_markup_or_calls_anybody() {
        let notice = Notice { summary: "``` @everyone **x** <@1>".to_owned(), ..notice(What::Test) };
        let message = Message::one(notice, None);
        let said = discord(&message);
        let text = said["content"].as_str().expect("text");
        assert_eq!(text.matches("```").count(), 2);
        assert!(text.len() < 2_000 && text.starts_with("```\n") && text.ends_with("\n```"));
        assert_eq!(said["allowed_mentions"], json!({ "parse": [] }));
        let card = teams(&message).to_string();
        assert!(!card.contains("TextBlock\",\"text\"") && card.contains("TextRun"), "{card}");
    }
}
