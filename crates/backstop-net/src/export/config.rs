//! The exporter's settings: takes the text of a TOML file, gives the sinks, or the line that is wrong. Keys, tokens and
//! passwords stand in files of their own, which it names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::metrics;
use crate::settings::{self, address, is_here};
use crate::trust::Tls;

/// More sinks nobody looks after.
const MOST: usize = 16;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where figures are given.
    pub metrics: Option<SocketAddr>,
    /// The sinks.
    pub sinks: Vec<Sink>,
}

/// Where the log is copied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its name, in the audit log and on screens.
    pub name: String,
    /// What a new one gets first.
    pub from: From,
    /// What it is.
    pub to: To,
}

/// From where on a sink that is new gets the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// From its first entry on.
    #[default]
    Beginning,
    /// What comes from now on.
    Now,
}

/// The services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Elasticsearch's `_bulk`.
    Elasticsearch(Bulk),
    /// OpenSearch's.
    Opensearch(Bulk),
    /// GELF.
    Gelf(Gelf),
    /// Datadog.
    Datadog(Datadog),
    /// OTLP over HTTP.
    Otlp(Otlp),
    /// Splunk's HTTP Event Collector.
    Splunk(Splunk),
    /// Syslog.
    Syslog(Syslog),
    /// This machine's journal.
    Journald(Journald),
    /// A webhook.
    Webhook(Webhook),
    /// Files.
    Files(Files),
}

/// See [`To::Elasticsearch`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// The server.
    pub url: String,
    /// The data stream or index.
    #[serde(default = "stream")]
    pub index: String,
    /// The file with an API key, as the server gives it encoded.
    pub api_key_file: Option<PathBuf>,
    /// As whom.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
}

/// See [`To::Gelf`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelf {
    /// The address of a GELF HTTP input.
    pub url: Option<String>,
    /// Or the server of a GELF TCP input.
    pub to: Option<Server>,
    /// Whom to trust, where it is `url`.
    #[serde(default)]
    pub tls: Tls,
}

/// See [`To::Datadog`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datadog {
    /// Which of Datadog's sites: `datadoghq.com`, `datadoghq.eu`, ….
    pub site: Option<String>,
    /// Another address than that site's intake has: a proxy's.
    pub url: Option<String>,
    /// The file with the API key.
    pub api_key_file: PathBuf,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
}

impl Datadog {
    /// Where the intake is.
    pub fn address(&self) -> String {
        let site = self.site.as_deref().unwrap_or("datadoghq.com");
        self.url.clone().unwrap_or_else(|| format!("https://http-intake.logs.{site}"))
    }
}

/// See [`To::Otlp`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// The server, without `/v1/logs`.
    pub url: String,
    /// Headers, whose values stand in files.
    #[serde(default)]
    pub header_files: BTreeMap<String, PathBuf>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
}

/// See [`To::Splunk`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splunk {
    /// The server.
    pub url: String,
    /// The file with the token.
    pub token_file: PathBuf,
    /// The index, where it is another than the token's.
    pub index: Option<String>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
}

/// See [`To::Syslog`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Where to.
    pub to: Server,
    /// By its name in syslog.conf(5); `authpriv` where it is left out.
    pub facility: Option<String>,
}

impl Syslog {
    /// The facility's number.
    ///
    /// # Errors
    /// A name that is none.
    pub fn facility(&self) -> Result<u8, String> {
        const NAMES: [&str; 12] =
            ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
        let name = self.facility.as_deref().unwrap_or("authpriv");
        let local = name.strip_prefix("local").and_then(|n| n.parse::<u8>().ok()).filter(|n| *n < 8).map(|n| 16 + n);
        let known = NAMES.iter().position(|known| *known == name).and_then(|at| u8::try_from(at).ok());
        known.or(local).ok_or_else(|| format!("{name:?} is no facility: authpriv, daemon, local0 to local7, …"))
    }
}

/// A server that is no web server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// `HOST:PORT`.
    pub server: String,
    /// True for no TLS, which is to this machine alone.
    #[serde(default)]
    pub plain: bool,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
}

