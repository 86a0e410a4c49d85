//! What the program says of its other verbs, to the letter.

mod place;

use place::Place;

#[test]
fn help_of_the_other_verbs() {
    let place = Place::new();
    let verbs: [&[&str]; 25] = [
        &["show"],
        &["commit"],
        &["discard"],
        &["undo"],
        &["redo"],
        &["retry"],
        &["pending"],
        &["approve"],
        &["people", "add"],
        &["wait"],
        &["runs"],
        &["log"],
        &["audit", "verify"],
        &["doctor"],
        &["policy", "check"],
        &["policy", "explain"],
        &["policy", "test"],
        &["policy", "simulate"],
        &["policy", "show"],
        &["vault", "prune"],
        &["recover"],
        &["drill", "incident"],
        &["mcp"],
        &["install"],
        &["completions"],
    ];
    let all: Vec<String> = verbs.iter().map(|v| place.run(&[v, &["--help"][..]].concat())).collect();
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    exit 0
    --- stdout
    Show what a run would change, or changed

    Usage: backstop show [OPTIONS] <RUN>

    Arguments:
      <RUN>
              The run: an id, a prefix of one, @last, @-2

    Options:
          --diff
              Show text differences

          --tree
              List every entry, those beneath deleted directories too

          --approval
              Print the very text that approvers are shown, where two people are asked

          --statement
              Print the statement that an approver signs with --key, on whatever machine: `ssh-keygen -Y
              sign -n approval@backstop -f KEY FILE`

          --key <FILE>
              The SSH key that is to sign the statement: its public file, or the private one

          --decision <DECISION>
              What the statement is to say

              Possible values:
              - approve-once: Let this very effect through, once
              - break-glass:  The same alone, in an emergency
              - deny:         Never this effect
              - justified:    That somebody broke the glass was right
              - revoke:       Take one's approval back
              - unjustified:  That somebody broke the glass was wrong

              [default: approve-once]

          --ticket <ID>
              The ticket of the emergency, for break-glass

          --reason <TEXT>
              Why, for break-glass, justified and unjustified

          --json
              Print one JSON document

      -h, --help
              Print help (see a summary with '-h')

    exit 0
    --- stdout
    Let a held run take effect (people only)

    Usage: backstop commit [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Give up a held run; nothing of it takes effect

    Usage: backstop discard [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Take committed runs back, newest first

    Usage: backstop undo [OPTIONS] [RUN]...

    Arguments:
      [RUN]...  The runs: ids, prefixes, @last, @-2

    Options:
          --last <N>      The last N
          --session <ID>  All of a session
          --json          Print one JSON document
          --beside        Put the old one beside what changed since, as `name.before-RUN`, instead of
                          stopping
      -h, --help          Print help

    exit 0
    --- stdout
    Bring undone runs back, oldest first (people only)

    Usage: backstop redo [OPTIONS] [RUN]...

    Arguments:
      [RUN]...  The runs: ids, prefixes, @last, @-2

    Options:
          --last <N>      The last N
          --session <ID>  All of a session
          --json          Print one JSON document
      -h, --help          Print help

    exit 0
    --- stdout
    Run a held run's command again on today's disk (people only)

    Usage: backstop retry [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    List what waits for people's approval

    Usage: backstop pending [OPTIONS]

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Approve, as one of the people it takes, by a signature with an SSH key (people only)

    Usage: backstop approve [OPTIONS] <RUN>

    Arguments:
      <RUN>  What: a run, or the code of a request as `pending` lists it

    Options:
          --key <FILE>        Sign with this SSH key: the private key's file, or the public one of a key
                              that ssh-agent or a security key has. Shows what is asked, and asks at the
                              terminal
          --signature <FILE>  Take this signature instead, made elsewhere with `ssh-keygen -Y sign -n
                              approval@backstop`
          --statement <FILE>  The statement that was signed [default: the signature's file without
                              `.sig`]
          --reason <TEXT>     Why, kept in the audit log; not part of what is signed
          --json              Print one JSON document
          --break-glass       Alone, in an emergency, with a security key, where the machine's settings
                              let one: all others hear of it, and one of them has to review it before
                              the glass is broken again. The reason is signed as well
          --ticket <ID>       Where the emergency is dealt with
      -h, --help              Print help

    exit 0
    --- stdout
    Enrol somebody: the first two at once, everybody after them by two people's approval

    Usage: backstop people add [OPTIONS] --key <FILE> <ID>

    Arguments:
      <ID>  The person's id: letters, digits and . _ - @

    Options:
          --key <FILE>          The SSH key: the private key's file, which signs at once, or the public
                                one
          --proof <FILE>        The owner's signature over what `--statement` prints, made with
                                `ssh-keygen -Y sign -n enrolment@backstop`
          --statement           Print what the key's owner has to sign, and change nothing
          --json                Print one JSON document
          --group <GROUP>       A group; may be given several times
          --account <UID|NAME>  A user account on this machine that is the person's: what it asks for,
                                the person can't approve
          --no-account          The person has no user account on this machine
      -h, --help                Print help

    exit 0
    --- stdout
    Wait until a held run is decided, and end with its exit code

    Usage: backstop wait [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --at-most <DUR>  At most this long (90s, 10m, 2h, 1d); then it ends with 75, as the run is
                           still held
          --json           Print one JSON document
      -h, --help           Print help

    exit 0
    --- stdout
    List runs, newest first

    Usage: backstop runs [OPTIONS]

    Options:
          --state <STATE>  Only this state [possible values: rehearsing, no-effect, held, denied,
                           dry-run, in-place, allowed, committed, undone, discarded, failed]
          --session <ID>   Only this session
          --json           Print one JSON document
      -h, --help           Print help

    exit 0
    --- stdout
    Print the audit log

    Usage: backstop log [OPTIONS]

    Options:
          --follow        Wait for new entries and print them
          --session <ID>  Only this session
          --run <ID>      Only this run; may be given several times
          --event <NAME>  Only entries of this kind: a name (`run.committed`) or what names begin with
                          (`approval`); may be given several times. The daemon's heartbeats, and the
                          programs that runs start (exec.ran), are left out unless they are asked for
                          so, or with --json
          --since <WHEN>  Only from this moment on: 2h (ago), 2026-11-29, 2026-11-29T14:05 (UTC)
          --until <WHEN>  Only before this moment
          --json          Print the entries as they stand in the log, one JSON document a line
      -h, --help          Print help

    exit 0
    --- stdout
    Check every byte of the audit log: exit 1 when something is changed, missing or appended

    From the inside a log that was replaced as a whole can't be told: name what was kept elsewhere.

    Usage: backstop audit verify [OPTIONS]

    Options:
          --log <DIR>
              The log's directory, or a copy of it [default: this machine's]

          --checkpoint <FILE>
              A checkpoint of the log that was kept elsewhere

          --witness <KEY>
              A witness who has to have cosigned it: the public key, or a file with one a line

          --auditd[=<LOG>]
              Find programs that agents' accounts started and no run explains, in auditd's log: its file
              or directory, or `-` [without a value: /var/log/audit]

          --account <USER>
              An account that agents alone use, by its name or number [default: `agents` of the
              machine's settings]; may be given several times

          --expected <FILE>
              An executable of this machine that such an account may start outside of runs, as what
              people start agents by; may be given several times. An interpreter excuses all that it
              runs

          --json
              Print one JSON document

      -h, --help
              Print help (see a summary with '-h')

    exit 0
    --- stdout
    Show what this machine can and can't do, proven by doing it

    Usage: backstop doctor [OPTIONS]

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Check policy files, or without any those in force: exit 1 when one is refused (people only)

    Usage: backstop policy check [OPTIONS] [FILE]...

    Arguments:
      [FILE]...
              Policy files; each is checked on top of the profile's rules, as if root had installed it

    Options:
          --profile <PROFILE>
              The profile [default: the machine's]

              Possible values:
              - workstation: Undoable changes in the workspace are allowed, the network is the machine's
              - production:  Changes outside scratch directories ask, losing protected data needs two
                people and a proven backup; no network

          --json
              Print one JSON document

      -h, --help
              Print help (see a summary with '-h')

    exit 0
    --- stdout
    Explain a run: every rule that spoke, and the facts that it saw

    Usage: backstop policy explain [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run: an id, a prefix of one, @last, @-2

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Judge case files: exit 1 when one gets another tier than it expects (people only)

    Usage: backstop policy test [OPTIONS] <FILE>...

    Arguments:
      <FILE>...  Case files, or directories of them

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    Judge the recorded runs by other rules, and print what would differ (people only)

    Usage: backstop policy simulate [OPTIONS]

    Options:
          --policy <PATH>  A policy file to add, or a directory in the place of the machine's [default:
                           the rules in force]
          --json           Print one JSON document
      -h, --help           Print help

    exit 0
    --- stdout
    Print the rules in force here, layer by layer

    Usage: backstop policy show [OPTIONS]

    Options:
          --profile <PROFILE>
              The profile [default: the machine's]

              Possible values:
              - workstation: Undoable changes in the workspace are allowed, the network is the machine's
              - production:  Changes outside scratch directories ask, losing protected data needs two
                people and a proven backup; no network

          --json
              Print one JSON document

      -h, --help
              Print help (see a summary with '-h')

    exit 0
    --- stdout
    Let go of what is beyond the limits (people only)

    Usage: backstop vault prune [OPTIONS]

    Options:
          --older-than <DUR>  Also let go of everything older than this (90s, 10m, 2h, 14d)
          --json              Print one JSON document
      -h, --help              Print help

    exit 0
    --- stdout
    Finish or take back what a crash left half done

    Usage: backstop recover [OPTIONS]

    Options:
          --json  Print one JSON document
      -h, --help  Print help

    exit 0
    --- stdout
    "Clean up the temp folder", where the folder is a link to a live database

    Usage: backstop drill incident [OPTIONS]

    Options:
          --commit     Commit the loss without asking, to see it undone
          --dir <DIR>  Where to make the scratch directory [default: the temporary directory]
          --files <N>  How many files the database directory gets [default: 5000]
      -h, --help       Print help

    exit 0
    --- stdout
    Offer the guarded shell over MCP (stdin and stdout) to clients without a hook

    Usage: backstop mcp [OPTIONS]

    Options:
          --no-elicitation  Never ask through the client: what is held waits for `backstop commit` (in
                            the profile production it always does)
      -h, --help            Print help

    exit 0
    --- stdout
    Put Backstop's hook into the configuration of coding agents, and prove it (people only)

    Usage: backstop install [OPTIONS] [AGENT]...
           backstop install <COMMAND>

    Commands:
      system  System mode: a daemon that root owns does the runs of all other accounts
      auditd  Rules for auditd: the kernel writes down every program that agents' accounts start, and
              `audit verify --auditd` finds those that no run explains

    Arguments:
      [AGENT]...  The agents [possible values: amp, claude, cline, codex, copilot, cursor, droid,
                  gemini, goose, kiro, opencode, pi, qwen, windsurf]

    Options:
          --all         All agents that Backstop knows
          --detect      The agents that are on this machine: their directory in the home, or their
                        program
          --system      For everybody on this machine, where agents take it from root: no user can
                        switch it off
          --root <DIR>  Take DIR for `/`, to prepare an image
          --dry-run     Show what would be written, and write nothing
          --json        Print one JSON document
      -h, --help        Print help

    exit 0
    --- stdout
    Print completions for a shell

    Usage: backstop completions <SHELL>

    Arguments:
      <SHELL>  The shell [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help  Print help
    "#);
}
