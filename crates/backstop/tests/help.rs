//! What the program says of itself: its help and that of `run`, to the letter, and the topics. Of the other verbs:
//! `help_verbs.rs`.

mod place;

use place::Place;

#[test]
fn help() {
    insta::assert_snapshot!(Place::new().run(&["--help"]), @r#"
    exit 0
    --- stdout
    Nothing a command does takes effect before its true effect is known, allowed, recorded and undoable

    Usage: backstop <COMMAND>

    Commands:
      run          Rehearse a command, judge its effect, commit or hold it
      show         Show what a run would change, or changed
      commit       Let a held run take effect (people only)
      discard      Give up a held run; nothing of it takes effect
      undo         Take committed runs back, newest first
      redo         Bring undone runs back, oldest first (people only)
      retry        Run a held run's command again on today's disk (people only)
      pending      List what waits for people's approval
      review       Look through what waits, at a screen of its own, and decide (people only)
      approve      Approve, as one of the people it takes, by a signature with an SSH key (people only)
      deny         Deny, by a signature: then nobody can let it through (people only)
      revoke       Take one's own approval back, before it takes effect (people only)
      freeze       Stop everything of every agent at once: nothing begins and nothing takes effect
                   (people only)
      thaw         Let what is frozen go on, by a word at a terminal, or by two people's signatures
                   (people only)
      jail         Look who is banned for trying again and again, and end bans
      people       Say who may approve (people only)
      wait         Wait until a held run is decided, and end with its exit code
      runs         List runs, newest first
      log          Print the audit log
      report       Write an incident report: what happened, what it did, who decided what, what came
                   back, and the proofs
      audit        Check the records
      export       Copy the audit log to where others look at it: status, test, backfill, check, run
      doctor       Show what this machine can and can't do, proven by doing it
      policy       Look at the rules, check them, try them
      vault        Look after what undo needs
      recover      Finish or take back what a crash left half done
      drill        Rehearse an accident on scratch data, and the way back
      hook         Answer a coding agent's hook: its JSON on standard input, the answer in its own
                   dialect
      mcp          Offer the guarded shell over MCP (stdin and stdout) to clients without a hook
      install      Put Backstop's hook into the configuration of coding agents, and prove it (people
                   only)
      uninstall    Take Backstop's hook out of the configuration of coding agents (people only)
      completions  Print completions for a shell
      help         Explain a command or a topic: exit-codes, states, undo, policy, classes, settings,
                   approvals, system, notify, alerts, export, freeze, jail, witness

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Start here:
      backstop drill incident          lose a database on scratch data, and get it back
      backstop run -- make clean       rehearse, judge, then commit or hold
      backstop undo --last 1           take the last one back

    Topics: backstop help exit-codes | states | undo | policy | classes | settings | approvals
            backstop help system | notify | alerts | export | freeze | jail | witness
    "#);
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(Place::new().run(&["run", "--help"]), @r#"
    exit 0
    --- stdout
    Rehearse a command, judge its effect, commit or hold it

    Usage: backstop run [OPTIONS] [--] CMD [ARG]...
           backstop run [OPTIONS] -c LINE

    Arguments:
      [CMD]...
              The command and its arguments

    Options:
      -c <LINE>
              Run LINE with `bash -c`

          --workspace <DIR>
              The agent's own place [default: the nearest repository root, else the current directory;
              never `/`, a home, or a parent of one: then every change is outside]

          --dry-run
              Show the effect, never commit (exit 0 whatever the judgement)

          --hold
              Always hold, even when allowed

          --rehearse
              Rehearse even what is known to only read (`ls`, `git status`), which otherwise runs in
              place without any right to write

          --background
              Run a server or a watcher in place, able to write only in the workspace, scratch
              directories and caches; undo doesn't cover what it changes there. Where the machine's
              settings keep undo, it is rehearsed all the same

          --yes
              Confirm as the person at this terminal (refused without one, and inside a run)

          --wait[=<DUR>]
              When held, wait for a person to commit or discard it, at most DUR (90s, 10m, 2h, 1d)

          --reason <TEXT>
              Why, shown to approvers and kept in the audit log

          --session <ID>
              Groups runs: an agent's session id

          --agent <NAME>
              The coding agent that asks, as its hook says it

          --call <ID>
              Its tool call

          --subagent <ID>
              Its sub-agent, where one asks

          --cwd-to <FD>
              Say LINE's last directory to this pipe, so that the shell outside can go there as well

          --shell-from <FD>
              Read functions and aliases from this pipe before LINE: those of the shell outside

          --net <NET>
              What the command may reach, as far as the machine's settings allow [default: from the
              profile]

              Possible values:
              - none: Nothing but a loopback of its own
              - host: The machine's network

          --profile <PROFILE>
              Defaults to go by, as far as the machine's settings allow [default: from the settings,
              else workstation]

              Possible values:
              - workstation: Undoable changes in the workspace are allowed, the network is the machine's
              - production:  Changes outside scratch directories ask, losing protected data needs two
                people and a proven backup; no network

          --as <USER>
              Run it as another user, root included, where the machine's settings let this account:
              behind the daemon, with that user's environment, and never in a workspace

          --parallel
              Don't take turns with other runs in the same workspace

          --write-limit <SIZE>
              Stop the command when it has written more than this, in bytes (K, M, G, T: powers of 1000)

          --json
              Print one JSON document after the run; the command's own output goes to stderr

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn topics_are_printed_and_unknown_ones_refused() {
    let place = Place::new();
    let topics = ["exit-codes", "states", "undo", "policy", "classes", "settings", "approvals", "system", "notify"];
    for topic in topics.into_iter().chain(["freeze", "jail", "witness", "run", "vault"]) {
        let text = place.run(&["help", topic]);
        assert!(text.starts_with("exit 0\n--- stdout\n") && text.lines().count() > 5, "{topic}: {text}");
    }
    insta::assert_snapshot!(place.run(&["help", "nonsense"]), @r#"
    exit 2
    --- stderr
    backstop: no help about nonsense
      next     backstop help, or one of: exit-codes, states, undo, freeze, jail, witness, policy, approvals, classes, system, notify, alerts, export, settings
    "#);
}
