//! Takes the text of a git configuration, gives its settings, and says which of them run a program or
//! send git elsewhere. Includes nothing, runs nothing, believes nothing but the object format.

/// A setting: section and key in lower case, subsection as it is, and the value.
pub(super) type Setting = (String, Vec<u8>);

/// The settings in order; what makes no sense ends the reading, as it does in git.
pub(super) fn parse(text: &[u8]) -> Option<Vec<Setting>> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    loop {
        rest = rest.trim_ascii_start();
        match rest.first() {
            None => return Some(found),
            Some(b'#' | b';') => {
                let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                rest = &rest[end..];
            }
            Some(b'[') => (section, rest) = header(&rest[1..])?,
            Some(_) => {
                let end = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'-').unwrap_or(rest.len());
                if end == 0 || section.is_empty() {
                    return None;
                }
                let key = String::from_utf8(rest[..end].to_ascii_lowercase()).ok()?;
                let value;
                (value, rest) = self::value(&rest[end..])?;
                found.push((format!("{section}.{key}"), value));
            }
        }
    }
}

fn header(rest: &[u8]) -> Option<(String, &[u8])> {
    let end = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')))?;
    let mut name = String::from_utf8(rest[..end].to_ascii_lowercase()).ok()?;
    let mut rest = rest[end..].trim_ascii_start();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (mut sub, mut at) = (Vec::new(), 0);
        loop {
            match *quoted.get(at)? {
                b'"' => break,
                b'\n' => return None,
                b'\\' => {
                    at += 1;
                    sub.push(*quoted.get(at)?);
                }
                b => sub.push(b),
            }
            at += 1;
        }
        // Only for showing and comparing: escaped where it is no UTF-8.
        name = format!("{name}.{}", sub.escape_ascii());
        rest = quoted[at + 1..].trim_ascii_start();
    }
    Some((name, rest.strip_prefix(b"]")?))
}

fn value(rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let line = rest.iter().position(|b| !matches!(b, b' ' | b'\t')).map_or([].as_slice(), |at| &rest[at..]);
    let Some(text) = line.strip_prefix(b"=") else {
        // A key alone is "true".
        let ends = line.first().is_none_or(|b| matches!(b, b'\n' | b'\r' | b'#' | b';'));
        return ends.then(|| (b"true".to_vec(), line));
    };
    let (mut value, mut quoted, mut comment) = (Vec::new(), false, false);
    // How much of the value counts: blanks at its end don't, unless they are quoted.
    let mut solid = 0;
    let mut bytes = text.iter().copied().enumerate();
    while let Some((at, b)) = bytes.next() {
        match b {
            b'\n' => {
                value.truncate(solid);
                return (!quoted).then(|| (value, &text[at..]));
            }
            _ if comment => {}
            b'#' | b';' if !quoted => comment = true,
            b'"' => quoted = !quoted,
            b'\\' => {
                match bytes.next()?.1 {
                    b'\n' => {}
                    b'n' => value.push(b'\n'),
                    b't' => value.push(b'\t'),
                    b'b' => value.push(8),
                    other => value.push(other),
                }
                solid = value.len();
            }
            b' ' | b'\t' | b'\r' if !quoted => {
                if !value.is_empty() {
                    value.push(b);
                }
            }
            b => {
                value.push(b);
                solid = value.len();
            }
        }
    }
    value.truncate(solid);
    (!quoted).then_some((value, [].as_slice()))
}

/// True where a setting makes git run a program, read another file or speak to another host than the
/// one that is asked for.
pub(super) fn weighs(key: &str, value: &[u8]) -> bool {
    let (section, rest) = key.split_once('.').unwrap_or((key, ""));
    let last = rest.rsplit('.').next().unwrap_or(rest);
    match section {
        "alias" => value.trim_ascii_start().starts_with(b"!"),
        "core" => {
            matches!(
                last,
                "alternaterefscommand"
                    | "askpass"
                    | "attributesfile"
                    | "editor"
                    | "excludesfile"
                    | "fsmonitor"
                    | "gitproxy"
                    | "hookspath"
                    | "pager"
                    | "sshcommand"
                    | "worktree"
            ) && !(last == "fsmonitor" && matches!(value, b"true" | b"false"))
        }
        "browser" | "credential" | "difftool" | "filter" | "guitool" | "include" | "includeif" | "interactive"
        | "man" | "mergetool" | "pager" | "protocol" | "sendemail" | "sequence" | "web" => true,
        "diff" => matches!(last, "command" | "external" | "textconv"),
        "gpg" => last == "program" || last == "defaultkeycommand",
        "http" => matches!(last, "proxy" | "sslverify" | "sslcainfo" | "extraheader" | "cookiefile" | "sslkey"),
        "merge" => last == "driver",
        "remote" => matches!(last, "proxy" | "receivepack" | "uploadpack" | "vcs"),
        "submodule" => last == "update" && value.trim_ascii_start().starts_with(b"!"),
        "trailer" => matches!(last, "cmd" | "command"),
        "uploadpack" => last == "packobjectshook",
        "url" => matches!(last, "insteadof" | "pushinsteadof"),
        "gc" => last.ends_with("command"),
        "safe" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let text =
            "[Core]\n\tBare = false ; no\n[url \"a\\\"B\"] insteadOf = \"x # y\" z  \n[alias]\nco=check\\\nout\nflag\n";
        let found = parse(text.as_bytes()).expect("it is well formed");
        let expected = [
            ("core.bare", "false"),
            ("url.a\\\"B.insteadof", "x # y z"),
            ("alias.co", "checkout"),
            ("alias.flag", "true"),
        ];
        let found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), std::str::from_utf8(v).expect("text"))).collect();
        assert_eq!(found, expected);
        for bad in ["key = 1", "[a", "[a]\n = 1", "[a]\nb = \"c", "[a \"b]\nc = 1"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_runs_a_program_weighs() {
        for (key, value, expected) in [
            ("core.hookspath", "x", true),
            ("core.fsmonitor", "x.sh", true),
            ("core.fsmonitor", "true", false),
            ("core.autocrlf", "true", false),
            ("alias.st", "status", false),
            ("alias.st", "!sh -c x", true),
            ("url.git@host:.insteadof", "https://host/", true),
            ("branch.main.remote", "origin", false),
            ("user.email", "a@b", false),
            ("filter.lfs.smudge", "git-lfs smudge", true),
            ("diff.pdf.textconv", "pdftotext", true),
            ("merge.x.driver", "y", true),
            ("remote.origin.url", "https://host", false),
        ] {
            assert_eq!(weighs(key, value.as_bytes()), expected, "{key}");
        }
    }
}
