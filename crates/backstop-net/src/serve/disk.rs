//! File systems that are nearly full: those on disks, as this process sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::fs::statvfs;

/// So many percent more have to be there again before it is over, so that nobody hears of it every minute.
const MORE: u64 = 2;

/// What the kernel says of mounts.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Room that is left: of so many bytes so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    free: u64,
    all: u64,
}

impl Room {
    fn percent(self) -> u64 {
        if self.all == 0 {
            100
        } else {
            u64::try_from(u128::from(self.free) * 100 / u128::from(self.all)).unwrap_or(100)
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Those that are nearly full, with the percent that are left.
    pub low: BTreeMap<String, u64>,
    /// All that were looked at.
    pub looked: BTreeSet<String>,
}

/// Which file systems are nearly full.
#[derive(Debug, Default)]
pub(super) struct Disks {
    /// By their place, with the percent that are left.
    low: BTreeMap<String, u64>,
}

impl Disks {
    /// Looks at them, for those that have less than so many percent left.
    pub fn look(&mut self, least: u8) -> Found {
        let text = if least == 0 { Vec::new() } else { fs::read(MOUNTS).unwrap_or_default() };
        let mounts = mounts(&String::from_utf8_lossy(&text));
        self.take(mounts.into_iter().filter_map(|place| room(&place).map(|room| (place, room))), least.into())
    }

    fn take(&mut self, rooms: impl IntoIterator<Item = (String, Room)>, least: u64) -> Found {
        let old = std::mem::take(&mut self.low);
        let mut looked = BTreeSet::new();
        for (place, room) in rooms {
            let least = if old.contains_key(&place) { least + MORE } else { least };
            if room.percent() < least {
                self.low.insert(place.clone(), room.percent());
            }
            looked.insert(place);
        }
        Found { low: self.low.clone(), looked }
    }
}

/// As `df` counts: what is kept for root is no room.
fn room(place: &str) -> Option<Room> {
    let stat = statvfs(place).ok()?;
    let used = stat.f_blocks.checked_sub(stat.f_bfree)?;
    Some(Room { free: stat.f_bavail, all: used + stat.f_bavail })
}

/// Where disks that can be written are mounted, each at its first place. By proc(5): `… 8:1 ROOT PLACE OPTIONS … - TYPE SOURCE OPTIONS`.
fn mounts(text: &str) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for line in text.lines() {
        let (Some(before), Some(after)) = (line.split(" - ").next(), line.split(" - ").nth(1)) else { continue };
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        let ([_, _, device, _, place, options, ..], [kind, source, super_options]) = (&before[..], &after[..]) else {
            continue;
        };
        let writable = |options: &str| options.split(',').any(|option| option == "rw");
        // Of what is no disk (memory, other machines, views) its own people have to look after the room.
        let disk = source.starts_with("/dev/") || *kind == "zfs";
        // A unit sees most of the machine read-only; the file system is not.
        if disk && (writable(super_options) || writable(options)) && known.insert((*device).to_owned()) {
            all.push(plain(place));
        }
    }
    all
}

/// A place without the kernel's escapes for blanks: `\040`.
fn plain(place: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(place.to_owned(), |place, (escape, plain)| place.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_listed_once_and_nothing_else() {
        let text = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n\
                    23 22 0:5 / /proc rw - proc proc rw\n\
                    24 22 8:17 / /srv/my\\040data ro,relatime shared:2 - xfs /dev/sdb1 rw\n\
                    25 22 8:1 /var /var rw - ext4 /dev/sda1 rw\n\
                    26 22 7:3 / /snap/x ro - squashfs /dev/loop3 ro\n\
                    27 22 11:0 / /cdrom ro - iso9660 /dev/sr0 ro\n\
                    28 22 0:44 / /mnt rw - nfs4 server:/x rw\n\
                    29 22 0:50 / /tank rw - zfs tank rw\n\
                    nonsense\n";
        assert_eq!(mounts(text), ["/", "/srv/my data", "/tank"]);
    }

    #[test]
    fn it_is_over_when_there_is_clearly_room_again() {
        let mut disks = Disks::default();
        let mut look = |free: u64| disks.take([("/".to_owned(), Room { free, all: 1_000 })], 5).low.get("/").copied();
        let seen: Vec<_> = [60, 50, 49, 55, 69, 70, 60, 0].map(&mut look).into();
        assert_eq!(seen, [None, None, Some(4), Some(5), Some(6), None, None, Some(0)]);
        assert_eq!(Room { free: 0, all: 0 }.percent(), 100, "what has no room at all is not full");
    }

    #[test]
    fn this_machine_has_room_as_df_says() {
        let room = room("/").expect("a file system");
        assert!(room.all > 0 && room.free <= room.all, "{room:?}");
        assert_eq!(Disks::default().look(0), Found::default());
    }
}
