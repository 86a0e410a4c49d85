//! Takes a path, says what it decides about who may log in and what runs by itself. By path alone:
//! whether a program really reads the file there is not asked, so a copy elsewhere under such a name
//! counts too.

use crate::bytes::Bytes;

/// What a file at a place decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Who may log in over SSH: a key a line.
    Keys,
    /// Who may act as whom: rules of sudo or doas.
    Sudo,
    /// What runs at which time: a job a line.
    Cron,
    /// A whole script that runs at some time.
    Script,
    /// systemd's units, drop-ins and the links that enable or mask them.
    Unit,
    /// What runs when somebody logs in or a shell starts.
    Startup,
}

/// Names in a home directory that shells and sessions read. Where the homes are is not known here, so
/// they count in any directory.
const STARTUP: &[&[u8]] = &[
    b".bash_aliases",
    b".bash_login",
    b".bash_logout",
    b".bash_profile",
    b".bashrc",
    b".cshrc",
    b".kshrc",
    b".login",
    b".mkshrc",
    b".pam_environment",
    b".profile",
    b".tcshrc",
    b".xinitrc",
    b".xprofile",
    b".xsession",
    b".xsessionrc",
    b".zlogin",
    b".zlogout",
    b".zprofile",
    b".zshenv",
    b".zshrc",
];

/// The same for all users.
const STARTUP_SYSTEM: &[&[u8]] = &[
    b"/etc/bash.bash_logout",
    b"/etc/bash.bashrc",
    b"/etc/bashrc",
    b"/etc/csh.cshrc",
    b"/etc/csh.login",
    b"/etc/environment",
    b"/etc/ld.so.preload",
    b"/etc/profile",
    b"/etc/rc.local",
    b"/etc/ssh/sshrc",
    b"/etc/zlogin",
    b"/etc/zprofile",
    b"/etc/zshenv",
    b"/etc/zshrc",
];

/// Directories whose files are read or run at login or boot.
const STARTUP_BENEATH: &[&[u8]] = &[
    b"/etc/X11/Xsession.d",
    b"/etc/environment.d",
    b"/etc/fish",
    b"/etc/init.d",
    b"/etc/profile.d",
    b"/etc/xdg/autostart",
    b"/etc/zsh",
];

/// The same in a home directory.
const STARTUP_HOME: &[&[u8]] = &[
    b"/.config/autostart/",
    b"/.config/environment.d/",
    b"/.config/fish/conf.d/",
    b"/.config/fish/config.fish",
    b"/.config/nushell/config.nu",
    b"/.config/nushell/env.nu",
    b"/.ssh/rc",
];

const CRON_SCRIPTS: &[&[u8]] =
    &[b"/etc/cron.hourly", b"/etc/cron.daily", b"/etc/cron.weekly", b"/etc/cron.monthly", b"/etc/cron.yearly"];

const UNITS: &[&[u8]] = &[
    b"/etc/systemd/system",
    b"/etc/systemd/user",
    b"/etc/systemd/system-generators",
    b"/etc/systemd/user-generators",
    b"/lib/systemd/system",
    b"/lib/systemd/user",
    b"/run/systemd/system",
    b"/run/systemd/user",
    b"/usr/lib/systemd/system",
    b"/usr/lib/systemd/user",
    b"/usr/local/lib/systemd/system",
    b"/usr/local/lib/systemd/user",
];

const UNITS_HOME: &[&[u8]] = &[b"/.config/systemd/user/", b"/.local/share/systemd/user/"];

/// What the file of this path decides; none where nothing.
pub fn place(path: &Bytes) -> Option<Place> {
    let (all, name) = (path.as_slice(), path.name());
    let beneath = |dirs: &[&[u8]]| dirs.iter().any(|d| path.is_beneath(d) && all.len() > d.len());
    let home = |parts: &[&[u8]]| parts.iter().any(|p| holds(all, p));
    let in_ssh = || path.parent().name() == b".ssh";
    if (matches!(name, b"authorized_keys" | b"authorized_keys2") && in_ssh())
        || beneath(&[b"/etc/ssh/authorized_keys", b"/etc/ssh/authorized_keys.d"])
    {
        return Some(Place::Keys);
    }
    if matches!(all, b"/etc/sudoers" | b"/etc/sudoers-rs" | b"/etc/doas.conf") || beneath(&[b"/etc/sudoers.d"]) {
        return Some(Place::Sudo);
    }
    if matches!(all, b"/etc/crontab" | b"/etc/anacrontab") || beneath(&[b"/etc/cron.d"]) {
        return Some(Place::Cron);
    }
    if beneath(CRON_SCRIPTS) || beneath(&[b"/var/spool/cron/atjobs", b"/var/spool/at"]) {
        return Some(Place::Script);
    }
    if beneath(&[b"/var/spool/cron"]) {
        return Some(Place::Cron);
    }
    if beneath(UNITS) || home(UNITS_HOME) {
        return Some(Place::Unit);
    }
    let startup = STARTUP.contains(&name) || STARTUP_SYSTEM.contains(&all) || beneath(STARTUP_BENEATH);
    (startup || home(STARTUP_HOME)).then_some(Place::Startup)
}

/// Where below a home the file of this path would have to stand to be read; none for the system's places.
/// A copy elsewhere, in a repository of dotfiles say, decides nothing unless a link leads to it.
pub fn in_home(path: &Bytes) -> Option<&[u8]> {
    let (all, name) = (path.as_slice(), path.name());
    let from = |length: usize| &all[all.len() - length..];
    if matches!(name, b"authorized_keys" | b"authorized_keys2") && path.parent().name() == b".ssh" {
        return Some(from(b".ssh/".len() + name.len()));
    }
    let at = |part: &&[u8]| holds(all, part).then(|| all.windows(part.len()).position(|w| w == *part)).flatten();
    if let Some(at) = STARTUP_HOME.iter().chain(UNITS_HOME).find_map(at) {
        return Some(&all[at + 1..]);
    }
    STARTUP.contains(&name).then(|| from(name.len()))
}

/// `part` within the path: as its end, or where it ends in a slash, anywhere.
fn holds(path: &[u8], part: &[u8]) -> bool {
    match part.ends_with(b"/") {
        true => path.windows(part.len()).position(|w| w == part).is_some_and(|at| at + part.len() < path.len()),
        false => path.ends_with(part),
    }
}
