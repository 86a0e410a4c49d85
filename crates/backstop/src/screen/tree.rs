//! Takes an effect set, gives the effect tree: aggregated per directory, biggest first, cut with
//! counts. The cut goes by weight, so what is big is never out of sight.

mod arena;

use std::collections::{BinaryHeap, HashMap};

use backstop_core::effect::{Effect, EffectSet, FileType, Kind};
use backstop_core::quoted::Quoted;
use backstop_engine::Beneath;

use super::message::push;
use super::size;
use super::style::{Ink, Style, columns, fit, pad};
use arena::{Arena, Index, Sums};

/// Columns of the bar.
const BAR: usize = 10;
/// Columns of the size, of the counts, and of the gaps between.
const SIZE: usize = 9;
const COUNTS: usize = 16;

/// The tree in about `rows` rows.
pub fn draw(set: &EffectSet, style: Style, rows: usize) -> String {
    let arena = Arena::of(set);
    let visible = choose(&arena, rows);
    let mut out = String::new();
    let root = arena.root();
    let whole = arena.sums(root).weight();
    let painter = Painter { arena: &arena, visible: &visible, style, whole };
    for top in arena.tops().into_iter().filter(|t| visible[*t]) {
        painter.row(&mut out, top, "", "", true);
    }
    painter.rest(&mut out, root, "", true);
    out
}

/// Marks the `rows` heaviest nodes, of single files in one directory at most a few, so that three
/// hundred new objects don't push one deleted source file out of sight. A node's parent is never
/// lighter than itself, so what is marked hangs together.
fn choose(arena: &Arena<'_>, rows: usize) -> Vec<bool> {
    let mut visible = vec![false; arena.len()];
    let entry = |node: Index, parent: Option<Index>| (arena.rank(node), std::cmp::Reverse(node), parent);
    let mut queue: BinaryHeap<_> = arena.tops().into_iter().map(|i| entry(i, None)).collect();
    let mut singles: HashMap<Index, usize> = HashMap::new();
    let most = (rows / 3).max(3);
    let mut left = rows.max(1);
    while let Some((_, std::cmp::Reverse(node), parent)) = queue.pop() {
        if left == 0 {
            break;
        }
        if let Some(parent) = parent.filter(|_| arena.is_single(node)) {
            let seen = singles.entry(parent).or_default();
            if *seen == most {
                continue;
            }
            *seen += 1;
        }
        left -= 1;
        visible[node] = true;
        queue.extend(arena.children(node).into_iter().map(|i| entry(i, Some(node))));
    }
    visible
}

struct Painter<'a> {
    arena: &'a Arena<'a>,
    visible: &'a [bool],
    style: Style,
    whole: u64,
}

