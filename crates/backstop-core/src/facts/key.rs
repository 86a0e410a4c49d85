//! The effect key: what would happen and where, whatever command does it. `rm -rf d`, `find d -delete`
//! and an interpreter that walks `d` have one key, so that a denial holds for all of them.
//!
//! A key speaks of content and places, not of inodes or times. What happens in the agent's own places
//! beside it (a temporary file, a note in the workspace) is no part of it, so that noise makes no new
//! effect; where nothing happens elsewhere, it is what happens there.

use crate::digest::{ContentHasher, Digest};
use crate::effect::{Aspect, Effect, Kind};

const DOMAIN: &str = "backstop effect key 1";

/// Grows with the effects, in their order (by path).
#[derive(Default)]
pub(super) struct Key {
    all: Part,
    elsewhere: Part,
}

#[derive(Default)]
struct Part {
    any: bool,
    hasher: ContentHasher,
}

impl Part {
    fn note(&mut self, digest: &Digest) {
        self.any = true;
        self.hasher.update(&digest.0);
    }

    fn finish(self) -> Option<Digest> {
        self.any.then(|| self.hasher.finish())
    }
}

impl Key {
    /// Takes an effect; `own` says that it lies in the agent's own places and is nothing more.
    pub fn note(&mut self, effect: &Effect, own: bool) {
        let digest = of(effect);
        self.all.note(&digest);
        if !own {
            self.elsewhere.note(&digest);
        }
    }

    /// The key; none where nothing happens.
    pub fn finish(self) -> Option<Digest> {
        self.elsewhere.finish().or_else(|| self.all.finish())
    }
}

fn of(effect: &Effect) -> Digest {
    let after = effect.after.as_ref();
    let content = |a: &crate::effect::Node| match (&a.target, a.content) {
        (Some(target), _) => target.as_slice().to_vec(),
        (None, Some(content)) => content.0.to_vec(),
        (None, None) => a.size.to_le_bytes().to_vec(),
    };
    let rights = |a: &crate::effect::Node| [a.mode, a.uid, a.gid].map(u32::to_le_bytes).concat();
    // Written in place or put in place of it: afterwards the same content stands there.
    let becomes = effect.kind != Kind::Metadata && effect.aspects.contains(&Aspect::Content);
    let (what, more) = match effect.kind {
        Kind::Delete => (&b"goes"[..], Vec::new()),
        Kind::Create | Kind::Replace => (&b"becomes"[..], after.map(content).unwrap_or_default()),
        Kind::Change if becomes => (&b"becomes"[..], after.map(content).unwrap_or_default()),
        Kind::Change | Kind::Metadata => (&b"rights"[..], after.map(rights).unwrap_or_default()),
        Kind::Rename => (&b"comes"[..], Vec::new()),
        Kind::Link => (&b"links"[..], Vec::new()),
    };
    let kind = after.map_or(String::new(), |a| format!("{:?}", a.file_type));
    let from = effect.from.as_ref().map_or(&b""[..], |f| f.as_slice());
    // A NUL ends each part: no path or name has one.
    let parts: [&[u8]; 9] = [what, b"\0", effect.path.as_slice(), b"\0", from, b"\0", kind.as_bytes(), b"\0", &more];
    Digest::of(DOMAIN, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{FileType, Node};
    use crate::time::Timestamp;

    fn effect(kind: Kind, path: &str, content: &str) -> Effect {
        let node = Node {
            content: Some(Digest::of_content(content.as_bytes())),
            ctime: Timestamp::default(),
            dev: 1,
            file_type: FileType::File,
            gid: 0,
            ino: 7,
            mode: 0o644,
            mtime: Timestamp::default(),
            nlink: 1,
            rdev: None,
            size: 10,
            target: None,
            uid: 0,
        };
        Effect {
            after: Some(node.clone()).filter(|_| kind != Kind::Delete),
            aspects: if kind == Kind::Change { vec![Aspect::Content] } else { Vec::new() },
            before: Some(node).filter(|_| kind != Kind::Create),
            beneath: None,
            from: None,
            kind,
            linked_elsewhere: 0,
            mount: 0,
            open_by: Vec::new(),
            path: path.into(),
            undoable: true,
            xattrs: Vec::new(),
        }
    }

    fn key(effects: &[(Effect, bool)]) -> Option<Digest> {
        let mut key = Key::default();
        for (effect, own) in effects {
            key.note(effect, *own);
        }
        key.finish()
    }

    #[test]
    fn the_same_effect_has_one_key_and_another_has_another() {
        let goes = || (effect(Kind::Delete, "/srv/a", ""), false);
        let first = key(&[goes()]);
        assert!(first.is_some());
        let mut later = goes();
        later.0.before = later.0.before.map(|b| Node { ino: 8, mtime: Timestamp::new(9, 9), ..b });
        for (same, what) in [
            (vec![later], "another inode, another time"),
            (vec![goes(), (effect(Kind::Create, "/tmp/x", "x"), true)], "with a temporary file beside"),
        ] {
            assert_eq!(key(&same), first, "{what}");
        }
        for (other, what) in [
            (vec![(effect(Kind::Delete, "/srv/b", ""), false)], "another place"),
            (vec![(effect(Kind::Change, "/srv/a", ""), false)], "emptied, not removed"),
            (vec![goes(), (effect(Kind::Delete, "/srv/b", ""), false)], "more of it"),
            (vec![], "nothing"),
        ] {
            assert_ne!(key(&other), first, "{what}");
        }
    }

    #[test]
    fn written_in_place_or_replaced_is_one_and_other_content_is_another() {
        let becomes = |kind, content| key(&[(effect(kind, "/etc/x", content), false)]);
        assert_eq!(becomes(Kind::Change, "a"), becomes(Kind::Replace, "a"));
        assert_ne!(becomes(Kind::Change, "a"), becomes(Kind::Change, "b"));
        // In the agent's own places alone, that is the effect.
        let own = |content| key(&[(effect(Kind::Create, "/w/x", content), true)]);
        assert!(own("a").is_some());
        assert_ne!(own("a"), own("b"));
    }
}
