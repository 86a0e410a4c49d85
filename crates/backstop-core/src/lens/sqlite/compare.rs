//! Takes both sides of a database, gives what is gone. Tables are matched by name (a renamed one by
//! its tree and columns); rows are counted, not compared, so rows that are replaced by others are not
//! seen here.

use std::collections::BTreeSet;

use super::pages::{self, Opened, Pages};
use super::schema::{self, Entry, Schema, What};
use super::tree::{self, Counted};
use super::{Budget, Files, Seen};
use crate::facts::{Sqlite, long};
use crate::lens::Incomplete;
use crate::lens::words;

/// Pages a table may take in the first round, so that one big table doesn't hide all others.
const FIRST: u64 = 64;
/// How many tables are named.
const NAMED: usize = 12;

/// What became of the database.
enum After<'a> {
    Database(Pages<'a>, Schema),
    /// Nothing of it: the file is gone, empty, or something else, with the words for that.
    Nothing(&'static str),
    /// A database that can't be read.
    Broken(Incomplete),
}

/// See [`super::compare()`].
pub(super) fn compare(before: &Files<'_>, after: Option<&Files<'_>>, budget: &mut Budget<'_>) -> Seen<Sqlite> {
    let pages = match pages::open(before, budget) {
        Ok(Opened::Database(pages)) => pages,
        Ok(Opened::Empty | Opened::Other) => return Seen::default(),
        Err(why) => return untold("before", &why),
    };
    let schema = match schema::read(&pages, budget) {
        Ok(schema) => schema,
        Err(why) => {
            let mut seen = untold("before", &why);
            if after.is_none() {
                seen.facts.databases = 1;
                seen.told.push("a database is deleted; how much was in it can't be told".to_owned());
            }
            return seen;
        }
    };
    let after = match after {
        None => After::Nothing("deleted"),
        Some(files) => look_after(files, budget),
    };
    let mut tables = Tables::new(&schema, &pages);
    let mut report = Report::default();
    match &after {
        After::Nothing(how) => {
            tables.match_none();
            tables.count(None, budget, &mut report);
            report.gone(how, &schema, &tables);
        }
        After::Database(after_pages, after_schema) => {
            tables.match_names(after_schema);
            tables.count(Some(after_pages), budget, &mut report);
            report.differences(&schema, after_schema, &tables);
        }
        After::Broken(why) => {
            report.facts.databases = 1;
            report.incomplete.push(format!("after: {}", why.why));
            report.told.push((u64::MAX, format!("can't be read afterwards: {}", why.why)));
        }
    }
    report.seen()
}

fn untold(side: &str, why: &Incomplete) -> Seen<Sqlite> {
    Seen::untold(&Incomplete::new(format!("{side}: {}", why.why)))
}

fn look_after<'a>(files: &Files<'a>, budget: &mut Budget<'_>) -> After<'a> {
    match pages::open(files, budget) {
        Ok(Opened::Empty) => After::Nothing("emptied"),
        Ok(Opened::Other) => After::Nothing("overwritten with something that is no SQLite database"),
        Ok(Opened::Database(pages)) => match schema::read(&pages, budget) {
            Ok(schema) => After::Database(pages, schema),
            Err(why) => After::Broken(why),
        },
        Err(why) => After::Broken(why),
    }
}

/// The tables of the old database that hold what people put in, and what became of each.
struct Tables<'a> {
    pages: &'a Pages<'a>,
    all: Vec<Table<'a>>,
}

struct Table<'a> {
    key: &'a str,
    entry: &'a Entry,
    /// The tree whose entries are its rows: its own, or for a full-text or space index one of the
    /// tables it is made of.
    root: u32,
    after: Fate,
    before: Option<Counted>,
    rows: Option<Counted>,
    /// Its pages can't be made sense of, which was said.
    damaged: bool,
}

#[derive(Clone, Debug)]
enum Fate {
    Gone,
    Renamed(String, u32),
    Stays(u32),
}

/// The tables a virtual table is made of, the one with a row per row first. Their own counts change
/// when an index is merged, which loses nothing.
const fn made_of(module: &str) -> &'static [&'static str] {
    match module.as_bytes() {
        b"fts5" => &["docsize", "content", "data", "idx", "config"],
        b"fts3" | b"fts4" => &["content", "docsize", "segments", "segdir", "stat"],
        b"rtree" | b"rtree_i32" | b"geopoly" => &["rowid", "node", "parent"],
        _ => &[],
    }
}

