//! Class files on the disk: takes their places, gives the kinds of places and contents that a run is judged
//! by, with the texts they come from, so that a judgement names those as well. Of a file that can't be used
//! nothing is taken, and everything is denied: what it was to protect must not go for a slip of the pen.

use std::io;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::classes::{self, ClassFileError, Classes};
use backstop_core::policy::law::{Layer, Refusal, Source};

use super::files::{only_roots, read, shown, unreadable, untrusted};
use crate::reader::Reader;

/// The administrator's file.
pub const SYSTEM: &str = "/etc/backstop/classes.toml";

/// The name of a user's file, beside the directory of the user's rules.
pub(super) const FILE: &str = "classes.toml";

/// The kinds of places and contents, and the files they come from.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// Ready to be asked.
    pub classes: Classes,
    /// What can't be used.
    pub refusals: Vec<Refusal>,
    /// The files that were read, the machine's first.
    pub sources: Vec<Source>,
}

impl Kinds {
    /// Those of the machine and of the user whose home is `home`, which is read with his rights; `homes` are
    /// everybody's.
    pub fn of(homes: &[Bytes], home: Option<&Bytes>, reader: &Reader) -> Self {
        let user = home.map(|h| h.join(b".config/backstop/classes.toml"));
        Self::from(homes, Path::new(SYSTEM), (user.as_ref().map(Bytes::as_path), reader), &only_roots)
    }

    fn from(
        homes: &[Bytes],
        system: &Path,
        (user, reader): (Option<&Path>, &Reader),
        trusted: &dyn Fn(&Path) -> bool,
    ) -> Self {
        let mut kinds = Self { classes: Classes::new(homes), ..Self::default() };
        if exists(system) && !trusted(system) {
            // Who else could write it could free any place, or take one from those that are protected.
            kinds.refusals.push(untrusted(system));
        } else {
            kinds.add(system, Layer::System);
        }
        if let Some(user) = user {
            let added = reader.read(|| kinds.add(user, Layer::User));
            if let Err(error) = added {
                kinds.refusals.push(unreadable(user, &error));
            }
        }
        kinds
    }

    fn add(&mut self, path: &Path, layer: Layer) {
        let text = match read(path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) && !exists(path) => {
                return;
            }
            Err(e) => return self.refusals.push(unreadable(path, &e)),
        };
        let of_classes = if layer == Layer::System { classes::Layer::System } else { classes::Layer::Below };
        if let Err(error) = self.classes.add(&text, of_classes) {
            self.refusals.push(refused(path, &error));
        }
        // In either case: a change of what is refused is another refusal.
        self.sources.push(Source { layer, name: shown(path), text });
    }
}

/// True where something has the name, a dangling link too.
fn exists(path: &Path) -> bool {
    !path.symlink_metadata().is_err_and(|e| matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn refused(path: &Path, error: &ClassFileError) -> Refusal {
    // A parser draws the line that is wrong; one line of words is wanted here.
    let text = error.to_string();
    let words: Vec<&str> = text.lines().filter(|l| !l.contains(" | ") && !l.trim_end().ends_with('|')).collect();
    Refusal {
        at: shown(path),
        id: None,
        next: "mend the file; what it may hold: backstop help classes".to_owned(),
        rule: "a file of classes is taken whole or not at all".to_owned(),
        why: words.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_of_the_user_adds_and_frees_nothing() {
        let dir = tempfile::tempdir().expect("temp");
        let (file, none) = (dir.path().join("classes.toml"), dir.path().join("missing"));
        let load = || Kinds::from(&[], &none, (Some(&file), &Reader::Own), &|_| true);
        let without = load();
        assert_eq!((without.classes, without.sources), (Classes::new(&[]), Vec::new()));
        fs::write(&file, "[database]\nsystem = ['/data/pg']").expect("file");
        let with = load();
        assert_eq!(with.classes.of_place(&"/data/pg/x".into()).next(), Some("database"));
        assert_eq!((with.sources.len(), with.sources[0].layer, with.refusals), (1, Layer::User, Vec::new()));
        for (text, part) in [
            ("[cache]\nhome = ['x']", "only the system's file"),
            ("[x]\nwhy = 'w'\nnope = 1", "unknown field `nope`"),
            ("[x", "line 1"),
        ] {
            fs::write(&file, text).expect("file");
            let refused = load();
            assert_eq!((&refused.classes, refused.sources.len()), (&Classes::new(&[]), 1));
            let why = &refused.refusals[0].why;
            assert!(why.contains(part) && !why.contains(['\n', '|', '^']), "{why}");
        }
    }

    #[test]
    fn a_file_of_the_machine_that_others_can_write_is_refused() {
        let dir = tempfile::tempdir().expect("temp");
        let file = dir.path().join("classes.toml");
        fs::write(&file, "[cache]\nhome = ['x']").expect("file");
        assert_eq!(Kinds::from(&[], &file, (None, &Reader::Own), &|_| true).refusals, Vec::new());
        // Below the temporary directory everybody could have put it there.
        let refused = Kinds::from(&[], &file, (None, &Reader::Own), &only_roots);
        assert!(refused.refusals[0].why.contains("others than root"), "{:?}", refused.refusals);
        assert_eq!(refused.classes, Classes::new(&[]));
    }

    #[test]
    fn what_is_no_file_of_classes_is_refused_without_a_hang() {
        let dir = tempfile::tempdir().expect("temp");
        let file = dir.path().join("classes.toml");
        for make in [
            &(|p: &Path| fs::create_dir(p)) as &dyn Fn(&Path) -> io::Result<()>,
            &|p| std::os::unix::fs::symlink("/dev/zero", p),
            &|p| std::os::unix::fs::symlink("/nowhere/at/all", p),
            &|p| fs::write(p, "#".repeat(300 * 1024)),
            &|p| std::process::Command::new("mkfifo").arg(p).status().map(drop),
        ] {
            make(&file).expect("made");
            let refused = Kinds::from(&[], &file, (None, &Reader::Own), &|_| true);
            assert!(refused.refusals[0].at.ends_with("classes.toml"), "{:?}", refused.refusals);
            drop(fs::remove_dir(&file).or_else(|_| fs::remove_file(&file)));
        }
    }
}
