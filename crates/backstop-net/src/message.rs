//! What is sent at a time: a notice, or several that came close together; each may stand for more that are the same.

use backstop_core::audit::Severity;
use backstop_core::canon;
use backstop_core::digest::Digest;
use backstop_core::notice::{Notice, What};
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The last line of each text.
const LAST: &str = "Nothing can be approved by answering this message.\n";

/// A notice, and how many more it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The notice: of several that are the same the last.
    pub notice: Notice,
    /// How many more there were.
    #[serde(default)]
    pub more: u64,
    /// Since when.
    pub since: Timestamp,
    /// Where it can be looked at.
    #[serde(default)]
    pub link: Option<String>,
}

impl Item {
    /// One that stands for itself.
    pub fn one(notice: Notice, link: Option<String>) -> Self {
        Self { more: 0, since: notice.at, notice, link }
    }

    /// In one line.
    pub fn title(&self) -> String {
        let more = if self.more == 0 { String::new() } else { format!(" (and {} more like it)", self.more) };
        format!("{}{more}", self.notice.title())
    }

    /// In full, without the last line.
    fn text(&self) -> String {
        let text = self.notice.text(self.link.as_deref());
        let text = text.strip_suffix(LAST).unwrap_or(&text);
        let text = text.strip_prefix(&self.notice.title()).unwrap_or(text);
        let since = if self.more == 0 { String::new() } else { format!("  since    {}\n", self.since) };
        format!("{}{text}{since}", self.title())
    }
}

/// What is sent at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<Item>);

impl Message {
    /// A message of these; none of none.
    pub fn of(items: Vec<Item>) -> Option<Self> {
        (!items.is_empty()).then_some(Self(items))
    }

    /// A message of one notice.
    pub fn one(notice: Notice, link: Option<String>) -> Self {
        Self(vec![Item::one(notice, link)])
    }

    /// What is in it, in the order of the log.
    pub fn items(&self) -> &[Item] {
        &self.0
    }

    /// Names it: the same for the same notices, whenever they are sent again, and another for others.
    pub fn id(&self) -> String {
        match &self.0[..] {
            [item] => item.notice.id.clone(),
            items => {
                let ids: Vec<&str> = items.iter().map(|item| item.notice.id.as_str()).collect();
                format!("g-{}", &Digest::of("backstop/message/1", &[&canon::line(&ids)]).hex()[..16])
            }
        }
    }

    /// The headline: of the gravest, the first among equals.
    pub fn title(&self) -> String {
        let first = self.0.iter().min_by_key(|item| item.notice.severity).map_or_else(String::new, Item::title);
        match self.0.len() {
            0 | 1 => first,
            more => format!("{first} (and {} more)", more - 1),
        }
    }

    /// All of it in so many bytes, or what fits: of what does not the headlines, and how many are left out.
    pub fn text(&self, room: usize) -> String {
        let mut text = String::new();
        let left =
            |text: &str, rest: usize| room.saturating_sub(text.len() + LAST.len() + if rest == 0 { 0 } else { 40 });
        for (n, item) in self.0.iter().enumerate() {
            let rest = self.0.len() - n - 1;
            let (full, title) = (item.text(), format!("{}\n", item.title()));
            match [full, title].into_iter().find(|part| part.len() <= left(&text, rest)) {
                Some(part) => text.push_str(&part),
                // Of a single one as much as there is room for.
                None if n == 0 => {
                    text.push_str(&item.text().chars().take(left(&text, rest).saturating_sub(1)).collect::<String>());
                    text.push('\n');
                }
                None => {
                    text.push_str(&format!("and {} more: backstop log\n", rest + 1));
                    break;
                }
            }
        }
        text.push_str(LAST);
        text
    }

    /// How much the gravest of it matters.
    pub fn severity(&self) -> Severity {
        self.0.iter().map(|item| item.notice.severity).min().unwrap_or(Severity::Debug)
    }

    /// True where somebody is asked.
    pub fn asks(&self) -> bool {
        self.0.iter().any(|item| matches!(item.notice.what, What::Asked { .. }))
    }

    /// Where it can be looked at: the first of those places.
    pub fn link(&self) -> Option<&str> {
        self.0.iter().find_map(|item| item.link.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: u64, more: u64) -> Item {
        let at = Timestamp::new(1_800_000_000, 0);
        let what = What::Alert { again: 60, rule: format!("r{n}"), same: "s".to_owned() };
        let notice =
            Notice { id: format!("n-{n}"), entry: n, summary: "x".repeat(20), what, ..Notice::test("db-1", at) };
        Item { more, ..Item::one(notice, None) }
    }

    #[test]
    fn one_is_told_as_it_is_and_several_are_listed() {
        let one = Message::one(item(1, 0).notice, None);
        assert_eq!((one.id().as_str(), one.title()), ("n-1", item(1, 0).notice.title()));
        assert_eq!(one.text(4_000), item(1, 0).notice.text(None));
        let folded = Message::of(vec![item(1, 41)]).expect("a message");
        assert_eq!(folded.title(), "[db-1] alert r1: xxxxxxxxxxxxxxxxxxxx (and 41 more like it)");
        assert!(folded.text(4_000).contains("  since    2027-01-15T08:00:00Z\n"), "{}", folded.text(4_000));
        let several = Message::of((1..4).map(|n| item(n, 0)).collect()).expect("a message");
        assert_eq!(several.title(), "[db-1] alert r1: xxxxxxxxxxxxxxxxxxxx (and 2 more)");
        assert_eq!(several.text(4_000).matches("alert r").count(), 3);
        assert_eq!(several.text(4_000).matches("Nothing can be approved").count(), 1);
        let other = Message::of((1..3).map(|n| item(n, 0)).collect()).expect("a message");
        assert_ne!(several.id(), other.id());
        assert_eq!(several.id(), several.clone().id());
        assert!(Message::of(Vec::new()).is_none());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let many = Message::of((0..200).map(|n| item(n, 0)).collect()).expect("a message");
        for room in [300, 700, 1_900, 4_000] {
            let text = many.text(room);
            let listed = text.matches("alert r").count();
            assert!(text.len() <= room, "{room}: {}", text.len());
            assert!(text.contains(&format!("and {} more: backstop log\n", 200 - listed)), "{text}");
        }
        let long = Item { notice: Notice { summary: "y".repeat(9_000), ..item(1, 0).notice }, ..item(1, 0) };
        let text = Message::of(vec![long]).expect("a message").text(500);
        assert!(text.len() <= 500 && text.ends_with(LAST), "{}", text.len());
        let grave = Item { notice: Notice { severity: Severity::Error, ..item(7, 0).notice }, ..item(7, 0) };
        let several = Message::of(vec![item(1, 0), grave]).expect("a message");
        assert_eq!(several.title(), "[db-1] alert r7: xxxxxxxxxxxxxxxxxxxx (and 1 more)");
    }
}
