//! What this machine is called in statements: its name, and eight hex digits that no other machine has.

use std::fs;

use backstop_core::approval::is_name;
use backstop_core::digest::Digest;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::store::{Store, Versioned};

/// The file with what was drawn.
const DRAWN: &str = "host.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    digits: Digest,
    version: u32,
}

impl Versioned for Drawn {
    const NEWEST: u32 = 1;
}

/// The longest part that the machine's own name takes.
const LONGEST: usize = 50;

/// `web-1-3fa90c21`. Two machines of one name (an image that was copied) have other digits: those of the machine
/// id (`machine-id(5)`), which is not shown itself; where there is none, digits that are drawn once and kept.
pub fn name(store: &Store) -> Result<String, Failure> {
    let read = |path: &str| fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let own = read("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' };
    let own: String = own.chars().map(plain).take(LONGEST).collect();
    let own = own.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let own = if own.is_empty() { "host" } else { own };
    let digits = match read("/etc/machine-id") {
        Some(id) => Digest::of("backstop/host/1", &[id.as_bytes()]),
        None => drawn(store)?,
    };
    let name = format!("{own}-{}", &digits.hex()[..8]);
    if is_name(&name) { Ok(name) } else { Err(Failure::internal(format!("{name} can't name this machine"))) }
}

/// What was drawn for this state directory, now or before.
fn drawn(store: &Store) -> Result<Digest, Failure> {
    if let Some(Drawn { digits, .. }) = store.read_own(DRAWN)? {
        return Ok(digits);
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|e| Failure::because("cannot name this machine", &e))?;
    let digits = Digest(random);
    store.write_own(DRAWN, &Drawn { digits, version: Drawn::NEWEST })?;
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_and_keeps_it() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let store = Store::open(&dir.path().join("state")).expect("opens");
        let name = super::name(&store).expect("a name");
        let (own, digits) = name.rsplit_once('-').expect("a suffix");
        assert!(!own.is_empty() && digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        assert_eq!(super::name(&store).expect("a name"), name);
        assert_eq!(drawn(&store).expect("drawn"), drawn(&store).expect("kept"));
    }
}
