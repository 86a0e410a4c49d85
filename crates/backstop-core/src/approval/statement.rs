//! The text that an approver signs. Fixed lines in a fixed order, ASCII, each ended by a line feed: the same
//! bytes for an SSH key and a passkey, and one spelling only. Decision, person and key are inside, so that a
//! signature can't be taken for another's, nor for another answer.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::is_name;
use crate::digest::Digest;
use crate::time::Timestamp;

/// The SSHSIG namespace of a statement: `ssh-keygen -Y sign -n approval@backstop`.
pub const NAMESPACE: &str = "approval@backstop";
/// A statement that was prepared longer ago than this, in seconds, is not taken: whoever signs has just looked.
pub const FRESH: i64 = 600;
/// The longest summary, in bytes.
pub const SUMMARY: usize = 500;

const TITLE: &str = "backstop approval v1";

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Let this very effect through, once.
    ApproveOnce,
    /// The same alone, in an emergency, with a security key: another person has to review it afterwards.
    BreakGlass,
    /// Never this effect.
    Deny,
    /// Of somebody's breaking the glass: it was right.
    Justified,
    /// Take one's approval back, before it is executed.
    Revoke,
    /// Of somebody's breaking the glass: it was wrong.
    Unjustified,
}

impl Choice {
    /// Every choice.
    pub const ALL: [Self; 6] =
        [Self::ApproveOnce, Self::BreakGlass, Self::Deny, Self::Justified, Self::Revoke, Self::Unjustified];

    /// The word in a statement.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApproveOnce => "approve-once",
            Self::BreakGlass => "break-glass",
            Self::Deny => "deny",
            Self::Justified => "justified",
            Self::Revoke => "revoke",
            Self::Unjustified => "unjustified",
        }
    }

    /// True where it lets something through.
    pub const fn lets_through(self) -> bool {
        matches!(self, Self::ApproveOnce | Self::BreakGlass)
    }

    /// True where it is about what somebody did alone.
    pub const fn reviews(self) -> bool {
        matches!(self, Self::Justified | Self::Unjustified)
    }

    /// What has to be said with it, as lines of their own behind the others.
    pub const fn grounds(self) -> &'static [&'static str] {
        match self {
            Self::BreakGlass => &["ticket", "reason"],
            Self::Justified | Self::Unjustified => &["reason"],
            Self::ApproveOnce | Self::Deny | Self::Revoke => &[],
        }
    }
}

/// What somebody means to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// What is decided.
    pub choice: Choice,
    /// Why, where the choice has to be answered for.
    pub reason: Option<String>,
    /// Where the emergency is dealt with, where there is one.
    pub ticket: Option<String>,
}

impl From<Choice> for Word {
    /// With nothing to answer for.
    fn from(choice: Choice) -> Self {
        Self { choice, reason: None, ticket: None }
    }
}

impl Word {
    /// With the words of whoever decides, spelled as a statement spells them.
    pub fn with(choice: Choice, reason: Option<&str>, ticket: Option<&str>) -> Self {
        Self { choice, reason: reason.map(summary), ticket: ticket.map(summary) }
    }

    /// Whether it can be signed.
    ///
    /// # Errors
    /// What has to be said with it and is not, or the other way round.
    pub fn check(&self) -> Result<(), StatementError> {
        for (key, said) in [("ticket", &self.ticket), ("reason", &self.reason)] {
            let wanted = self.choice.grounds().contains(&key);
            if said.is_some() != wanted || said.as_ref().is_some_and(|s| !is_summary(s)) {
                return Err(StatementError::Value(key));
            }
        }
        Ok(())
    }
}

/// 32 bytes that the executing machine drew for one statement; in text 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 32]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Digest(self.0).hex())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

impl Nonce {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        Digest::parse(&format!("sha256:{text}")).map(|d| Self(d.0))
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a nonce is 64 hex digits in lower case"))
    }
}

/// One person's decision about one request, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What is decided.
    pub choice: Choice,
    /// The digest of the request: what was asked, by whom, where, and its effects.
    pub request: Digest,
    /// The digest of the very text that the approver was shown.
    pub display: Digest,
    /// The machine that executes.
    pub host: String,
    /// The effect in one line, printable ASCII, at most [`SUMMARY`] bytes.
    pub summary: String,
    /// Who decides.
    pub person: String,
    /// By which of the person's keys: its fingerprint, `SHA256:…`.
    pub credential: String,
    /// When the executing machine prepared the statement.
    pub prepared_at: Timestamp,
    /// When the request expires.
    pub expires: Timestamp,
    /// Single use.
    pub nonce: Nonce,
    /// The ticket of the emergency; only with [`Choice::BreakGlass`], and of the summary's form.
    pub ticket: Option<String>,
    /// Why; only with that and with reviews, and of the summary's form.
    pub reason: Option<String>,
}

/// Why a text is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A line is missing, doubled, in another place, or empty.
    #[error("line {line} of the statement is not \"{expected} …\"")]
    Line {
        /// From 1.
        line: usize,
        /// The word that it begins with.
        expected: &'static str,
    },
    /// A value that can't be, or in another spelling than the one there is.
    #[error("the statement's {0} is not spelled as Backstop spells it")]
    Value(&'static str),
    /// Anything before, between or behind the lines.
    #[error("the statement has something beside its lines")]
    More,
}

