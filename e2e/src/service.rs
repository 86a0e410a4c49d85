//! Takes a directory, serves it over a path socket like a service outside the sandbox would: it
//! lists, deletes and stores what its callers ask for, below its own directory only.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Broken;

/// A running stand-in; stopped when dropped.
///
/// It understands HTTP requests for `/list/DIR`, `/del/FILE`, `/rmtree/DIR` and `/post/FILE`,
/// whatever the method and the host.
pub struct Service {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Serves `store` at the socket `at`.
    pub fn start(at: &Path, store: PathBuf) -> Result<Self, Broken> {
        if let Some(dir) = at.parent() {
            std::fs::create_dir_all(dir).map_err(Broken::io("make the socket's directory"))?;
        }
        let listener = UnixListener::bind(at).map_err(Broken::io("bind the stand-in's socket"))?;
        std::fs::set_permissions(at, PermissionsExt::from_mode(0o777)).map_err(Broken::io("open the socket to all"))?;
        listener.set_nonblocking(true).map_err(Broken::io("set the socket up"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A caller that breaks off harms only itself.
                    Ok((stream, _)) => drop(answer(stream, &store)),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn answer(mut stream: UnixStream, store: &Path) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut data = Vec::new();
    let mut buf = [0; 65536];
    let head_end = loop {
        if let Some(at) = data.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            n => data.extend_from_slice(&buf[..n]),
        }
    };
    let head = String::from_utf8(data[..head_end].to_vec()).map_err(std::io::Error::other)?;
    let length = head
        .lines()
        .filter_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(|v| v.trim().to_owned()))
        .find_map(|v| v.parse::<usize>().ok())
        .unwrap_or(0);
    while data.len() < head_end + 4 + length {
        match stream.read(&mut buf)? {
            0 => break,
            n => data.extend_from_slice(&buf[..n]),
        }
    }
    let url = head.split_whitespace().nth(1).unwrap_or("/").trim_start_matches('/');
    let (verb, path) = url.split_once('/').unwrap_or((url, ""));
    let mut said = b"ok\n".to_vec();
    if Path::new(path).components().all(|c| matches!(c, Component::Normal(_))) {
        let path = store.join(path);
        match verb {
            "list" => {
                let mut names: Vec<_> = std::fs::read_dir(path)?.flatten().map(|e| e.file_name()).collect();
                names.sort();
                said = names.iter().flat_map(|n| [n.as_encoded_bytes(), b"\n"].concat()).collect();
            }
            "del" => std::fs::remove_file(path)?,
            "rmtree" => std::fs::remove_dir_all(path)?,
            "post" => std::fs::write(path, &data[head_end + 4..])?,
            _ => {}
        }
    }
    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
    stream.write_all(&said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(socket: &Path, request: &str) -> String {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    #[test]
    fn it_lists_deletes_and_stores_below_its_directory_only() {
        let t = tempfile::tempdir().unwrap();
        let store = t.path().join("store");
        std::fs::create_dir_all(store.join("d")).unwrap();
        std::fs::write(store.join("d/a"), "x").unwrap();
        std::fs::write(t.path().join("outside"), "x").unwrap();
        let socket = t.path().join("s");
        let service = Service::start(&socket, store.clone()).unwrap();
        assert!(ask(&socket, "GET /list/d HTTP/1.0\r\n\r\n").ends_with("\r\n\r\na\n"));
        ask(&socket, "POST /post/d/b HTTP/1.0\r\nContent-Length: 3\r\n\r\nnew");
        ask(&socket, "DELETE /del/d/a HTTP/1.0\r\n\r\n");
        ask(&socket, "DELETE /del/../outside HTTP/1.0\r\n\r\n");
        drop(service);
        assert_eq!(std::fs::read(store.join("d/b")).unwrap(), b"new");
        assert!(!store.join("d/a").exists());
        assert!(t.path().join("outside").exists());
    }
}
