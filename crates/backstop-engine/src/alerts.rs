//! The rules for alerts that are in force: what Backstop brings, and the machine's file, which root alone may be able to write;
//! in personal mode, where there is no such file, the person's own, which no run reaches. A file that can't be used changes
//! nothing: what Backstop brings holds, and people are told so.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use backstop_core::alert::Rules;
use backstop_core::bytes::Bytes;
use backstop_core::machine::Mode;

use crate::law::{only_roots, read};
use crate::porch;

/// The administrator's file.
pub const FILE: &str = "/etc/backstop/alerts.toml";

/// A person's own, in his home.
const OWN: &str = ".config/backstop/alerts.toml";

/// The file that is gone by: the machine's, or in personal mode that of the home where there is none.
pub fn file(home: Option<&Path>) -> PathBuf {
    let personal = porch::machine().is_ok_and(|machine| machine.mode == Mode::Personal);
    let machine = Path::new(FILE);
    match home {
        Some(home) if personal && machine.symlink_metadata().is_err() => home.join(OWN),
        _ => machine.to_owned(),
    }
}

/// The rules that are in force, and why the file's are not.
pub fn rules(file: &Path) -> (Rules, Option<String>) {
    match from(file, &|file| file != Path::new(FILE) || only_roots(file)) {
        Ok(rules) => (rules, None),
        Err(why) => (Rules::built_in(), Some(why)),
    }
}

/// What a file says.
///
/// # Errors
/// Why it can't be gone by, with its name, on one line.
pub fn from(file: &Path, trusted: &dyn Fn(&Path) -> bool) -> Result<Rules, String> {
    let shown = Bytes::from(file).quoted().to_string();
    match file.symlink_metadata() {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Rules::built_in()),
        Ok(_) if !trusted(file) => return Err(format!("{shown}: others than root can write it")),
        Ok(_) | Err(_) => {}
    }
    let text = read(file).map_err(|e| format!("{shown} can't be read: {e}"))?;
    Rules::parse(&text).map_err(|e| format!("{shown}, {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_changes_nothing_and_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("alerts.toml");
        assert_eq!(rules(&file), (Rules::built_in(), None));
        std::fs::write(&file, "off = ['deletes-trees']").expect("written");
        let (fewer, trouble) = rules(&file);
        assert_eq!((fewer.all().len(), trouble), (Rules::built_in().all().len() - 1, None));
        assert!(from(&file, &only_roots).is_err_and(|why| why.contains("others than root")));
        std::fs::write(&file, "off = ['deletes']").expect("written");
        let (all, trouble) = rules(&file);
        assert_eq!(all, Rules::built_in());
        assert!(
            trouble.is_some_and(
                |why| why.ends_with("alerts.toml, line 1: no rule of Backstop's own is called \"deletes\"")
            )
        );
        std::fs::remove_file(&file).expect("removed");
        std::os::unix::fs::symlink("/nowhere/at/all", &file).expect("a link");
        assert!(
            rules(&file).1.is_some_and(|why| why.contains("can't be read")),
            "a link to nothing is no missing file"
        );
    }

    #[test]
    fn a_person_has_rules_where_the_machine_has_none() {
        let own = Path::new("/home/anna/.config/backstop/alerts.toml");
        let machines = Path::new(FILE).exists() || porch::machine().is_ok_and(|machine| machine.mode == Mode::System);
        assert_eq!(file(Some(Path::new("/home/anna"))), if machines { Path::new(FILE) } else { own });
        assert_eq!(file(None), Path::new(FILE));
    }
}
