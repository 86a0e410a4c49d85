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

/// Which file systems are nearly full.
#[derive(Debug, Default)]
pub(super) struct Disks {
    /// By their place, with the percent that are left.
    low: BTreeMap<String, u64>,
}

impl Disks {
    /// Looks at them; gives those that have less than so many percent left, with what they have.
    pub fn look(&mut self, least: u8) -> BTreeMap<String, u64> {
        if least == 0 {
            return BTreeMap::new();
        }
        // What can't be looked at is as it was.
        let Ok(text) = fs::read(MOUNTS) else { return self.low.clone() };
        let mounts = mounts(&String::from_utf8_lossy(&text));
        self.take(
            mounts.into_iter().map(|place| (room(&place), place)).map(|(room, place)| (place, room)),
            least.into(),
        )
    }

    fn take(&mut self, rooms: impl IntoIterator<Item = (String, Option<Room>)>, least: u64) -> BTreeMap<String, u64> {
        let old = std::mem::take(&mut self.low);
        for (place, room) in rooms {
            let was = old.get(&place).copied();
            let least = if was.is_some() { least + MORE } else { least };
            let percent = room.map_or(was, |room| Some(room.percent()));
            if let Some(percent) = percent.filter(|percent| *percent < least) {
                self.low.insert(place, percent);
            }
        }
        self.low.clone()
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
        let mut look = |free: Option<u64>| {
            disks.take([("/".to_owned(), free.map(|free| Room { free, all: 1_000 }))], 5).get("/").copied()
        };
        let free = [Some(60), Some(50), Some(49), Some(55), None, Some(69), Some(70), None, Some(60), Some(0)];
        let seen: Vec<_> = free.map(&mut look).into();
        let low = [None, None, Some(4), Some(5), Some(5), Some(6), None, None, None, Some(0)];
        assert_eq!(seen, low, "what can't be looked at is as it was");
        assert_eq!(Room { free: 0, all: 0 }.percent(), 100, "what has no room at all is not full");
    }

    #[test]
    fn this_machine_has_room_as_df_says() {
        let room = room("/").expect("a file system");
        assert!(room.all > 0 && room.free <= room.all, "{room:?}");
        assert!(Disks::default().look(0).is_empty());
    }
}
