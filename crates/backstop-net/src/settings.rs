//! What the settings of both programs have in common: a TOML text, of which nothing is taken where a line is wrong, and what is
//! listed in it by names of its own.

use backstop_core::approval::is_name;
use serde::de::DeserializeOwned;
use toml::Spanned;

fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// Reads a text.
///
/// # Errors
/// `line N: what is wrong there`.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|e| {
        format!("line {}: {}", line(text, e.span().map_or(0, |s| s.start)), e.message().replace('\n', " "))
    })
}

/// Makes what is listed, each of a name of its own; `of` says what one is called, and how many there may be.
///
/// # Errors
/// `line N: what is wrong there`.
pub fn listed<R, T>(
    text: &str,
    raw: Vec<Spanned<R>>,
    (what, most): (&str, usize),
    make: impl Fn(R) -> Result<T, String>,
    name: impl Fn(&T) -> &String,
) -> Result<Vec<T>, String> {
    if raw.len() > most {
        return Err(format!("line 1: more than {most} {what}s"));
    }
    let mut all: Vec<T> = Vec::new();
    for spanned in raw {
        let at = line(text, spanned.span().start);
        let one = make(spanned.into_inner()).map_err(|why| format!("line {at}: {why}"))?;
        if all.iter().any(|other| name(other) == name(&one)) {
            return Err(format!("line {at}: there is a {what} {} already", name(&one)));
        }
        all.push(one);
    }
    Ok(all)
}

/// Whether something may be called that, in the audit log and on screens.
///
/// # Errors
/// Why not.
pub fn name(text: &str) -> Result<(), String> {
    is_name(text).then_some(()).ok_or_else(|| format!("{text:?} is no name: letters, digits and . _ - @"))
}

/// The one that is there; none where there are none, or several.
pub fn only<T>(all: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut all = all.into_iter().flatten();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// Whether something may be sent there: with TLS, or to this machine.
///
/// # Errors
/// Why not.
pub fn address(url: &str) -> Result<(), String> {
    let uri: ureq::http::Uri = url.parse().map_err(|e| format!("{url:?} is no address: {e}"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => Ok(()),
        (Some("http"), Some(host)) if is_here(host) => Ok(()),
        (Some("http"), Some(_)) => {
            Err("what is sent without TLS can be read and changed on its way: https://".to_owned())
        }
        _ => Err(format!("{url:?} is no address of a server: https://…")),
    }
}

/// True for a name of this machine.
pub fn is_here(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}
