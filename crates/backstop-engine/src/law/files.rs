//! Policy files on the disk: finds, trusts and reads them. Never hangs on a pipe, never reads more than a
//! policy can be.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::policy::law::{Layer, Profile, Refusal, Source};
use backstop_sys::fs as sys;

use super::Places;
use crate::ways::ways;

/// More bytes are no such file; an agent could put anything into its workspace.
const LONGEST: u64 = 256 * 1024;
/// More files are no policy.
const MOST: usize = 64;

/// Every source in the order of the layers, and what could not be read or trusted.
pub(super) fn gather(
    profile: Profile,
    places: &Places,
    trusted: &dyn Fn(&Path) -> bool,
) -> (Vec<Source>, Vec<Refusal>) {
    let mut sources = Vec::new();
    let mut refusals = Vec::new();
    let mut take = |path: &Path, layer: Layer| match read(path) {
        Ok(text) => sources.push(Source { layer, name: shown(path), text }),
        Err(error) => refusals.push(unreadable(path, &error)),
    };
    let system = list(&places.system);
    let mut own = None;
    let mut further = Vec::new();
    for path in system.as_ref().map(Vec::as_slice).unwrap_or_default() {
        match Profile::ALL.iter().find(|p| path.ends_with(p.file())) {
            Some(other) if *other == profile => own = Some(path),
            // The base of another profile has no say here.
            Some(_) => {}
            None => further.push(path),
        }
    }
    let distrusted: Vec<_> = own.iter().chain(&further).filter(|p| !trusted(p)).map(|p| untrusted(p)).collect();
    if distrusted.is_empty() {
        if let Some(path) = own {
            take(path, Layer::Profile);
        }
        further.iter().for_each(|path| take(path, Layer::System));
    }
    let below = [(&places.user, Layer::User), (&places.project, Layer::Project)];
    let mut failed: Vec<Refusal> = system.as_ref().err().map(|e| unreadable(&places.system, e)).into_iter().collect();
    for (dir, layer) in below {
        let Some(dir) = dir else { continue };
        let taken = places.reader.read(|| list(dir).map(|paths| paths.iter().for_each(|path| take(path, layer))));
        if let Err(error) = taken.and_then(|listed| listed) {
            failed.push(unreadable(dir, &error));
        }
    }
    if own.is_none() {
        sources.insert(0, profile.source());
    }
    refusals.extend(distrusted);
    refusals.extend(failed);
    (sources, refusals)
}

/// These places, with every link that leads to one of them, or from it to where its rules really are.
pub(super) fn sources(dirs: &[Option<&Path>], file: Option<&Path>) -> Vec<Bytes> {
    let mut all: Vec<Bytes> = Vec::new();
    for (place, beneath) in dirs.iter().map(|d| (d, true)).chain([(&file, false)]) {
        let Some(place) = place else { continue };
        all.push(Bytes::from(*place));
        // What can't be listed can't be loaded either, and denies.
        let files = if beneath { list(place).unwrap_or_default() } else { Vec::new() };
        let real = files.iter().map(PathBuf::as_path).chain([*place]).flat_map(ways).map(Bytes::from);
        all.extend(real.filter(|p| !p.is_beneath(place.as_os_str().as_encoded_bytes())));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// A file as if it were one of the machine's.
pub(super) fn one(profile: Profile, path: &Path) -> Result<Source, Refusal> {
    let layer = if path.ends_with(profile.file()) { Layer::Profile } else { Layer::System };
    let text = read(path).map_err(|e| unreadable(path, &e))?;
    Ok(Source { layer, name: shown(path), text })
}

/// The policy files in `dir`, by name; none where there is no such directory.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "cedar") {
            found.push(path);
            if found.len() > MOST {
                return Err(io::Error::other(format!("more than {MOST} policy files are in it")));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file of rules, classes or settings.
///
/// # Errors
/// Whatever keeps it from being read; also where it is no file, or longer than any such file is.
pub fn read(path: &Path) -> io::Result<String> {
    // Links are followed once here, where the machine's files were trusted at both ends.
    let real = fs::canonicalize(path)?;
    let file = File::from(sys::open_to_read(Bytes::from(real).as_slice())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {} KiB", LONGEST / 1024)));
    }
    Ok(text)
}

/// True where nobody but root can write the file, or put another in its place; where it is a link, the
/// same holds for where it leads.
pub fn only_roots(path: &Path) -> bool {
    let roots = |p: &Path| {
        p.ancestors().all(|a| {
            a.symlink_metadata().is_ok_and(|m| m.uid() == 0 && (m.file_type().is_symlink() || m.mode() & 0o022 == 0))
        })
    };
    roots(path) && fs::canonicalize(path).is_ok_and(|real| roots(&real))
}

pub(super) fn shown(path: &Path) -> String {
    Bytes::from(path).quoted().to_string()
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Refusal {
        at: shown(path),
        id: None,
        next: "make it readable, or take it away".to_owned(),
        rule: "rules that can't be read are not taken for none".to_owned(),
        why: format!("it can't be read: {error}"),
    }
}

pub(super) fn untrusted(path: &Path) -> Refusal {
    Refusal {
        at: shown(path),
        id: None,
        next: format!("have root own it and all directories above it: chown root: {0} && chmod go-w {0}", shown(path)),
        rule: "the machine's rules are root's alone".to_owned(),
        why: "others than root can write it, or put another in its place".to_owned(),
    }
}