impl Painter<'_> {
    /// One row, then those below it. As deep as there are visible rows, no deeper.
    fn row(&self, out: &mut String, node: Index, indent: &str, branch: &str, last: bool) {
        let below = match (branch.is_empty(), last) {
            (true, _) => indent.to_owned(),
            (false, true) => format!("{indent}   "),
            (false, false) => format!("{indent}│  "),
        };
        self.one(out, node, indent, branch, &below);
        let mut shown: Vec<Index> = self.arena.children(node).iter().copied().filter(|c| self.visible[*c]).collect();
        shown.sort_by_key(|c| std::cmp::Reverse((self.arena.rank(*c), std::cmp::Reverse(*c))));
        let hidden = self.arena.hidden(node, self.visible);
        let more = !shown.is_empty() && !hidden.is_empty();
        for (at, child) in shown.iter().enumerate() {
            let last = at + 1 == shown.len() && !more;
            self.row(out, *child, &below, if last { "└─ " } else { "├─ " }, last);
        }
        if more {
            self.rest(out, node, &below, false);
        }
    }

    /// What of `node` is not shown, with its counts.
    fn rest(&self, out: &mut String, node: Index, indent: &str, top: bool) {
        let hidden = self.arena.hidden(node, self.visible);
        if hidden.is_empty() {
            return;
        }
        let branch = if top { "" } else { "└─ " };
        let what = match (hidden.files(), hidden.dirs + hidden.others) {
            (0, n) => size::counted(n, "more entry", "more entries"),
            (f, _) => size::counted(f, "more file", "more files"),
        };
        let bytes = match hidden.weight() {
            0 => String::new(),
            n => format!(" ({})", size::bytes(n)),
        };
        let text = format!("{indent}{branch}… and {what}{bytes}\n");
        push(out, format_args!("{}", self.style.ink(Ink::Faint, text.trim_end())));
        out.push('\n');
    }

    fn one(&self, out: &mut String, node: Index, indent: &str, branch: &str, below: &str) {
        let sums = self.arena.sums(node);
        let effect = self.arena.effect(node);
        let (mark, ink) = mark(effect, sums);
        let name = Quoted(&self.arena.name(node)).to_string();
        let slash = if self.arena.is_dir(node) && !name.ends_with('/') { "/" } else { "" };
        let head = format!("{indent}{branch}");
        let tail = tail(effect);
        let room = self.style.width.saturating_sub(SIZE + COUNTS + BAR + 6).max(20);
        let name_room = room.saturating_sub(columns(&head) + 2).max(8);
        let name = fit(&format!("{name}{slash}"), name_room);
        let counts = if self.arena.is_single(node) { String::new() } else { counts(sums, self.style) };
        let bytes = if sums.weight() == 0 { String::new() } else { size::bytes(sums.weight()) };
        let mut row = format!(
            "{}{} {} {bytes:>SIZE$}  {}",
            self.style.ink(Ink::Faint, &head),
            self.style.ink(ink, mark),
            if effect.is_some() {
                self.style.ink(ink, pad(&name, name_room))
            } else {
                self.style.ink(Ink::Strong, pad(&name, name_room))
            },
            pad_inked(&counts, &plain_counts(sums, self.arena.is_single(node)), COUNTS),
        );
        push(&mut row, format_args!(" {}", bar(sums, self.whole, self.style)));
        out.push_str(row.trim_end());
        if let Some(tail) = tail {
            push(out, format_args!("\n{}", self.style.ink(Ink::Faint, format!("{below}  {tail}"))));
        }
        out.push('\n');
    }
}

/// One effect on one line, for the full list.
pub fn entry(e: &Effect, style: Style) -> String {
    let (mark, ink) = mark(Some(e), Sums::default());
    let file = |n: &backstop_core::effect::Node| n.file_type == FileType::File;
    let node = e.before.as_ref().or(e.after.as_ref());
    let bytes = node.filter(|n| file(n)).map(|n| size::bytes(n.size)).unwrap_or_default();
    let slash = if node.is_some_and(|n| n.file_type == FileType::Dir) { "/" } else { "" };
    let tail = tail(Some(e)).map(|t| format!("   {}", style.ink(Ink::Faint, t))).unwrap_or_default();
    format!(
        "{bytes:>SIZE$}  {} {}{tail}\n",
        style.ink(ink, mark),
        style.ink(ink, format!("{}{slash}", e.path.quoted()))
    )
}

/// One entry beneath a directory that goes, on one line.
pub fn below(b: &Beneath, style: Style) -> String {
    let (bytes, slash) = match b.file_type {
        FileType::File => (size::bytes(b.size), ""),
        FileType::Dir => (String::new(), "/"),
        _ => (String::new(), ""),
    };
    let path = style.ink(Ink::Lost, format!("{}{slash}", b.path.quoted()));
    format!("{bytes:>SIZE$}  {} {path}\n", style.ink(Ink::Lost, "-"))
}

/// The sign before a name, with its colour.
pub fn mark(effect: Option<&Effect>, sums: Sums) -> (&'static str, Ink) {
    match effect.map(|e| e.kind) {
        Some(Kind::Create) => ("+", Ink::Made),
        Some(Kind::Change) => ("~", Ink::Changed),
        Some(Kind::Replace) => ("±", Ink::Changed),
        Some(Kind::Delete) => ("-", Ink::Lost),
        Some(Kind::Rename) => ("»", Ink::Place),
        Some(Kind::Link) => ("=", Ink::Place),
        Some(Kind::Metadata) => ("·", Ink::Faint),
        // A file that goes with its directory.
        None if sums.lost_files > 0 && sums.made_files + sums.touched == 0 => (" ", Ink::Lost),
        None => (" ", Ink::Strong),
    }
}

