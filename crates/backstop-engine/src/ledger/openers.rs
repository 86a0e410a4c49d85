//! Who else has files open: one pass over `/proc/*/fd`, matched by device and inode. Sees what the
//! caller may see: every process as root, one's own otherwise.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use backstop_core::bytes::Bytes;
use backstop_core::effect::Opener;

/// A process, as an index into `Openers::processes`, and whether it may write.
type Handle = (u32, bool);

/// All open regular files and directories of the machine.
#[derive(Default)]
pub(crate) struct Openers {
    by_inode: HashMap<(u64, u64), Vec<Handle>>,
    processes: Vec<(u32, Bytes)>,
}

impl Openers {
    /// Looks once. Processes that end meanwhile, or that may not be looked into, are passed over.
    pub fn scan() -> Self {
        let mut openers = Self::default();
        let own = std::process::id();
        let Ok(proc) = fs::read_dir("/proc") else { return openers };
        for entry in proc.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
            let Ok(fds) = fs::read_dir(entry.path().join("fd")) else { continue };
            if pid == own {
                continue;
            }
            let mut process = None;
            for fd in fds.flatten() {
                let Ok(target) = fs::metadata(fd.path()) else { continue };
                if !(target.is_file() || target.is_dir()) {
                    continue;
                }
                // The link's own permission bits say how the file was opened (proc(5)).
                let writing = fs::symlink_metadata(fd.path()).is_ok_and(|l| l.mode() & 0o200 != 0) && target.is_file();
                let index = *process.get_or_insert_with(|| {
                    let name = fs::read(entry.path().join("comm")).unwrap_or_default();
                    openers.processes.push((pid, Bytes::new(name.trim_ascii_end())));
                    openers.processes.len() as u32 - 1
                });
                openers.by_inode.entry((target.dev(), target.ino())).or_default().push((index, writing));
            }
        }
        openers
    }

    /// Adds who has the inode open to `counts`.
    pub fn note(&self, dev: u64, ino: u64, counts: &mut HashMap<u32, (u64, bool)>) {
        for (process, writing) in self.by_inode.get(&(dev, ino)).into_iter().flatten() {
            let count = counts.entry(*process).or_default();
            count.0 += 1;
            count.1 |= writing;
        }
    }

    /// The counts as a list, most files first.
    pub fn list(&self, counts: &HashMap<u32, (u64, bool)>) -> Vec<Opener> {
        let mut list: Vec<_> = counts
            .iter()
            .map(|(process, (files, writing))| {
                let (pid, name) = &self.processes[*process as usize];
                Opener { files: *files, name: name.clone(), pid: *pid, writing: *writing }
            })
            .collect();
        list.sort_by(|a, b| b.files.cmp(&a.files).then(a.pid.cmp(&b.pid)));
        list
    }
}

/// The device number that `/proc` shows is the same `st_dev` that `statx` gives for the file.
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn an_open_file_names_its_process() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("db");
        fs::File::create(&path).and_then(|mut f| f.write_all(b"x")).expect("a file");
        let mut child = Command::new("sh")
            .args(["-c", "exec 9>>\"$0\"; echo ready; read x", path.as_os_str().to_str().expect("utf-8")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().expect("piped")), &mut line)
            .expect("ready");
        let meta = fs::metadata(&path).expect("it is there");
        let openers = Openers::scan();
        let mut counts = HashMap::new();
        openers.note(meta.dev(), meta.ino(), &mut counts);
        let list = openers.list(&counts);
        drop(child.stdin.take());
        child.wait().expect("ends");
        assert_eq!(list.len(), 1, "{list:?}");
        assert_eq!((list[0].pid, list[0].writing), (child.id(), true));
        assert_eq!(list[0].name.as_os().as_bytes(), b"sh");
    }
}