impl Server {
    /// Its name and port.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn address(&self) -> Result<(&str, u16), String> {
        let bad = || format!("{:?} is no server: HOST:PORT", self.server);
        let (host, port) = self.server.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if host.is_empty() || port == 0 {
            return Err(bad());
        }
        if self.plain && !is_here(host) {
            return Err("what is sent without TLS can be read and changed on its way: leave `plain` out".to_owned());
        }
        Ok((host, port))
    }
}

/// See [`To::Journald`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journald {
    /// Another socket than the journal's own: a namespace's.
    pub socket: Option<PathBuf>,
}

/// See [`To::Webhook`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to.
    pub url: String,
    /// The file with the key: `whsec_` and base64.
    pub secret_file: PathBuf,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
}

/// See [`To::Files`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The directory.
    pub dir: PathBuf,
    /// How many days' files are kept; all where it is left out.
    pub days: Option<usize>,
}

fn stream() -> String {
    "logs-backstop.audit-default".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    metrics: Option<SocketAddr>,
    #[serde(default)]
    sink: Vec<toml::Spanned<RawSink>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSink {
    name: String,
    #[serde(default)]
    from: From,
    elasticsearch: Option<Bulk>,
    opensearch: Option<Bulk>,
    gelf: Option<Gelf>,
    datadog: Option<Datadog>,
    otlp: Option<Otlp>,
    splunk: Option<Splunk>,
    syslog: Option<Syslog>,
    journald: Option<Journald>,
    webhook: Option<Webhook>,
    files: Option<Files>,
}

impl Config {
    /// Reads the file's text.
    ///
    /// # Errors
    /// `line N: what is wrong there`; then nothing of it is taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: Raw = settings::read(text)?;
        let sinks = settings::listed(text, raw.sink, ("sink", MOST), Sink::of, |sink| &sink.name)?;
        if sinks.is_empty() {
            return Err("line 1: there is no [[sink]], so the log would go nowhere".to_owned());
        }
        raw.metrics.map_or(Ok(()), metrics::address).map_err(|why| format!("line 1: {why}"))?;
        Ok(Self { metrics: raw.metrics, sinks })
    }
}

impl Sink {
    fn of(raw: RawSink) -> Result<Self, String> {
        let name = raw.name;
        settings::name(&name)?;
        let all = [
            raw.elasticsearch.map(To::Elasticsearch),
            raw.opensearch.map(To::Opensearch),
            raw.gelf.map(To::Gelf),
            raw.datadog.map(To::Datadog),
            raw.otlp.map(To::Otlp),
            raw.splunk.map(To::Splunk),
            raw.syslog.map(To::Syslog),
            raw.journald.map(To::Journald),
            raw.webhook.map(To::Webhook),
            raw.files.map(To::Files),
        ];
        let Some(to) = settings::only(all) else {
            return Err(format!(
                "the sink {name} needs one of elasticsearch, opensearch, gelf, datadog, otlp, splunk, syslog, journald, \
                 webhook, files, and only one"
            ));
        };
        to.check().map_err(|why| format!("the sink {name}: {why}"))?;
        Ok(Self { name, from: raw.from, to })
    }
}

