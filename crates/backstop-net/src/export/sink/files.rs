//! Plain files of OCSF events, a line each, one file a day by the entry's own clock, for whatever reads files. Each event is
//! there once: the last line of the newest file says how far it was written, and half a line is cut off.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use rustix::fs::Access;
use serde_json::Value;

use super::{Fate, Limits, Shaped, Sink};
use crate::deliver::Miss;
use crate::export::config;
use crate::export::form::{Room, ocsf};
use crate::export::record::Record;

/// A file's name begins and ends with these; between them stands the day.
const NAME: (&str, &str) = ("backstop-", ".ocsf.jsonl");

/// So much is read of a file's end at once to find its last line.
const STEP: u64 = 64 << 10;

pub(super) struct Files {
    dir: PathBuf,
    /// How many days' files are kept; all where it is not said.
    days: Option<usize>,
}

impl Files {
    pub fn new(to: &config::Files) -> Self {
        Self { dir: to.dir.clone(), days: to.days }
    }

    /// Nobody else writes there while this is held: what sends again what was lost may be at work beside the exporter.
    fn alone(&self) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o750).create(&self.dir)?;
        let lock = File::options().create(true).append(true).mode(0o600).open(self.dir.join(".lock"))?;
        // Without waiting: who holds it for ever must not keep us from saying so.
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody else writes there"))
            }
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// The files of days, oldest first.
    fn all(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.starts_with(NAME.0) && name.ends_with(NAME.1) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where a file's whole lines end, and the last of them.
    fn last(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut tail = Vec::new();
        let mut from = length;
        loop {
            let begin = from.saturating_sub(STEP);
            let mut piece = vec![0; usize::try_from(from - begin).unwrap_or_default()];
            file.seek(SeekFrom::Start(begin))?;
            file.read_exact(&mut piece)?;
            piece.extend_from_slice(&tail);
            (tail, from) = (piece, begin);
            let ends: Vec<usize> = tail.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at).collect();
            match (ends.as_slice(), from) {
                ([.., before, end], _) => return Ok((from + *end as u64 + 1, Some(tail[before + 1..*end].to_vec()))),
                ([end], 0) => return Ok((*end as u64 + 1, Some(tail[..*end].to_vec()))),
                ([], 0) => return Ok((0, None)),
                _ => {}
            }
        }
    }

    fn write(&self, batch: &[Shaped], fates: &mut Vec<Fate>) -> io::Result<()> {
        let _alone = self.alone()?;
        let mut written: Option<(String, u64)> = None;
        let newest = self.all()?.pop();
        // A file's name is never older than one that is there, also where the clock went back: what was written last is
        // in the newest.
        let mut today = newest.as_deref().map_or_else(String::new, of_day);
        if let Some(newest) = newest {
            let mut file = File::options().read(true).write(true).open(self.dir.join(&newest))?;
            let (end, line) = Self::last(&mut file)?;
            if end < file.metadata()?.len() {
                file.set_len(end)?;
            }
            let event: Value = line.and_then(|line| serde_json::from_slice(&line).ok()).unwrap_or_default();
            let meta = &event["metadata"];
            if let (Some(log), Some(at)) = (meta["log_name"].as_str(), meta["sequence"].as_u64()) {
                written = Some((log.to_owned(), at));
            }
        }
        let (mut open, mut known): (Option<(String, File)>, usize) = (None, 0);
        for one in batch {
            if written.as_ref().is_some_and(|(of, at)| *of == one.log && one.index <= *at) {
                fates.push(Fate::Known);
                known += 1;
                continue;
            }
            today = today.max(day(one));
            if open.as_ref().is_none_or(|(of, _)| *of != today) {
                if let Some((_, file)) = &open {
                    file.sync_data()?;
                }
                let path = self.dir.join(format!("{}{today}{}", NAME.0, NAME.1));
                open = Some((today.clone(), File::options().create(true).append(true).mode(0o640).open(path)?));
                self.prune()?;
            }
            if let Some((_, file)) = &mut open {
                file.write_all(&[one.bytes.as_slice(), b"\n"].concat())?;
            }
        }
        if let Some((_, file)) = &open {
            file.sync_data()?;
            File::open(&self.dir)?.sync_all()?;
        }
        // Only now: what is not on the disk is not there.
        fates.extend(batch[known..].iter().map(|_| Fate::Taken));
        Ok(())
    }

    /// Takes away the files of the oldest days, where it is said how many are kept.
    fn prune(&self) -> io::Result<()> {
        let Some(days) = self.days else { return Ok(()) };
        let all = self.all()?;
        all.iter().take(all.len().saturating_sub(days)).try_for_each(|name| fs::remove_file(self.dir.join(name)))
    }
}