/// Names of tables that only serve a virtual table.
fn serving(schema: &Schema) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for ((_, key), entry) in schema.iter().filter(|(_, e)| e.module.is_some()) {
        for end in made_of(entry.module.as_deref().unwrap_or_default()) {
            names.insert(format!("{key}_{end}"));
        }
    }
    names
}

/// Where the rows of the table `key` are; 0 where they are nowhere in this file.
fn rows_root(schema: &Schema, key: &str, entry: &Entry) -> u32 {
    let Some(module) = &entry.module else { return entry.root };
    let parts = made_of(module).iter().take(2);
    let mut found = parts.filter_map(|end| schema.get(&(What::Table, format!("{key}_{end}")))).map(|e| e.root);
    found.next().unwrap_or(0)
}

impl<'a> Tables<'a> {
    fn new(schema: &'a Schema, pages: &'a Pages<'a>) -> Self {
        let serving = serving(schema);
        let own = schema.iter().filter(|((what, key), _)| *what == What::Table && !serving.contains(key));
        let all = own.map(|((_, key), entry)| Table {
            key,
            entry,
            root: rows_root(schema, key, entry),
            after: Fate::Gone,
            before: None,
            rows: None,
            damaged: false,
        });
        Self { pages, all: all.collect() }
    }

    fn match_none(&mut self) {
        self.all.iter_mut().for_each(|t| t.rows = Some(Counted { rows: 0, whole: true }));
    }

    fn match_names(&mut self, after: &Schema) {
        let new: Vec<_> = after
            .iter()
            .filter(|((what, key), _)| *what == What::Table && !self.all.iter().any(|t| t.key == key))
            .collect();
        let mut taken = BTreeSet::new();
        for t in &mut self.all {
            t.after = match after.get(&(What::Table, t.key.to_owned())) {
                Some(entry) => Fate::Stays(rows_root(after, t.key, entry)),
                None => {
                    // `ALTER TABLE … RENAME` keeps the tree and the columns.
                    let same = |e: &Entry| e.root == t.entry.root && e.root != 0 && e.body == t.entry.body;
                    match new.iter().find(|((_, key), e)| same(e) && !taken.contains(key)) {
                        Some(((_, key), e)) => {
                            taken.insert(key);
                            Fate::Renamed(e.name.clone(), e.root)
                        }
                        None => {
                            t.rows = Some(Counted { rows: 0, whole: true });
                            Fate::Gone
                        }
                    }
                }
            };
        }
    }

    /// Counts both sides of every table: first all that are small, then the others with what is left.
    fn count(&mut self, after: Option<&Pages<'_>>, budget: &mut Budget<'_>, report: &mut Report) {
        for round in [FIRST, u64::MAX] {
            for t in &mut self.all {
                let roots = [(Some(self.pages), t.root), (after, t.after.root())];
                for (side, (pages, root)) in [&mut t.before, &mut t.rows].into_iter().zip(roots) {
                    if t.damaged || side.is_some_and(|c| c.whole) {
                        continue;
                    }
                    let Some(pages) = pages else { continue };
                    let mut part = budget.split(round);
                    match count(pages, root, &mut part) {
                        Ok(counted) => *side = Some(counted),
                        Err(why) => {
                            report.incomplete.push(format!("table {}: {}", t.entry.name, why.why));
                            *side = Some(Counted::default());
                            t.damaged = true;
                        }
                    }
                    budget.join(part);
                }
            }
        }
    }
}

fn count(pages: &Pages<'_>, root: u32, budget: &mut Budget<'_>) -> Result<Counted, Incomplete> {
    match root {
        // A virtual table whose rows are elsewhere.
        0 => Ok(Counted { rows: 0, whole: true }),
        root => tree::count(pages, root, budget),
    }
}

impl Fate {
    fn root(&self) -> u32 {
        match self {
            Self::Gone => 0,
            Self::Renamed(_, root) | Self::Stays(root) => *root,
        }
    }
}

#[derive(Default)]
struct Report {
    facts: Sqlite,
    incomplete: Vec<String>,
    /// By weight.
    told: Vec<(u64, String)>,
}

