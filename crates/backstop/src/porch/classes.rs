//! The kinds of places and contents for this machine: those compiled in, those of the administrator's
//! file, and those that the user adds. A file that is wrong stops the run that would be judged by it.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use backstop_core::bytes::Bytes;
use backstop_core::classes::{Classes, Layer};
use backstop_engine::Failure;

/// The administrator's file.
const SYSTEM: &str = "/etc/backstop/classes.toml";

/// Reads the files; `home` is the caller's own.
pub fn classes(homes: &[Bytes], home: Option<&Bytes>) -> Result<Classes, Failure> {
    from(homes, Path::new(SYSTEM), home.map(|h| h.join(b".config/backstop/classes.toml")).as_ref())
}

fn from(homes: &[Bytes], system: &Path, user: Option<&Bytes>) -> Result<Classes, Failure> {
    let mut classes = Classes::new(homes);
    if let Some(text) = read(system)? {
        // Who else could write it could free any place.
        let layer = if only_roots(system) { Layer::System } else { Layer::Below };
        add(&mut classes, &text, layer, system)?;
    }
    if let Some(user) = user
        && let Some(text) = read(user.as_path())?
    {
        add(&mut classes, &text, Layer::Below, user.as_path())?;
    }
    Ok(classes)
}

fn add(classes: &mut Classes, text: &str, layer: Layer, path: &Path) -> Result<(), Failure> {
    let shown = Bytes::from(path);
    classes.add(text, layer).map_err(|e| {
        Failure::because(format!("{} can't be used, so nothing was run", shown.quoted()), &e)
            .next("mend the file; what it may hold: backstop help classes")
    })
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(Failure::because(format!("cannot read {}", Bytes::from(path).quoted()), &e)
            .next("make it readable, or take it away")),
    }
}

/// True where nobody but root can write the file or put another in its place.
fn only_roots(path: &Path) -> bool {
    path.ancestors().all(|p| p.symlink_metadata().is_ok_and(|m| m.uid() == 0 && m.mode() & 0o022 == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_user_adds_and_frees_nothing() {
        let dir = tempfile::tempdir().expect("temp");
        let file = dir.path().join("classes.toml");
        let (none, mine) = (dir.path().join("missing"), Bytes::from(file.as_path()));
        let load = || from(&[], &none, Some(&mine));
        assert_eq!(load().expect("no file"), Classes::new(&[]));
        std::fs::write(&file, "[database]\nsystem = ['/data/pg']").expect("file");
        assert_eq!(load().expect("adds").of_place(&"/data/pg/x".into()).next(), Some("database"));
        for (text, part) in [("[cache]\nhome = ['x']", "only the system's file"), ("[x]\nnope = 1", "unknown field")] {
            std::fs::write(&file, text).expect("file");
            let failure = load().expect_err(text);
            assert!(failure.what.contains(part) && !failure.next.is_empty(), "{}", failure.what);
        }
    }

    #[test]
    fn a_system_file_that_others_can_write_frees_nothing() {
        let dir = tempfile::tempdir().expect("temp");
        let file = dir.path().join("classes.toml");
        std::fs::write(&file, "[cache]\nhome = ['x']").expect("file");
        // Below the temporary directory everybody could have put it there.
        assert!(from(&[], &file, None).is_err());
    }
}
