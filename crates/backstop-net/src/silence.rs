//! Silences: what people do not want to be told of for a while. A file beside the notifier's settings, which whoever may write
//! those may write. That there is one, who made it, why and until when, every channel is told that it could keep anything from,
//! and at its end how much it kept back. What waits for people, what every channel is told, and what is an alert can't be silenced.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use backstop_core::audit::Severity;
use backstop_core::canon;
use backstop_core::classes::Pattern;
use backstop_core::digest::Digest;
use backstop_core::notice::{Delivery, Kind, Notice, What};
use backstop_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::place::replace;

/// The file's name.
pub const FILE: &str = "silences.json";

/// What may be silenced.
pub const MAY: [Kind; 5] = [Kind::Alert, Kind::Denied, Kind::Disk, Kind::Guard, Kind::Policy];

/// The longest that one may last, in minutes: a week.
pub const LONGEST: u64 = 7 * 24 * 60;

/// More at a time nobody oversees.
const MOST: usize = 64;

/// One that is over is listed for so long, in seconds: its end is told by then.
const OVER: i64 = 86_400;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// The user who made it.
    pub by: u32,
    /// What people call it by.
    pub id: String,
    /// What it keeps back, by its kind; where that is none, by the rules alone.
    #[serde(default)]
    pub kinds: BTreeSet<Kind>,
    /// From when on.
    pub made_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Alerts of these rules.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Until when.
    pub until: Timestamp,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silences {
    /// In the order in which they were made.
    pub silences: Vec<Silence>,
    /// The format's version: 1.
    pub version: u32,
}

impl Silence {
    /// A new one.
    ///
    /// # Errors
    /// What of it can't be.
    pub fn new(
        (kinds, rules): (BTreeSet<Kind>, Vec<String>),
        reason: &str,
        minutes: u64,
        by: u32,
        now: Timestamp,
    ) -> Result<Self, String> {
        if kinds.is_empty() && rules.is_empty() {
            return Err("it would keep nothing back: --rule NAME, or --kind KIND".to_owned());
        }
        if let Some(kind) = kinds.iter().find(|kind| !MAY.contains(kind)) {
            return Err(format!("{} can't be silenced: somebody waits for people there", name(*kind)));
        }
        rules.iter().try_for_each(|rule| Pattern::parse(rule).map(drop))?;
        if !(1..=LONGEST).contains(&minutes) {
            return Err(format!("a silence lasts 1 to {LONGEST} minutes, which is a week"));
        }
        if reason.trim().is_empty() || Delivery::reason(reason) != reason {
            return Err("the reason has to be one line of plain characters, at most 300".to_owned());
        }
        let until = Timestamp::new(now.secs.saturating_add(i64::try_from(minutes).unwrap_or(i64::MAX) * 60), 0);
        let mut new = Self { by, id: String::new(), kinds, made_at: now, reason: reason.to_owned(), rules, until };
        new.id = Digest::of("backstop/silence/1", &[&canon::line(&new)]).hex()[..6].to_owned();
        Ok(new)
    }

    /// True where people are not told of this by reason of it.
    pub fn covers(&self, notice: &Notice) -> bool {
        // What ends something is told to whoever was told that it began.
        let may = notice.opener().is_none()
            && notice.what.kind().is_some_and(|kind| MAY.contains(&kind))
            && notice.severity > Severity::Alert;
        let by_rule = match &notice.what {
            What::Alert { rule, .. } => {
                self.rules.iter().any(|r| Pattern::parse(r).is_ok_and(|pattern| pattern.covers(rule.as_bytes())))
            }
            _ => false,
        };
        self.holds(notice.at) && may && (by_rule || notice.what.kind().is_some_and(|kind| self.kinds.contains(&kind)))
    }

    /// True at a moment at which it holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.made_at <= now && now < self.until
    }

    /// What it keeps back, in words.
    pub fn about(&self) -> String {
        let kinds = self.kinds.iter().map(|kind| name(*kind).to_owned());
        kinds.chain(self.rules.iter().map(|rule| format!("alert {rule}"))).collect::<Vec<_>>().join(", ")
    }
}

/// A kind, as settings spell it.
pub const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Asked => "asked",
        Kind::Decided => "decided",
        Kind::Approved => "approved",
        Kind::Ended => "ended",
        Kind::PeopleChanged => "people-changed",
        Kind::Policy => "policy",
        Kind::Guard => "guard",
        Kind::Denied => "denied",
        Kind::Alert => "alert",
        Kind::Disk => "disk",
    }
}