impl To {
    /// What it is called in settings.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Opensearch(_) => "opensearch",
            Self::Gelf(_) => "gelf",
            Self::Datadog(_) => "datadog",
            Self::Otlp(_) => "otlp",
            Self::Splunk(_) => "splunk",
            Self::Syslog(_) => "syslog",
            Self::Journald(_) => "journald",
            Self::Webhook(_) => "webhook",
            Self::Files(_) => "files",
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Elasticsearch(to) | Self::Opensearch(to) => {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
                if to.index.is_empty() || !to.index.bytes().all(plain) || to.index.starts_with(['-', '_', '.']) {
                    return Err(format!("{:?} is no name of a data stream or an index", to.index));
                }
                if to.user.is_some() != to.password_file.is_some() || (to.user.is_some() && to.api_key_file.is_some()) {
                    return Err("`user` and `password_file` go together, and without `api_key_file`".to_owned());
                }
                address(&to.url)
            }
            Self::Gelf(to) => match (&to.url, &to.to) {
                (Some(url), None) => address(url),
                (None, Some(server)) => server.address().map(drop),
                _ => Err("either `url`, for HTTP, or `to`, for TCP".to_owned()),
            },
            Self::Datadog(to) if to.site.is_some() && to.url.is_some() => Err("either `site` or `url`".to_owned()),
            Self::Datadog(to) => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
                let site = to.site.as_deref().unwrap_or("datadoghq.com");
                site.bytes().all(plain).then_some(()).ok_or_else(|| format!("{site:?} is no site: datadoghq.eu"))?;
                address(&to.address())
            }
            Self::Otlp(to) => address(&to.url),
            Self::Splunk(to) => address(&to.url),
            Self::Syslog(to) => to.facility().and_then(|_| to.to.address().map(drop)),
            Self::Journald(to) => match &to.socket {
                Some(socket) if !socket.is_absolute() => Err("`socket` is no whole path".to_owned()),
                _ => Ok(()),
            },
            Self::Webhook(to) => address(&to.url),
            Self::Files(to) if !to.dir.is_absolute() => Err("`dir` is no whole path".to_owned()),
            Self::Files(to) if to.days == Some(0) => Err("`days` is at least 1".to_owned()),
            Self::Files(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &str = "[[sink]]\nname = 'f'\nfiles = { dir = '/var/log/x' }\n";

    #[test]
    fn a_file_is_taken_whole() {
        let text = format!(
            "{FILES}[[sink]]\nname = 'es'\nfrom = 'now'\nelasticsearch = {{ url = 'https://es:9200', user = 'u', \
             password_file = '/p', tls = {{ ca_file = '/ca' }} }}\n[[sink]]\nname = 's'\n\
             syslog = {{ to = {{ server = '[::1]:514', plain = true }}, facility = 'local3' }}\n"
        );
        let config = Config::parse(&text).expect("read");
        let kinds: Vec<_> = config.sinks.iter().map(|s| (s.to.kind(), s.from)).collect();
        assert_eq!(kinds, [("files", From::Beginning), ("elasticsearch", From::Now), ("syslog", From::Beginning)]);
        let To::Syslog(syslog) = &config.sinks[2].to else { panic!("syslog") };
        assert_eq!((syslog.facility(), syslog.to.address()), (Ok(19), Ok(("[::1]", 514))));
        let To::Elasticsearch(bulk) = &config.sinks[1].to else { panic!("bulk") };
        assert_eq!(bulk.index, "logs-backstop.audit-default");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let one = |to: &str| format!("# ours\n[[sink]]\nname = 'x'\n{to}\n");
        for (text, part) in [
            (String::new(), "line 1: there is no [[sink]]"),
            ("sinc = 1".to_owned(), "line 1: unknown field"),
            (one(""), "line 2: the sink x needs one of"),
            (one("journald = {}\nfiles = { dir = '/x' }"), "only one"),
            (one("files = { dir = 'x' }"), "no whole path"),
            (one("files = { dir = '/x', days = 0 }"), "at least 1"),
            (one("journald = { socket = 'x' }"), "no whole path"),
            (one("elasticsearch = { url = 'http://es:9200' }"), "without TLS"),
            (one("elasticsearch = { url = 'https://es', index = '_all' }"), "no name of a data stream"),
            (one("opensearch = { url = 'https://es', user = 'u' }"), "go together"),
            (one("opensearch = { url = 'https://es', index = 'a/b' }"), "no name of a data stream"),
            (one("gelf = {}"), "either `url`"),
            (one("gelf = { to = { server = 'graylog' } }"), "HOST:PORT"),
            (one("gelf = { to = { server = 'graylog:12201', plain = true } }"), "without TLS"),
            (one("datadog = { api_key_file = '/k', site = 'x', url = 'https://y' }"), "either `site`"),
            (one("datadog = { api_key_file = '/k', site = 'x/y@z:1' }"), "no site"),
            (one("otlp = { url = 'grpc://x' }"), "no address"),
            (one("splunk = { url = 'https://x', token = 'k' }"), "unknown field `token`"),
            (one("syslog = { to = { server = 'x:6514' }, facility = 'local8' }"), "no facility"),
            (one("syslog = { to = { server = 'x:0' } }"), "HOST:PORT"),
            (one("from = 'then'\njournald = {}"), "unknown variant"),
            (format!("{FILES}{FILES}"), "line 4: there is a sink f already"),
            (FILES.replace("'f'", "'f f'"), "is no name"),
        ] {
            let said = Config::parse(&text).expect_err(&text);
            assert!(said.starts_with("line ") && said.contains(part), "{text}: {said}");
        }
    }
}