impl Report {
    fn gone(&mut self, how: &str, schema: &Schema, tables: &Tables<'_>) {
        let serving = serving(schema);
        let mut rows = 0u64;
        let mut whole = true;
        for t in &tables.all {
            let before = t.before.unwrap_or_default();
            rows += before.rows;
            whole &= before.whole;
            self.rows(t, before, Counted { rows: 0, whole: true });
        }
        self.told.clear();
        let things = schema.values().filter(|e| !serving.contains(&e.table)).count();
        self.facts.databases = 1;
        self.facts.schema_dropped = long(things as u64);
        self.facts.tables_dropped = long(tables.all.len() as u64);
        let least = if whole { "" } else { "at least " };
        let sum = format!(
            "{how}: {} with {least}{}",
            words::count(tables.all.len() as u64, "table"),
            words::count(rows, "row")
        );
        self.told.push((u64::MAX, sum));
        for t in &tables.all {
            let Counted { rows, whole } = t.before.unwrap_or_default();
            if rows > 0 {
                let least = if whole { "" } else { "at least " };
                self.told.push((rows, format!("table {}: {least}{}", t.entry.name, words::count(rows, "row"))));
            }
        }
    }

    fn differences(&mut self, schema: &Schema, after: &Schema, tables: &Tables<'_>) {
        for t in &tables.all {
            let (before, rows) = (t.before.unwrap_or_default(), t.rows.unwrap_or_default());
            self.rows(t, before, rows);
        }
        let serving = serving(schema);
        for ((what, key), entry) in schema.iter().filter(|(_, e)| !serving.contains(&e.table)) {
            if after.contains_key(&(*what, key.clone())) {
                continue;
            }
            let table = tables.all.iter().find(|t| t.key == entry.table);
            let renamed = *what == What::Table && table.is_some_and(|t| matches!(t.after, Fate::Renamed(..)));
            if renamed {
                continue;
            }
            self.facts.schema_dropped += 1;
            self.facts.tables_dropped += i64::from(*what == What::Table);
            // What goes with its table needs no sentence of its own.
            let with_table = table.is_some_and(|t| matches!(t.after, Fate::Gone));
            if *what != What::Table && !with_table {
                self.told.push((0, format!("{} {} dropped", what.name(), entry.name)));
            }
        }
        let f = &self.facts;
        self.facts.databases = i64::from(f.rows_lost > 0 || f.schema_dropped > 0 || f.tables_emptied > 0);
    }

    /// Adds what one table loses.
    fn rows(&mut self, t: &Table<'_>, before: Counted, after: Counted) {
        let name = &t.entry.name;
        let gone = matches!(t.after, Fate::Gone);
        let least = if before.whole { "" } else { "at least " };
        if t.damaged {
            return;
        }
        if !after.whole && after.rows < before.rows {
            self.incomplete.push(format!("table {name}: its rows could not be counted within the limit"));
            return;
        }
        let lost = before.rows.saturating_sub(after.rows);
        if !before.whole && (lost == 0 || !gone) {
            self.incomplete.push(format!(
                "table {name}: more than {} before, not counted to the end",
                words::count(before.rows, "row")
            ));
        } else if !before.whole {
            self.incomplete.push(format!("table {name}: not counted to the end"));
        }
        self.facts.rows_lost = self.facts.rows_lost.saturating_add(long(lost));
        let emptied = !gone && before.rows > 0 && after.rows == 0 && after.whole;
        self.facts.tables_emptied += i64::from(emptied);
        if gone {
            let with = if before.rows > 0 {
                format!(" with {least}{}", words::count(before.rows, "row"))
            } else {
                String::new()
            };
            self.told.push((1 + lost, format!("table {name} dropped{with}")));
        } else if lost > 0 {
            let now = match &t.after {
                Fate::Renamed(new, _) => format!(" (now {new})"),
                Fate::Gone | Fate::Stays(_) => String::new(),
            };
            let text = format!(
                "table {name}{now}: {least}{} -> {}",
                words::count(before.rows, "row"),
                words::number(after.rows)
            );
            self.told.push((lost, text));
        }
    }

    fn seen(mut self) -> Seen<Sqlite> {
        self.told.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let more = self.told.len().saturating_sub(NAMED);
        let mut told: Vec<String> = self.told.into_iter().take(NAMED).map(|(_, text)| text).collect();
        if more > 0 {
            told.push(format!("and {} more", words::number(more as u64)));
        }
        self.incomplete.sort();
        self.incomplete.dedup();
        if let Some(more) = self.incomplete.len().checked_sub(NAMED).filter(|n| *n > 0) {
            self.incomplete.truncate(NAMED);
            self.incomplete.push(format!("and {} more", words::number(more as u64)));
        }
        Seen { facts: self.facts, incomplete: self.incomplete, told }
    }
}