/// Keeps others from writing the file until it is dropped. Whoever may not write it can't even open this, and keep it from
/// who may.
///
/// # Errors
/// Whoever may not.
pub fn alone(path: &Path) -> io::Result<File> {
    let lock = File::options().create(true).append(true).mode(0o600).open(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

impl Silences {
    /// Reads the file; none where there is no file.
    ///
    /// # Errors
    /// One that can't be read or understood: then nothing is silenced.
    pub fn load(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => {
                let all: Self = serde_json::from_slice(&bytes)?;
                let known = all.version == 1;
                known
                    .then_some(all)
                    .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "it is of another version"))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self { version: 1, ..Self::default() }),
            Err(e) => Err(e),
        }
    }

    /// Writes it; durable when it returns. Everybody may read it.
    ///
    /// # Errors
    /// Where that fails: then the old one holds.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        replace(path, &text, 0o644)
    }

    /// Adds one; those that have long been over go.
    ///
    /// # Errors
    /// Where there are too many.
    pub fn add(&mut self, new: Silence) -> Result<(), String> {
        self.silences.retain(|old| new.made_at.seconds_since(old.until) < OVER && old.id != new.id);
        if self.silences.len() >= MOST {
            return Err(format!("there are {MOST} silences already; end one: backstop-notify silence list"));
        }
        self.silences.push(new);
        Ok(())
    }

    /// Ends one now; gives it, where there is one of that name that holds.
    pub fn end(&mut self, id: &str, now: Timestamp) -> Option<&Silence> {
        let found = self.silences.iter_mut().find(|silence| silence.id == id && silence.holds(now))?;
        found.until = now;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOON: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(NOON + seconds, 0)
    }

    fn of(what: What, severity: Severity, seconds: i64) -> Notice {
        Notice { severity, what, ..Notice::test("db-1", at(seconds)) }
    }

    fn alert(rule: &str) -> What {
        What::Alert { again: 60, rule: rule.to_owned(), same: "s".to_owned() }
    }

    fn silence(kinds: &[Kind], rules: &[&str]) -> Result<Silence, String> {
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        Silence::new((kinds.iter().copied().collect(), rules), "a drill", 60, 7, at(0))
    }

    #[test]
    fn it_keeps_back_what_it_names_while_it_holds_and_nothing_grave() {
        let deletes = silence(&[], &["deletes-*"]).expect("a silence");
        let denied = silence(&[Kind::Denied, Kind::Guard], &[]).expect("a silence");
        for (what, severity, seconds, by) in [
            (alert("deletes-trees"), Severity::Notice, 0, [true, false]),
            (alert("deletes-trees"), Severity::Error, 3_599, [true, false]),
            (alert("deletes-trees"), Severity::Notice, -1, [false, false]),
            (alert("deletes-trees"), Severity::Notice, 3_600, [false, false]),
            (alert("deletes-trees"), Severity::Alert, 0, [false, false]),
            (alert("other"), Severity::Notice, 0, [false, false]),
            (What::Denied, Severity::Warning, 0, [false, true]),
            (What::Stopped, Severity::Warning, 0, [false, true]),
            (What::Away { back: false }, Severity::Alert, 0, [false, false]),
            (What::Thawed, Severity::Notice, 0, [false, false]),
            (What::Started, Severity::Notice, 0, [false, false]),
            (What::Asked { needs: String::new() }, Severity::Warning, 0, [false, false]),
        ] {
            let notice = of(what.clone(), severity, seconds);
            assert_eq!([&deletes, &denied].map(|silence| silence.covers(&notice)), by, "{what:?} {seconds}");
        }
        assert_eq!((deletes.about().as_str(), denied.about().as_str()), ("alert deletes-*", "guard, denied"));
    }

    #[test]
    fn a_kind_is_called_as_in_settings() {
        for kind in Kind::USUAL.into_iter().chain([Kind::Denied]) {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), name(kind));
        }
    }

    #[test]
    fn what_would_keep_too_much_back_is_none() {
        for (kinds, rules, part) in [
            (&[][..], &[][..], "nothing back"),
            (&[Kind::Asked], &[], "asked can't be silenced"),
            (&[Kind::PeopleChanged], &[], "can't be silenced"),
            (&[], &["*"], "at most one *"),
        ] {
            assert!(silence(kinds, rules).is_err_and(|why| why.contains(part)), "{part}");
        }
        let new = |minutes, reason| Silence::new(([Kind::Alert].into(), Vec::new()), reason, minutes, 7, at(0));
        for (minutes, reason) in [(0, "x"), (LONGEST + 1, "x"), (1, ""), (1, " "), (1, "a\nb"), (1, "\u{202e}")] {
            assert!(new(minutes, reason).is_err(), "{minutes} {reason:?}");
        }
        assert!(new(LONGEST, "x").is_ok());
    }

    #[test]
    fn the_file_is_kept_and_what_is_over_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let mut all = Silences::load(&path).expect("none");
        let first = silence(&[Kind::Alert], &[]).expect("a silence");
        all.add(first.clone()).expect("added");
        all.save(&path).expect("kept");
        assert_eq!(Silences::load(&path).expect("read"), all);
        assert!(first.holds(at(0)) && first.holds(at(3_599)) && !first.holds(at(3_600)));
        assert!(all.end("nothing", at(10)).is_none());
        assert_eq!(all.end(&first.id, at(10)).map(|silence| silence.until), Some(at(10)));
        assert!(all.end(&first.id, at(11)).is_none(), "it is over");
        let later = Silence { made_at: at(200_000), until: at(203_600), id: "later".to_owned(), ..first };
        all.add(later.clone()).expect("added");
        assert_eq!(all.silences, std::slice::from_ref(&later));
        for n in 1..MOST {
            all.add(Silence { id: format!("s{n}"), ..later.clone() }).expect("added");
        }
        assert!(all.add(Silence { id: "more".to_owned(), ..later }).is_err());
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o644);
        for text in ["{", "{\"silences\":[],\"version\":2}"] {
            fs::write(&path, text).expect("written");
            assert!(Silences::load(&path).is_err(), "{text}");
        }
    }
}
