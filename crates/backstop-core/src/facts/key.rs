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