/// The words at the beginnings of the lines, in order.
const KEYS: [&str; 10] =
    ["decision", "request", "display", "host", "summary", "person", "credential", "prepared-at", "expires", "nonce"];

impl Statement {
    /// The bytes that are signed.
    pub fn text(&self) -> String {
        let values = [
            self.choice.name().to_owned(),
            self.request.to_string(),
            self.display.to_string(),
            self.host.clone(),
            self.summary.clone(),
            self.person.clone(),
            self.credential.clone(),
            self.prepared_at.to_string(),
            self.expires.to_string(),
            self.nonce.to_string(),
        ];
        let lines = KEYS.iter().zip(values).map(|(key, value)| format!("{key} {value}\n"));
        let grounds = [("ticket", &self.ticket), ("reason", &self.reason)];
        let grounds = grounds.iter().filter_map(|(key, said)| Some(format!("{key} {}\n", said.as_ref()?)));
        std::iter::once(format!("{TITLE}\n")).chain(lines).chain(grounds).collect()
    }

    /// Reads what `text` writes, and nothing else.
    ///
    /// # Errors
    /// Where a single byte is other than `text` would write it.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        let mut lines = text.split('\n');
        if lines.next() != Some(TITLE) {
            return Err(StatementError::Line { line: 1, expected: TITLE });
        }
        let mut value = |at: usize| {
            let line = lines.next().and_then(|l| l.strip_prefix(KEYS[at])?.strip_prefix(' '));
            line.ok_or(StatementError::Line { line: at + 2, expected: KEYS[at] })
        };
        let (choice, request, display) = (value(0)?, value(1)?, value(2)?);
        let (host, summary, person, credential) = (value(3)?, value(4)?, value(5)?, value(6)?);
        let (prepared, expires, nonce) = (value(7)?, value(8)?, value(9)?);
        let wrong = StatementError::Value;
        let choice = Choice::ALL.into_iter().find(|c| c.name() == choice).ok_or(wrong("decision"))?;
        let mut said = |key: &'static str| {
            if !choice.grounds().contains(&key) {
                return Ok(None);
            }
            let line = lines.next().and_then(|l| l.strip_prefix(key)?.strip_prefix(' ')).filter(|s| is_summary(s));
            line.map(|line| Some(line.to_owned())).ok_or(wrong(key))
        };
        let (ticket, reason) = (said("ticket")?, said("reason")?);
        let statement = Self {
            choice,
            request: Digest::parse(request).ok_or(wrong("request"))?,
            display: Digest::parse(display).ok_or(wrong("display"))?,
            host: Some(host).filter(|h| is_name(h)).ok_or(wrong("host"))?.to_owned(),
            summary: Some(summary).filter(|s| is_summary(s)).ok_or(wrong("summary"))?.to_owned(),
            person: Some(person).filter(|p| is_name(p)).ok_or(wrong("person"))?.to_owned(),
            credential: Some(credential).filter(|c| is_fingerprint(c)).ok_or(wrong("credential"))?.to_owned(),
            prepared_at: Timestamp::parse(prepared).ok_or(wrong("prepared-at"))?,
            expires: Timestamp::parse(expires).ok_or(wrong("expires"))?,
            nonce: Nonce::parse(nonce).ok_or(wrong("nonce"))?,
            ticket,
            reason,
        };
        // Covers what the parts can't: the end, and other spellings of the same moment.
        if statement.text() == text { Ok(statement) } else { Err(StatementError::More) }
    }
}

