//! Secrets in what agents type: found, and replaced by a commitment, before an entry is hashed. The log is kept for years,
//! copied to witnesses and sent to other systems; a password in it could not be taken out again.
//!
//! A commitment is HMAC-SHA-256 (RFC 2104) under a key of the log's own, cut to 128 bits: the same secret is the same text in
//! all of a log, whoever knows a secret and has the key can tell where it was used, and a copy of the log alone is of no help
//! to whoever would try passwords.
//! What is found are well-known shapes (names that say it, options, headers, addresses with a password, tokens with a known
//! beginning). What nothing tells apart from other words is not found: no secret belongs into a command.

mod found;
mod lex;

use std::borrow::Cow;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::audit::Body;
use crate::bytes::Bytes;
use crate::request::{Command, Request};

/// What a commitment begins with.
const BEGIN: &[u8] = b"[secret:";

/// How many bytes of the HMAC it has.
const BYTES: usize = 16;

/// So often a text is looked at again.
const TIMES: usize = 16;

/// Replaces secrets.
#[derive(Clone)]
pub struct Redactor {
    key: [u8; 32],
}

impl std::fmt::Debug for Redactor {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// By this key.
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// What stands in a log for a secret: `[secret:` and 32 hex digits.
    pub fn commitment(&self, secret: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(secret);
        let digits: String = mac.finalize().into_bytes().iter().take(BYTES).map(|b| format!("{b:02x}")).collect();
        format!("[secret:{digits}]")
    }

    /// An entry's body without the secrets in what somebody typed.
    pub fn body<'b>(&self, body: &'b Body) -> Cow<'b, Body> {
        let mut body = Cow::Borrowed(body);
        if let Body::ExecRan { program, .. } = &*body {
            if let Some(Command::Argv(redacted)) = self.command(&Command::Argv(program.argv.clone()))
                && let Body::ExecRan { program, .. } = body.to_mut()
            {
                program.argv = redacted;
            }
            return body;
        }
        let typed = match &*body {
            Body::RunRequested { command, reason, .. } | Body::Nested { command, reason, .. } => {
                (self.command(command), reason.as_ref().and_then(|reason| self.text(reason)))
            }
            _ => return body,
        };
        if typed == (None, None) {
            return body;
        }
        if let Body::RunRequested { command, reason, .. } | Body::Nested { command, reason, .. } = body.to_mut() {
            if let Some(redacted) = typed.0 {
                *command = redacted;
            }
            *reason = typed.1.or_else(|| reason.take());
        }
        body
    }

    /// A request as others may read it.
    pub fn request(&self, request: &Request) -> Request {
        let command = self.command(&request.command).unwrap_or_else(|| request.command.clone());
        let reason = request.reason.as_ref().map(|reason| self.text(reason).unwrap_or_else(|| reason.clone()));
        Request { command, reason, ..request.clone() }
    }

    /// None where nothing is found.
    fn command(&self, command: &Command) -> Option<Command> {
        until_none(command, |command| self.command_once(command))
    }

    fn command_once(&self, command: &Command) -> Option<Command> {
        match command {
            Command::Line(line) => self.within(line, &found::in_line(line.as_slice())).map(Command::Line),
            Command::Argv(argv) => {
                let all = found::in_arguments(argv);
                let found = all.iter().any(|secrets| !secrets.is_empty());
                let each = argv.iter().zip(&all);
                let redacted = each.map(|(word, secrets)| self.within(word, secrets).unwrap_or_else(|| word.clone()));
                found.then(|| Command::Argv(redacted.collect()))
            }
        }
    }

    /// None where nothing is found.
    pub fn text(&self, text: &Bytes) -> Option<Bytes> {
        until_none(text, |text| self.within(text, &found::in_text(text.as_slice())))
    }

    /// With these places, in order and apart, replaced; none where there are none.
    fn within(&self, text: &Bytes, secrets: &[std::ops::Range<usize>]) -> Option<Bytes> {
        if secrets.is_empty() {
            return None;
        }
        let (text, mut out, mut at) = (text.as_slice(), Vec::new(), 0);
        for secret in secrets {
            out.extend_from_slice(&text[at..secret.start]);
            out.extend_from_slice(self.commitment(&text[secret.clone()]).as_bytes());
            at = secret.end;
        }
        out.extend_from_slice(&text[at..]);
        Some(Bytes::new(out))
    }
}

/// What was taken out may bring what was around it together; what comes out is the same when it is redacted once more, as a
/// report does. Each time there is less left, and nobody types what takes more than a few times but to keep us at it.
fn until_none<T>(first: &T, once: impl Fn(&T) -> Option<T>) -> Option<T> {
    let mut last = once(first)?;
    for _ in 0..TIMES {
        match once(&last) {
            Some(next) => last = next,
            None => break,
        }
    }
    Some(last)
}

#[cfg(test)]
mod tests;
