//! The accounts of this machine, from `/etc/passwd`. Only the file is read: a directory service
//! could add homes, and would have to be asked through libc; what it would add is said in `doctor`.

use backstop_core::bytes::Bytes;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its login name.
    pub name: Bytes,
    /// Its user id.
    pub uid: u32,
    /// Its home.
    pub home: Bytes,
    /// True for accounts that people log in with: root and ids from 1000, with a real shell.
    pub person: bool,
}

/// The accounts in the text of a passwd file; lines that make no sense are left out.
pub fn parse(text: &[u8]) -> Vec<Account> {
    text.split(|b| *b == b'\n').filter_map(account).collect()
}

fn account(line: &[u8]) -> Option<Account> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
    let [name, _password, uid, _gid, _gecos, home, shell] = fields[..] else { return None };
    let uid = std::str::from_utf8(uid).ok()?.parse().ok()?;
    if !home.starts_with(b"/") {
        return None;
    }
    let real_shell = !(shell.ends_with(b"/nologin") || shell.ends_with(b"/false"));
    Some(Account { name: name.into(), uid, home: tidy(home), person: real_shell && (uid == 0 || uid >= 1_000) })
}

/// Without slashes at the end, so that it compares with a directory's real place.
fn tidy(home: &[u8]) -> Bytes {
    let end = home.iter().rposition(|b| *b != b'/').map_or(1, |at| at + 1);
    home[..end].into()
}

/// The accounts of this machine; none where the file can't be read.
pub fn read() -> Vec<Account> {
    std::fs::read("/etc/passwd").map_or_else(|_| Vec::new(), |text| parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_shells_and_ids() {
        let text = b"root:x:0:0:root:/root:/bin/bash\n\
            daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
            postgres:x:112:120::/var/lib/postgresql:/bin/bash\n\
            ann:x:1000:1000:Ann:/home/ann/:/bin/zsh\n\
            nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n\
            bot:x:1001:1001::/:\n\
            broken line\n\
            odd:x:many:0::/x:/bin/sh\n\
            rel:x:1002:0::home:/bin/sh\n";
        let got: Vec<(u32, String, bool)> =
            parse(text).into_iter().map(|a| (a.uid, a.home.quoted().to_string(), a.person)).collect();
        let expected = [
            (0, "/root", true),
            (1, "/usr/sbin", false),
            (112, "/var/lib/postgresql", false),
            (1000, "/home/ann", true),
            (65534, "/nonexistent", false),
            (1001, "/", true),
        ];
        assert_eq!(got, expected.map(|(uid, home, person)| (uid, home.to_owned(), person)));
    }
}
