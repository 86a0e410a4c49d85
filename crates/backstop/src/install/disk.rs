//! Files of people's, read and written: never half, never through a link that was not followed on purpose.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_engine::Failure;

/// More than this no configuration has.
const LIMIT: u64 = 16 << 20;

/// A file as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is in it; none where there is no file.
    pub bytes: Option<Vec<u8>>,
    /// True where its owner may start it.
    pub executable: bool,
    /// Its place behind all links.
    pub real: PathBuf,
}

/// Reads a file, behind all links.
///
/// # Errors
/// A link to nothing, something that is no file, or one that can't be read.
pub fn find(path: &Path) -> Result<Found, Failure> {
    let shown = quoted(path);
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(e) if e.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => missing(path)?,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(Failure::internal(format!("{shown} is a link to nothing"))
                .next("make what it leads to, or take the link away; then say it again"));
        }
        Err(e) => return Err(Failure::because(format!("cannot tell where {shown} leads"), &e)),
    };
    match fs::metadata(&real) {
        Ok(meta) if !meta.is_file() => {
            Err(Failure::internal(format!("{shown} is no file")).next("take it out of the way, then say it again"))
        }
        Ok(meta) if meta.len() > LIMIT => Err(Failure::internal(format!("{shown} is bigger than 16 MiB"))),
        Ok(meta) => match fs::read(&real) {
            Ok(bytes) => Ok(Found { bytes: Some(bytes), executable: meta.mode() & 0o100 != 0, real }),
            Err(e) => Err(Failure::because(format!("cannot read {shown}"), &e).next("have its owner say it")),
        },
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Found { bytes: None, executable: false, real }),
        Err(e) => Err(Failure::because(format!("cannot read {shown}"), &e)),
    }
}

/// Where a file that is not there would really be.
fn missing(path: &Path) -> Result<PathBuf, Failure> {
    let mut rest = Vec::new();
    let mut here = path;
    loop {
        match here.canonicalize() {
            Ok(real) => return Ok(rest.iter().rev().fold(real, |p, name| p.join(name))),
            Err(e) if e.kind() == ErrorKind::NotFound && here.symlink_metadata().is_err() => {}
            Err(e) => {
                return Err(Failure::because(format!("cannot tell where {} leads", quoted(path)), &e)
                    .next("make what the link leads to, or take it away; then say it again"));
            }
        }
        let (Some(parent), Some(name)) = (here.parent(), here.file_name()) else {
            return Err(Failure::internal(format!("{} is no place for a file", quoted(path))));
        };
        rest.push(name);
        here = parent;
    }
}

/// Makes directories, outermost first; `shared` ones for everybody to read, whatever the umask.
///
/// # Errors
/// Where one can't be made.
pub fn make(dirs: &[PathBuf], shared: bool) -> Result<(), Failure> {
    for dir in dirs {
        let failed = |e: io::Error| Failure::because(format!("cannot make {}", quoted(dir)), &e).next(help(&e));
        fs::create_dir(dir).map_err(failed)?;
        if shared {
            fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(failed)?;
        }
    }
    Ok(())
}

/// The directories above `file` that are not there.
pub fn way(file: &Path) -> Vec<PathBuf> {
    let above = file.ancestors().skip(1).take_while(|dir| dir.symlink_metadata().is_err());
    let mut all: Vec<PathBuf> = above.map(Path::to_owned).collect();
    all.reverse();
    all
}

/// How a file that is not there yet is made.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    pub bits: u32,
    /// For everybody, whatever the umask.
    pub shared: bool,
}

/// Puts `bytes` in the place of what was read, at once: mode and owner stay, a crash leaves the old or the
/// new.
///
/// # Errors
/// Where it can't be written, or another has changed the file meanwhile.
pub fn replace(found: &Found, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    let shown = quoted(&found.real);
    let failed = |e: io::Error| Failure::because(format!("cannot write {shown}"), &e).next(help(&e));
    let dir = found.real.parent().unwrap_or(Path::new("/"));
    let mut temp = tempfile::Builder::new()
        .prefix(".backstop-")
        .permissions(Permissions::from_mode(mode.bits))
        .tempfile_in(dir)
        .map_err(failed)?;
    temp.write_all(bytes).map_err(failed)?;
    let bits = match fs::metadata(&found.real) {
        Ok(old) => {
            let new = temp.as_file().metadata().map_err(failed)?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                std::os::unix::fs::fchown(temp.as_file(), Some(old.uid()), Some(old.gid())).map_err(failed)?;
            }
            // A program that somebody has made a mere file is one again.
            Some(old.mode() & 0o7777 | mode.bits & 0o111)
        }
        Err(_) => mode.shared.then_some(mode.bits),
    };
    if let Some(bits) = bits {
        temp.as_file().set_permissions(Permissions::from_mode(bits)).map_err(failed)?;
    }
    temp.as_file().sync_all().map_err(failed)?;
    if find(&found.real)?.bytes != found.bytes {
        return Err(Failure::new(
            backstop_engine::FailureKind::Conflict,
            format!("{shown} was changed by somebody else meanwhile, so it was left alone"),
        )
        .next("close the agent, then say it again"));
    }
    temp.persist(&found.real).map_err(|e| failed(e.error))?;
    sync(dir).map_err(failed)
}

/// Without this a power cut may lose the rename itself.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Takes a file away; one that is gone already is no trouble.
///
/// # Errors
/// Where it can't be removed.
pub fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(Failure::because(format!("cannot remove {}", quoted(file)), &e).next(help(&e)))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn help(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "have the owner of the file say it; for the machine's own files that is root",
        ErrorKind::ReadOnlyFilesystem => "the file system takes no changes: mount it for writing, then say it again",
        ErrorKind::StorageFull => "the disk is full: make room, then say it again",
        _ => "nothing was changed; mend that, then say it again",
    }
}

pub fn quoted(path: &Path) -> String {
    Bytes::from(path).quoted().to_string()
}
