//! The programs that start other programs: what they imply, and how their options are read. A table;
//! `peel` goes by it.

use std::fmt;

use super::options::Known;

macro_rules! wrappers {
    ($($name:ident = $text:literal $(, $($implies:ident)+)?;)+) => {
        /// A program, or a word of the shell, that starts what comes after it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Wrapper {
            $(#[doc = concat!("`", $text, "`")] $name,)+
        }

        impl Wrapper {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As it is typed.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            fn implies(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($(stringify!($implies)),+)?],)+ }
            }
        }
    };
}

wrappers! {
    Alias = "alias";
    Builtin = "builtin";
    Busybox = "busybox";
    Chroot = "chroot", elsewhere;
    Chrt = "chrt";
    Command = "command";
    Container = "exec in a container", elsewhere;
    Doas = "doas", privilege;
    Env = "env";
    Eval = "eval";
    Exec = "exec";
    Fakeroot = "fakeroot";
    Find = "find -exec";
    Flock = "flock";
    Ionice = "ionice";
    Nice = "nice";
    Nohup = "nohup";
    Nsenter = "nsenter", elsewhere privilege;
    Parallel = "parallel";
    Pkexec = "pkexec", privilege;
    Run0 = "run0", privilege;
    Runuser = "runuser", privilege;
    Script = "script";
    Setpriv = "setpriv", privilege;
    Setsid = "setsid";
    Shell = "sh -c";
    Ssh = "ssh", elsewhere;
    Stdbuf = "stdbuf";
    Strace = "strace";
    Su = "su", privilege;
    Sudo = "sudo", privilege;
    Taskset = "taskset";
    Time = "time";
    Timeout = "timeout";
    Trap = "trap";
    Unshare = "unshare";
    Watch = "watch";
    Xargs = "xargs";
}

impl Wrapper {
    /// True where it asks for another user's rights.
    pub fn privilege(self) -> bool {
        self.implies().contains(&"privilege")
    }

    /// True where the paths that follow are another machine's, container's or root's.
    pub fn elsewhere(self) -> bool {
        self.implies().contains(&"elsewhere")
    }
}

impl fmt::Display for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What comes after a wrapper's own options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// Program and arguments, after so many operands of its own.
    Argv(usize),
    /// As `Argv`, with `NAME=value` before the program.
    Assigned,
    /// Words that are joined to a script, after so many operands.
    Joined(usize),
    /// Program and arguments, to which standard input adds more.
    Fed,
    /// See the function of that name in `peel`.
    Shell,
    Su,
    Find,
    Flock,
    Container,
    Trap,
    Alias,
    Parallel,
}

pub(super) struct Launch {
    pub(super) names: &'static [&'static str],
    pub(super) wrapper: Wrapper,
    pub(super) inner: Inner,
    pub(super) known: Known,
    /// With one of these options it starts nothing, or something else.
    pub(super) instead: &'static [&'static str],
}

const NONE: Known = Known { flags: "", values: "", attached: "", long: &[], long_values: &[] };

/// What a shell may be told before its script or `-c`; `c` is a flag here, as it takes an operand.
const SHELL: Known = Known {
    flags: "abcefhiklmnprstuvxBCDEHPTG",
    values: "oO",
    attached: "",
    long: &["login", "norc", "noprofile", "posix", "verbose", "restricted", "noediting", "debugger"],
    long_values: &["rcfile", "init-file"],
};

const fn plain(names: &'static [&'static str], wrapper: Wrapper, inner: Inner, known: Known) -> Launch {
    Launch { names, wrapper, inner, known, instead: &[] }
}