/// What a row says below itself: the old name, the link's target, who has it open.
fn tail(effect: Option<&Effect>) -> Option<String> {
    let e = effect?;
    let mut parts = Vec::new();
    match (&e.from, e.kind) {
        (Some(from), Kind::Rename) => parts.push(format!("was {}", from.quoted())),
        (Some(from), _) => parts.push(format!("the same file as {}", from.quoted())),
        (None, _) => {}
    }
    if e.kind == Kind::Metadata
        && let Some(what) = metadata(e)
    {
        parts.push(what);
    }
    if let (Some(target), Kind::Create | Kind::Change | Kind::Replace) =
        (e.after.as_ref().and_then(|n| n.target.as_ref()), e.kind)
    {
        parts.push(format!("points to {}", target.quoted()));
    }
    if let (Some(b), Some(a)) = (&e.before, &e.after)
        && b.file_type != a.file_type
    {
        parts.push(format!("{} becomes {}", kind_of(b.file_type), kind_of(a.file_type)));
    }
    for o in e.open_by.iter().take(2) {
        let how = if o.writing { "open for writing by" } else { "open by" };
        parts.push(format!("{how} {}[{}]", o.name.quoted(), o.pid));
    }
    if e.linked_elsewhere > 0 {
        parts.push(size::counted(u64::from(e.linked_elsewhere), "further name elsewhere", "further names elsewhere"));
    }
    if !e.undoable {
        parts.push("can't be undone".to_owned());
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// What differs: `mode 644 -> 755`.
pub fn metadata(e: &Effect) -> Option<String> {
    let (b, a) = (e.before.as_ref()?, e.after.as_ref()?);
    let mut parts = Vec::new();
    if b.mode != a.mode {
        parts.push(format!("mode {:o} -> {:o}", b.mode & 0o7777, a.mode & 0o7777));
    }
    if (b.uid, b.gid) != (a.uid, a.gid) {
        parts.push(format!("owner {}:{} -> {}:{}", b.uid, b.gid, a.uid, a.gid));
    }
    if !e.xattrs.is_empty() {
        let names: Vec<String> = e.xattrs.iter().take(3).map(|x| x.quoted().to_string()).collect();
        parts.push(format!("attributes {}", names.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

const fn kind_of(t: FileType) -> &'static str {
    match t {
        FileType::File => "a file",
        FileType::Dir => "a directory",
        FileType::Symlink => "a link",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharDevice | FileType::BlockDevice => "a device",
    }
}

fn count_parts(s: Sums) -> Vec<(String, Ink)> {
    let mut parts = Vec::new();
    for (n, sign, ink) in [
        (s.lost_files, "-", Ink::Lost),
        (s.made_files, "+", Ink::Made),
        (s.changed_files, "~", Ink::Changed),
        (s.touched, "·", Ink::Faint),
    ] {
        if n > 0 {
            parts.push((format!("{sign}{}", size::count(n)), ink));
        }
    }
    parts
}

fn counts(s: Sums, style: Style) -> String {
    count_parts(s).into_iter().map(|(t, ink)| style.ink(ink, t).to_string()).collect::<Vec<_>>().join(" ")
}

fn plain_counts(s: Sums, single: bool) -> String {
    if single {
        return String::new();
    }
    count_parts(s).into_iter().map(|(t, _)| t).collect::<Vec<_>>().join(" ")
}

/// Pads coloured text by the columns of its plain form.
fn pad_inked(inked: &str, plain: &str, room: usize) -> String {
    format!("{inked}{}", " ".repeat(room.saturating_sub(columns(plain))))
}

/// The share of the whole, in eighths of a column; what is lost, comes new and changes in its colour.
fn bar(s: Sums, whole: u64, style: Style) -> String {
    if whole == 0 || s.weight() == 0 {
        return String::new();
    }
    let ink = [(s.lost_bytes, Ink::Lost), (s.made_bytes, Ink::Made), (s.changed_bytes, Ink::Changed)]
        .into_iter()
        .max_by_key(|(n, _)| *n)
        .map_or(Ink::Faint, |(_, ink)| ink);
    let eighths = (u128::from(s.weight()) * (BAR as u128 * 8)).div_ceil(u128::from(whole)) as usize;
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    style.ink(ink, format!("{}{part}", "█".repeat(eighths / 8))).to_string()
}
