//! Figures for Prometheus: an address of this machine that gives them to whoever asks, and nothing else. They name channels, sinks,
//! rules and places; no text of anybody's is in them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Whoever asks has so long for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause before an address is tried again that another has.
const AGAIN: Duration = Duration::from_secs(30);

/// So many are answered at once.
const AT_ONCE: usize = 32;

/// A longer question is none of Prometheus'.
const LONGEST: usize = 16 << 10;

/// What the figures are in: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a figure is of.
pub type Labels = Vec<(&'static str, String)>;

/// The figures of one moment.
#[derive(Debug, Default)]
pub struct Page(Registry);

impl Page {
    /// Numbers that go up and down.
    pub fn gauge(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, i64)>) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// Numbers that only go up; `_total` is added to the name.
    pub fn counter(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter<u64, AtomicU64>>::default();
        for (labels, value) in rows {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0).expect("a text takes whatever is written");
        text
    }
}

/// Whether figures may be given there: to this machine alone, since nobody is asked who he is.
///
/// # Errors
/// Why not.
pub fn address(address: SocketAddr) -> Result<(), String> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "`metrics` is an address of this machine alone, as in \"127.0.0.1:9464\": whoever asks at {address} is not asked who he is"
    ))
}

/// Gives them at an address, for as long as the process lives. Another may have it: then it is tried again, and nothing else
/// waits for it.
pub fn serve(address: SocketAddr, page: &(dyn Fn() -> Page + Sync), say: &dyn Fn(&str)) {
    let mut said = false;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => give(&listener, page),
            Err(e) if !said => {
                say(&format!("no figures are given at {address}, it is tried again: {e}"));
                said = true;
            }
            Err(_) => {}
        }
        thread::sleep(AGAIN);
    }
}

/// To so many at once that one who is slow keeps them from nobody.
fn give(listener: &TcpListener, page: &(dyn Fn() -> Page + Sync)) {
    let asking = AtomicUsize::new(0);
    thread::scope(|scope| {
        loop {
            let Ok((stream, _)) = listener.accept() else {
                // Whoever asked went away, or there are no descriptors for a moment.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            // Beyond that who asks is hung up on.
            if asking.fetch_add(1, Ordering::Relaxed) >= AT_ONCE {
                asking.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let asking = &asking;
            scope.spawn(move || {
                drop(answer(&stream, page));
                asking.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

fn answer(mut stream: &TcpStream, page: &dyn Fn() -> Page) -> std::io::Result<()> {
    let (status, kind, body) = match question(stream)?.as_deref() {
        Some("GET /metrics") => ("200 OK", TYPE, page().text()),
        Some(other) if other.starts_with("GET ") => {
            ("404 Not Found", "text/plain", "figures are at /metrics\n".to_owned())
        }
        Some(_) => ("405 Method Not Allowed", "text/plain", "GET /metrics\n".to_owned()),
        None => ("400 Bad Request", "text/plain", "GET /metrics\n".to_owned()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let all = [head.as_bytes(), body.as_bytes()].concat();
    let (end, mut at) = (Instant::now() + PATIENCE, 0);
    while at < all.len() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        at += stream.write(&all[at..])?;
    }
    Ok(())
}

/// The method and the path; none where it is no question.
fn question(mut stream: &TcpStream) -> std::io::Result<Option<String>> {
    let end = Instant::now() + PATIENCE;
    let mut asked = Vec::new();
    // To its end, or who asked would hear that we hung up, and not what we say.
    while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || asked.len() > LONGEST {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        let mut some = [0; 2048];
        match stream.read(&mut some)? {
            0 => return Ok(None),
            n => asked.extend_from_slice(&some[..n]),
        }
    }
    let line = asked.split(|b| *b == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let words: Vec<&str> = line.unwrap_or_default().split(' ').collect();
    Ok(match words[..] {
        // What is asked for beyond the path changes nothing.
        [method, path, version] if version.starts_with("HTTP/1.") => {
            Some(format!("{method} {}", path.split('?').next().unwrap_or_default()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let mut page = Page::default();
        page.gauge("backstop_up", "Whether it is", [(Vec::new(), 1)]);
        page.counter("backstop_told", "What was told", [(vec![("channel", "a\"b\\c\nd".to_owned())], 3)]);
        page
    }

    #[test]
    fn figures_are_open_metrics() {
        assert_eq!(
            page().text(),
            "# HELP backstop_up Whether it is.\n# TYPE backstop_up gauge\nbackstop_up 1\n\
             # HELP backstop_told What was told.\n# TYPE backstop_told counter\n\
             backstop_told_total{channel=\"a\\\"b\\\\c\\nd\"} 3\n# EOF\n"
        );
    }

    #[test]
    fn they_are_given_to_who_asks_for_them_and_nobody_keeps_them_from_others() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        thread::spawn(move || give(&listener, &page));
        let ask = |text: &str| {
            let mut stream = TcpStream::connect(at).expect("connected");
            stream.write_all(text.as_bytes()).expect("asked");
            let mut said = String::new();
            stream.read_to_string(&mut said).map(|_| said)
        };
        // Some that say nothing.
        let begun = Instant::now();
        let idle: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(at).expect("connected")).collect();
        for (text, begins, ends) in [
            (
                "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics",
                "# EOF\n",
            ),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "# EOF\n"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404", "at /metrics\n"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405", "GET /metrics\n"),
            ("nonsense\r\n\r\n", "HTTP/1.1 400", "GET /metrics\n"),
        ] {
            let said = ask(text).expect("an answer");
            assert!(said.starts_with(begins) && said.ends_with(ends), "{text}: {said}");
        }
        assert!(begun.elapsed() < PATIENCE * 5, "nobody waits for them one after the other");
        drop(idle);
        // One that says too much is hung up on, and others are served.
        let _ = ask(&"x".repeat(LONGEST * 2));
        assert!(ask("GET /metrics HTTP/1.1\r\n\r\n").is_ok_and(|said| said.starts_with("HTTP/1.1 200")));
        assert!(address(at).is_ok() && address("0.0.0.0:9464".parse().expect("an address")).is_err());
    }
}
