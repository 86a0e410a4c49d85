//! Secrets, from files of their own.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A secret is shorter than this.
const LONGEST: u64 = 4 << 10;

/// A secret, from a file that not everybody may read.
///
/// # Errors
/// One that can't be read, is everybody's, empty or too long, as a sentence fragment.
pub fn secret(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("the secret in {} can't be read: {e}", path.display());
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() || meta.mode() & 0o007 != 0 {
        return Err(format!("the secret in {} is everybody's to read: chmod o-rwx", path.display()));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    match text.trim() {
        _ if text.len() as u64 == LONGEST => Err(format!("{} is too long for a secret", path.display())),
        "" => Err(format!("{} is empty", path.display())),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_not_everybodys() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        assert!(secret(&path).is_err());
        fs::write(&path, " s3cret\n").expect("written");
        for (mode, good) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set");
            assert_eq!(secret(&path).is_ok_and(|s| s == "s3cret"), good, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
        fs::write(&path, "\n").expect("written");
        assert!(secret(&path).is_err() && secret(dir.path()).is_err());
    }
}