/// True for a text that can be a statement's summary.
pub(super) fn is_summary(text: &str) -> bool {
    (1..=SUMMARY).contains(&text.len()) && text.trim() == text && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// `SHA256:` and 43 digits of base64, as OpenSSH prints it.
fn is_fingerprint(text: &str) -> bool {
    let digit = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    text.strip_prefix("SHA256:").is_some_and(|d| d.len() == 43 && d.bytes().all(digit))
}

/// Any text as a summary: what is not printable ASCII is spelled out as `\u{…}`, and a text that is too long
/// is cut, with an ellipsis in ASCII. Never empty.
pub fn summary(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        let spelled = match c {
            ' '..='~' => c.to_string(),
            c => c.escape_unicode().to_string(),
        };
        if out.len() + spelled.len() > SUMMARY - 3 {
            out.push_str("...");
            break;
        }
        out.push_str(&spelled);
    }
    let out = out.trim();
    if out.is_empty() { "(nothing)".to_owned() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Statement {
        Statement {
            choice: Choice::ApproveOnce,
            request: Digest([1; 32]),
            display: Digest([2; 32]),
            host: "db-1".to_owned(),
            summary: "deletes 5231 files, 3.0 GB under /srv/db/data (via /var/www/temp)".to_owned(),
            person: "anna".to_owned(),
            credential: format!("SHA256:{}", "a".repeat(43)),
            prepared_at: Timestamp::parse("2026-11-22T16:20:00Z").expect("a time"),
            expires: Timestamp::parse("2026-11-22T16:50:00Z").expect("a time"),
            nonce: Nonce([3; 32]),
            ticket: None,
            reason: None,
        }
    }

    fn alone() -> Statement {
        let (ticket, reason) = (Some("INC-7".to_owned()), Some("the disk is full".to_owned()));
        Statement { choice: Choice::BreakGlass, ticket, reason, ..sample() }
    }

    #[test]
    fn what_is_decided_alone_is_answered_for_in_what_is_signed() {
        let text = alone().text();
        assert!(
            text.ends_with(&format!("nonce {}\nticket INC-7\nreason the disk is full\n", "03".repeat(32))),
            "{text}"
        );
        assert_eq!(Statement::parse(&text), Ok(alone()));
        let review = Statement { choice: Choice::Unjustified, ticket: None, ..alone() };
        assert_eq!(Statement::parse(&review.text()), Ok(review));
        for (from, to) in [
            ("ticket INC-7\n", ""),
            ("reason the disk is full\n", ""),
            ("ticket INC-7\nreason the disk is full\n", "reason the disk is full\nticket INC-7\n"),
            ("break-glass", "approve-once"),
            ("break-glass", "justified"),
            ("the disk", " the disk"),
        ] {
            let other = text.replacen(from, to, 1);
            assert!(other != text && Statement::parse(&other).is_err(), "{to:?} passed");
        }
        for (word, sound) in [
            (Word::from(Choice::Deny), true),
            (Word::from(Choice::BreakGlass), false),
            (Word::with(Choice::BreakGlass, Some("x"), None), false),
            (Word::with(Choice::BreakGlass, Some("the\nd\u{ef}sk"), Some("INC-7")), true),
            (Word::with(Choice::Justified, Some("x"), None), true),
            (Word::with(Choice::Justified, Some("x"), Some("of no use")), false),
            (Word { reason: Some("x".to_owned()), ..Word::from(Choice::Deny) }, false),
            (Word { reason: Some("a\nb".to_owned()), ..Word::from(Choice::Justified) }, false),
        ] {
            assert_eq!(word.check().is_ok(), sound, "{word:?}");
        }
    }

    #[test]
    fn the_text_is_this_very_one() {
        let expected = format!(
            "backstop approval v1\ndecision approve-once\nrequest sha256:{}\ndisplay sha256:{}\nhost db-1\n\
             summary deletes 5231 files, 3.0 GB under /srv/db/data (via /var/www/temp)\nperson anna\n\
             credential SHA256:{}\nprepared-at 2026-11-22T16:20:00Z\nexpires 2026-11-22T16:50:00Z\nnonce {}\n",
            "01".repeat(32),
            "02".repeat(32),
            "a".repeat(43),
            "03".repeat(32)
        );
        assert_eq!(sample().text(), expected);
        assert_eq!(Statement::parse(&expected), Ok(sample()));
    }

    #[test]
    fn every_byte_counts() {
        let text = sample().text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_ne!(Statement::parse(&changed), Ok(sample()), "byte {at}");
            let cut = format!("{}{}", &text[..at], &text[at + 1..]);
            assert_ne!(Statement::parse(&cut), Ok(sample()), "without byte {at}");
        }
    }

    #[test]
    fn what_is_spelled_otherwise_is_refused() {
        let text = sample().text();
        for (from, to) in [
            ("decision approve-once", "decision approve"),
            ("decision approve-once", "decision  approve-once"),
            ("backstop approval v1", "backstop approval v2"),
            ("16:20:00Z", "16:20:00.0Z"),
            ("2026-11-22T16:50", "2026-11-22T016:50"),
            ("host db-1", "host db 1"),
            ("host db-1\n", "host db-1\r\n"),
            ("person anna", "person аnna"),
            ("credential SHA256:", "credential MD5:"),
            ("summary deletes", "summary  deletes"),
            ("summary deletes", "summary \u{202e}deletes"),
            ("nonce 03", "nonce 0G"),
            ("sha256:01", "sha256:0A"),
            ("person anna\n", ""),
            ("person anna\n", "person anna\nperson anna\n"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text, "{from}");
            assert!(Statement::parse(&other).is_err(), "{to:?} passed");
        }
        for more in [format!("{text}\n"), format!("\n{text}"), format!("{text}x"), text.trim_end().to_owned()] {
            assert!(Statement::parse(&more).is_err(), "{more:?} passed");
        }
    }

    proptest! {
        #[test]
        fn any_summary_fits_a_statement(text in any::<String>()) {
            let statement = Statement { summary: summary(&text), ..sample() };
            prop_assert_eq!(Statement::parse(&statement.text()), Ok(statement));
        }

        #[test]
        fn no_text_is_read_but_its_own(at in 0..700usize, cut in 0..80usize, put in "[ -~\n]{0,40}") {
            let text = sample().text();
            let at = at % text.len();
            let end = (at + cut).min(text.len());
            let edited = format!("{}{put}{}", &text[..at], &text[end..]);
            if let Ok(statement) = Statement::parse(&edited) {
                prop_assert_eq!(statement.text(), edited);
            }
        }
    }
}
