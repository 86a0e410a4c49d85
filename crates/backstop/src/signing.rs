//! Signs with a person's SSH key by calling OpenSSH's own `ssh-keygen`, which knows passphrases, agents and
//! security keys; reads public keys. What a private key's file holds is never used here, beyond seeing that it is one.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backstop_core::approval::key::{Key, KeyError};
use backstop_engine::{Failure, FailureKind};

/// Nobody's key, signature or statement is longer.
const LONGEST: u64 = 64 * 1024;
/// Where distributions install it. Asked before the search path, which others may have set.
const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";

/// The public key that `path` means: the file itself, or the one beside it that ends in `.pub`.
pub fn public_key(path: &Path) -> Result<Key, Failure> {
    let parse = |path: &Path| Ok::<_, Failure>(Key::parse(&text(path)?));
    let wrong = |path: &Path, error: KeyError| {
        Failure::usage(format!("{}: {error}", path.display())).next("make one: ssh-keygen -t ed25519")
    };
    match parse(path)? {
        Ok(key) => Ok(key),
        Err(KeyError::Private) => {
            let public = beside(path);
            if !public.exists() {
                let what = format!("{} is a private key, and {} is not there", path.display(), public.display());
                return Err(Failure::usage(what).next(format!(
                    "make it: ssh-keygen -y -f {} >{}",
                    path.display(),
                    public.display()
                )));
            }
            parse(&public)?.map_err(|e| wrong(&public, e))
        }
        Err(error) => Err(wrong(path, error)),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// A short text that somebody named; `-` is standard input.
pub fn text(path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|f| f.take(LONGEST + 1).read_to_end(&mut bytes))
    };
    read.map_err(|e| {
        let failure = Failure::because(format!("cannot read {}", path.display()), &e);
        Failure { kind: FailureKind::Usage, ..failure }
    })?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::usage(format!("{} is too long to be keys, a statement or a signature", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{} is no text", path.display())))
}

/// Signs `text` for the purpose `namespace` with the key in `path`: a private key's file, or the public one of
/// a key that an agent or a security key has.
pub fn sign(text: &str, namespace: &str, path: &Path) -> Result<String, Failure> {
    let program = if Path::new(SSH_KEYGEN).exists() { SSH_KEYGEN } else { "ssh-keygen" };
    let missing = "install OpenSSH's client, or sign elsewhere: see backstop help approvals";
    // Absolute, for a name that begins with a dash is none of its options.
    let path = std::path::absolute(path).map_err(|e| Failure::because("cannot tell the key's place", &e))?;
    let child = Command::new(program)
        .args(["-Y", "sign", "-q", "-n", namespace, "-f"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = child.map_err(|e| Failure::because("cannot sign with ssh-keygen", &e).next(missing))?;
    let failed = |e: io::Error| Failure::because("cannot sign with ssh-keygen", &e);
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // It has given up already, and says why.
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(failed(e)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    match String::from_utf8(output.stdout) {
        Ok(signature) if output.status.success() && !signature.is_empty() => Ok(signature),
        _ => {
            let what = format!("ssh-keygen did not sign with {} ({})", path.display(), output.status);
            Err(Failure::new(FailureKind::Refused, what).next("nothing was decided; try again, or sign elsewhere"))
        }
    }
}