pub(super) const LAUNCHES: &[Launch] = &[
    Launch {
        names: &["sudo"],
        wrapper: Wrapper::Sudo,
        inner: Inner::Assigned,
        known: Known {
            flags: "ABbEHiKkNnPSsVvel",
            values: "CDghpRrTtUu",
            attached: "",
            long: &[
                "askpass",
                "background",
                "bell",
                "login",
                "shell",
                "non-interactive",
                "preserve-env",
                "preserve-groups",
                "set-home",
                "stdin",
                "reset-timestamp",
                "no-update",
                "edit",
                "list",
                "validate",
                "remove-timestamp",
                "version",
                "help",
            ],
            long_values: &[
                "user",
                "group",
                "host",
                "prompt",
                "chdir",
                "chroot",
                "role",
                "type",
                "other-user",
                "close-from",
                "command-timeout",
            ],
        },
        instead: &["e", "edit", "l", "list", "V", "version", "help"],
    },
    plain(&["doas"], Wrapper::Doas, Inner::Argv(0), Known { flags: "Lns", values: "Cu", ..NONE }),
    plain(
        &["pkexec"],
        Wrapper::Pkexec,
        Inner::Argv(0),
        Known { long: &["disable-internal-agent", "keep-cwd"], long_values: &["user"], ..NONE },
    ),
    plain(
        &["run0"],
        Wrapper::Run0,
        Inner::Argv(0),
        Known {
            flags: "i",
            values: "ugDp",
            long: &["no-ask-password", "slice-inherit", "pty", "pipe", "same-root-dir", "empower"],
            long_values: &[
                "user",
                "group",
                "unit",
                "property",
                "description",
                "slice",
                "nice",
                "chdir",
                "setenv",
                "background",
                "via-shell",
            ],
            ..NONE
        },
    ),
    plain(&["su", "runuser"], Wrapper::Su, Inner::Su, NONE),
    Launch {
        names: &["env"],
        wrapper: Wrapper::Env,
        inner: Inner::Assigned,
        known: Known {
            flags: "i0v",
            values: "uCa",
            long: &[
                "ignore-environment",
                "null",
                "debug",
                "block-signal",
                "default-signal",
                "ignore-signal",
                "list-signal-handling",
            ],
            long_values: &["unset", "chdir", "argv0"],
            ..NONE
        },
        instead: &[],
    },
    plain(
        &["nice"],
        Wrapper::Nice,
        Inner::Argv(0),
        Known { flags: "0123456789", values: "n", long_values: &["adjustment"], ..NONE },
    ),
    Launch {
        names: &["ionice"],
        wrapper: Wrapper::Ionice,
        inner: Inner::Argv(0),
        known: Known {
            flags: "t",
            values: "cnpPu",
            long: &["ignore"],
            long_values: &["class", "classdata", "pid", "pgid", "uid"],
            ..NONE
        },
        instead: &["p", "P", "u", "pid", "pgid", "uid"],
    },
    Launch {
        names: &["chrt"],
        wrapper: Wrapper::Chrt,
        inner: Inner::Argv(1),
        known: Known {
            flags: "abdfiormvp",
            values: "DPT",
            long: &[
                "batch",
                "deadline",
                "fifo",
                "idle",
                "other",
                "rr",
                "reset-on-fork",
                "all-tasks",
                "verbose",
                "max",
                "pid",
            ],
            long_values: &["sched-runtime", "sched-period", "sched-deadline"],
            ..NONE
        },
        instead: &["p", "pid", "m", "max"],
    },
    Launch {
        names: &["taskset"],
        wrapper: Wrapper::Taskset,
        inner: Inner::Argv(1),
        known: Known { flags: "acp", long: &["all-tasks", "cpu-list", "pid"], ..NONE },
        instead: &["p", "pid"],
    },
    plain(
        &["timeout", "gtimeout"],
        Wrapper::Timeout,
        Inner::Argv(1),
        Known {
            flags: "vfp",
            values: "ks",
            long: &["foreground", "preserve-status", "verbose"],
            long_values: &["kill-after", "signal"],
            ..NONE
        },
    ),
    plain(
        &["stdbuf"],
        Wrapper::Stdbuf,
        Inner::Argv(0),
        Known { values: "ioe", long_values: &["input", "output", "error"], ..NONE },
    ),
    plain(&["nohup"], Wrapper::Nohup, Inner::Argv(0), NONE),
    plain(
        &["setsid"],
        Wrapper::Setsid,
        Inner::Argv(0),
        Known { flags: "cfw", long: &["ctty", "fork", "wait"], ..NONE },
    ),
    plain(
        &["setpriv"],
        Wrapper::Setpriv,
        Inner::Argv(0),
        Known {
            flags: "d",
            long: &["dump", "nnp", "no-new-privs", "clear-groups", "keep-groups", "init-groups", "reset-env"],
            long_values: &[
                "reuid",
                "euid",
                "ruid",
                "regid",
                "egid",
                "rgid",
                "groups",
                "inh-caps",
                "ambient-caps",
                "bounding-set",
                "pdeathsig",
                "securebits",
            ],
            ..NONE
        },
    ),
    plain(&["fakeroot"], Wrapper::Fakeroot, Inner::Argv(0), Known { flags: "uhv", values: "lsi", ..NONE }),
    // As a program; the shell's own word is read by the grammar. `-o` writes a file.
    plain(
        &["time"],
        Wrapper::Time,
        Inner::Argv(0),
        Known {
            flags: "apqvV",
            values: "fo",
            long: &["append", "portability", "quiet", "verbose"],
            long_values: &["format", "output"],
            ..NONE
        },
    ),
    Launch {
        names: &["command"],
        wrapper: Wrapper::Command,
        inner: Inner::Argv(0),
        known: Known { flags: "pvV", ..NONE },
        instead: &["v", "V"],
    },
    plain(&["builtin"], Wrapper::Builtin, Inner::Argv(0), NONE),
    plain(&["exec"], Wrapper::Exec, Inner::Argv(0), Known { flags: "cl", values: "a", ..NONE }),
    plain(
        &["xargs", "gxargs"],
        Wrapper::Xargs,
        Inner::Fed,
        Known {
            flags: "0oprtx",
            values: "aEILnPsdRSJ",
            attached: "eil",
            long: &[
                "null",
                "open-tty",
                "interactive",
                "no-run-if-empty",
                "verbose",
                "exit",
                "eof",
                "replace",
                "max-lines",
                "show-limits",
            ],
            long_values: &["arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"],
        },
    ),
    plain(&["find", "gfind", "bfs"], Wrapper::Find, Inner::Find, NONE),
    plain(&["bash", "sh", "dash", "ash", "zsh", "ksh", "mksh", "rbash"], Wrapper::Shell, Inner::Shell, SHELL),
    plain(&["eval"], Wrapper::Eval, Inner::Joined(0), NONE),
    plain(&["trap"], Wrapper::Trap, Inner::Trap, Known { flags: "lpP", ..NONE }),
    plain(&["alias"], Wrapper::Alias, Inner::Alias, Known { flags: "p", ..NONE }),
    plain(
        &["ssh"],
        Wrapper::Ssh,
        Inner::Joined(1),
        Known { flags: "46AaCfGgKkMNnqsTtVvXxYy", values: "BbcDEeFIiJLlmOopQRSWwP", ..NONE },
    ),
    plain(
        &["docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "incus"],
        Wrapper::Container,
        Inner::Container,
        NONE,
    ),
    plain(
        &["chroot"],
        Wrapper::Chroot,
        Inner::Argv(1),
        Known { long: &["skip-chdir"], long_values: &["userspec", "groups"], ..NONE },
    ),
    plain(
        &["unshare"],
        Wrapper::Unshare,
        Inner::Argv(0),
        Known {
            flags: "cfrmunipUCT",
            values: "RwSGlo",
            long: &[
                "mount",
                "uts",
                "ipc",
                "net",
                "pid",
                "user",
                "cgroup",
                "time",
                "fork",
                "map-root-user",
                "map-current-user",
                "mount-proc",
                "kill-child",
                "map-auto",
                "map-users",
                "map-groups",
                "propagation",
                "keep-caps",
            ],
            long_values: &[
                "root",
                "wd",
                "setuid",
                "setgid",
                "setgroups",
                "map-user",
                "map-group",
                "monotonic",
                "boottime",
            ],
            ..NONE
        },
    ),
    plain(
        &["nsenter"],
        Wrapper::Nsenter,
        Inner::Argv(0),
        Known {
            flags: "aFZeWc",
            values: "tSGN",
            attached: "muinpUCTrw",
            long: &[
                "all",
                "mount",
                "uts",
                "ipc",
                "net",
                "pid",
                "user",
                "cgroup",
                "time",
                "root",
                "wd",
                "no-fork",
                "preserve-credentials",
                "follow-context",
                "env",
                "keep-caps",
                "join-cgroup",
            ],
            long_values: &["target", "setuid", "setgid", "wdns", "net-socket"],
        },
    ),
    plain(&["flock"], Wrapper::Flock, Inner::Flock, NONE),
    plain(
        &["watch"],
        Wrapper::Watch,
        Inner::Joined(0),
        Known {
            flags: "bcdegprtwxC",
            values: "nqs",
            long: &[
                "beep",
                "color",
                "no-color",
                "differences",
                "errexit",
                "chgexit",
                "precise",
                "no-title",
                "no-wrap",
                "exec",
            ],
            long_values: &["interval", "equexit", "shotsdir"],
            ..NONE
        },
    ),
    plain(&["parallel"], Wrapper::Parallel, Inner::Parallel, NONE),
    plain(
        &["strace", "ltrace"],
        Wrapper::Strace,
        Inner::Argv(0),
        Known {
            flags: "cCdDfFhiknNqrtTvVwxyYzZ",
            values: "abeEIoOpPsSuUX",
            long: &[
                "follow-forks",
                "summary-only",
                "summary",
                "quiet",
                "relative-timestamps",
                "seccomp-bpf",
                "output-separately",
            ],
            long_values: &["output", "trace", "attach", "user", "env", "string-limit"],
            ..NONE
        },
    ),
    plain(&["script"], Wrapper::Script, Inner::Su, NONE),
    plain(&["busybox", "toybox"], Wrapper::Busybox, Inner::Argv(0), NONE),
];

/// How the program of this name starts others, if it does.
pub(super) fn of(name: &[u8]) -> Option<&'static Launch> {
    LAUNCHES.iter().find(|l| l.names.iter().any(|n| n.as_bytes() == name))
}