/// The day in a file's name.
fn of_day(name: &str) -> String {
    name.trim_start_matches(NAME.0).trim_end_matches(NAME.1).to_owned()
}

/// The day of an event, by its own clock.
fn day(one: &Shaped) -> String {
    one.at.to_string().chars().take(10).collect()
}

impl Sink for Files {
    fn limits(&self) -> Limits {
        Limits { records: 1_000, bytes: 8 << 20, each: 4 << 20 }
    }

    fn shape(&self, record: &Record, room: Room) -> Vec<u8> {
        ocsf::event(record, room).to_string().into_bytes()
    }

    fn send(&mut self, batch: &[Shaped], fates: &mut Vec<Fate>) -> Result<(), Miss> {
        self.write(batch, fates).map_err(|e| Miss::again(format!("{}: {e}", self.dir.display())))
    }

    fn probe(&mut self) -> Result<(), Miss> {
        // Nothing is made: what somebody else tries must not be in the exporter's way. A directory that is not there yet it makes
        // itself.
        let there = self.dir.ancestors().find(|dir| dir.exists()).unwrap_or(&self.dir);
        let may = rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK);
        may.map_err(|e| Miss::again(format!("{}: {e}", there.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::tests::whole;
    use super::super::shaped;
    use super::*;

    fn files(dir: &std::path::Path, days: Option<usize>) -> Files {
        Files::new(&config::Files { dir: dir.to_owned(), days })
    }

    fn batch(files: &Files) -> Vec<Shaped> {
        whole().iter().map(|record| shaped(files, record)).collect()
    }

    fn text(dir: &std::path::Path) -> String {
        let files = files(dir, None).all().expect("listed");
        files.iter().map(|name| fs::read_to_string(dir.join(name)).expect("read")).collect()
    }

    #[test]
    fn an_event_is_there_once_whatever_was_cut_off() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = files(dir.path(), None);
        let batch = batch(&files);
        let mut fates = Vec::new();
        files.send(&batch, &mut fates).expect("written");
        assert!(fates.iter().all(|fate| *fate == Fate::Taken));
        let whole = text(dir.path());
        assert_eq!(whole.lines().count(), batch.len());
        // Cut off anywhere, and sent again from any earlier place on, it is the same.
        let name = dir.path().join(files.all().expect("listed").pop().expect("a file"));
        for cut in (0..whole.len()).step_by(97) {
            fs::write(&name, &whole[..cut]).expect("written");
            fates.clear();
            files.send(&batch, &mut fates).expect("written");
            assert_eq!(text(dir.path()), whole, "cut at {cut}");
            let known = fates.iter().filter(|fate| **fate == Fate::Known).count();
            assert_eq!(known, whole[..cut].matches('\n').count());
        }
        // A single line longer than what is read at once is found as well.
        let long = Shaped {
            index: 99,
            bytes: {
                let mut event: Value = serde_json::from_slice(&batch[0].bytes).expect("JSON");
                event["metadata"]["sequence"] = 99.into();
                event["message"] = "x".repeat(200_000).into();
                event.to_string().into_bytes()
            },
            ..batch[0].clone()
        };
        fates.clear();
        files.send(std::slice::from_ref(&long), &mut fates).expect("written");
        files.send(std::slice::from_ref(&long), &mut fates).expect("written");
        assert_eq!(fates, [Fate::Taken, Fate::Known]);
    }

    #[test]
    fn a_day_has_a_file_and_old_ones_go_where_that_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut files = files(dir.path(), Some(2));
        let one = batch(&files).remove(0);
        let on = |index: u64, day: i64| {
            let mut event: Value = serde_json::from_slice(&one.bytes).expect("JSON");
            event["metadata"]["sequence"] = index.into();
            let at = backstop_core::time::Timestamp::new(day * 86_400, 0);
            Shaped { at, index, bytes: event.to_string().into_bytes(), ..one.clone() }
        };
        // The fourth is of a day that was before.
        for (index, day) in [(1, 20_000), (2, 20_001), (3, 20_002), (4, 20_000), (4, 20_000)] {
            files.send(&[on(index, day)], &mut Vec::new()).expect("written");
        }
        assert_eq!(files.all().expect("listed"), ["backstop-2024-10-05.ocsf.jsonl", "backstop-2024-10-06.ocsf.jsonl"]);
        let newest = fs::read_to_string(dir.path().join("backstop-2024-10-06.ocsf.jsonl")).expect("read");
        assert_eq!(newest.lines().count(), 2, "the clock went back, and nothing is lost or doubled");
        assert!(files.probe().is_ok());
        let mut new = Files::new(&config::Files { dir: dir.path().join("not/yet"), days: None });
        assert!(new.probe().is_ok() && !dir.path().join("not").exists(), "it is tried, and nothing is made");
    }
}
