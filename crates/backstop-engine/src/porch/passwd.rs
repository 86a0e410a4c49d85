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
    /// Its group.
    pub gid: u32,
    /// The shell it logs in with.
    pub shell: Bytes,
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
    let [name, _password, uid, gid, _gecos, home, shell] = fields[..] else { return None };
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    let uid = number(uid)?;
    let gid = number(gid)?;
    if !home.starts_with(b"/") {
        return None;
    }
    let real_shell = !(shell.ends_with(b"/nologin") || shell.ends_with(b"/false"));
    let person = real_shell && (uid == 0 || uid >= 1_000);
    Some(Account { name: name.into(), uid, gid, shell: shell.into(), home: tidy(home), person })
}

/// Without slashes at the end, so that it compares with a directory's real place.
fn tidy(home: &[u8]) -> Bytes {
    let end = home.iter().rposition(|b| *b != b'/').map_or(1, |at| at + 1);
    home[..end].into()
}

/// The supplementary groups of an account, from the text of a group file.
pub fn groups_in(text: &[u8], name: &[u8]) -> Vec<u32> {
    let group = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
        let [_name, _password, gid, members] = fields[..] else { return None };
        members.split(|b| *b == b',').any(|m| !m.is_empty() && m == name).then_some(())?;
        std::str::from_utf8(gid).ok()?.parse().ok()
    };
    text.split(|b| *b == b'\n').filter_map(group).collect()
}

/// The same, of this machine.
///
/// # Errors
/// Where the file can't be read: with fewer groups a command would be another.
pub fn groups(name: &Bytes) -> std::io::Result<Vec<u32>> {
    Ok(groups_in(&std::fs::read("/etc/group")?, name.as_slice()))
}

/// The accounts of this machine; none where the file can't be read.
pub fn read() -> Vec<Account> {
    std::fs::read("/etc/passwd").map_or_else(|_| Vec::new(), |text| parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_the_groups_that_name_it() {
        let text = b"adm:x:4:ann,bob\nwheel:x:10:bobby\nmail:x:8:\nodd:x:many:bob\n\nx:x:9:bob\n";
        assert_eq!(groups_in(text, b"bob"), [4, 9]);
        assert_eq!(groups_in(text, b""), [0; 0], "an empty list has no member");
    }

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
