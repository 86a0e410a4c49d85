//! What this machine is called in statements: its name, and eight hex digits that no other machine has.

use std::fs;

use backstop_core::approval::is_name;
use backstop_core::digest::Digest;

use crate::failure::Failure;

/// The longest part that the machine's own name takes.
const LONGEST: usize = 50;

/// `web-1-3fa90c21`. Two machines of one name (an image that was copied) have other digits, for they are made of
/// the machine id (`machine-id(5)`), which is not shown itself.
pub fn name() -> Result<String, Failure> {
    let read = |path: &str| fs::read_to_string(path).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let own = read("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '-' };
    let own: String = own.chars().map(plain).take(LONGEST).collect();
    let own = own.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let own = if own.is_empty() { "host" } else { own };
    let suffix = match read("/etc/machine-id") {
        Some(id) => Digest::of("backstop/host/1", &[id.as_bytes()]),
        None => {
            // Kept with the trust store from the first person on, so drawn once.
            let mut random = [0; 32];
            getrandom::fill(&mut random).map_err(|e| Failure::because("cannot name this machine", &e))?;
            Digest(random)
        }
    };
    let name = format!("{own}-{}", &suffix.hex()[..8]);
    if is_name(&name) { Ok(name) } else { Err(Failure::internal(format!("{name} can't name this machine"))) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_has_a_name() {
        let name = super::name().expect("a name");
        let (own, digits) = name.rsplit_once('-').expect("a suffix");
        assert!(!own.is_empty() && digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    }
}
