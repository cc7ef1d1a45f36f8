//! One entry a subcommand: what `--help` and its manual page say beyond its arguments.
//!
//! A test parses every example: one that the command line would not understand fails it.

use super::Page;

/// Exit codes of what opens a run.
const ALL: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "128+n"];

/// Exit codes of what shows a run that is open.
const SHOWS: &[&str] = &["0", "1", "2", "4", "5", "6", "8", "9", "128+n"];

/// Exit codes of what only prints.
const PRINTS: &[&str] = &["0", "1", "2"];

/// Exit codes of what reads a runbook and prints.
const READS: &[&str] = &["0", "1", "2", "3"];

/// Every subcommand's entry, in the order of `cutover --help`.
pub const PAGES: &[Page] = &[
    Page {
        name: "run",
        notes: &[
            "The run lives in a process of its own, the engine: closing the terminal ends the screen, not the run. \
             `cutover attach` brings the screen back.",
            "Beside the run it looks for what would make it fail, as `cutover check --online` and `cutover doctor` do. The \
             cockpit shows what it finds under :preflight, --plain prints it. Nothing waits for it.",
        ],
        examples: &[
            ("cutover run", "Run ./runbook.toml and open the cockpit."),
            (
                "cutover run shop.toml --var VERSION=v1.6.0 --part migrations=no",
                "Answer questions in advance.",
            ),
            ("cutover run shop.toml --dry-run", "Show what would run, and stop there."),
            (
                "cutover run --plain --yes --json-lines --var VERSION=v1.6.0",
                "Unattended, for a pipeline: one JSON object for each event; the exit code says how it ended.",
            ),
            (
                "cutover run --override \"CVE fix, approved by phone\"",
                "Start although the runbook is not approved or it is outside its window.",
            ),
        ],
        exits: ALL,
        means: &[],
    },
    Page {
        name: "rehearse",
        notes: &["Shell commands are not executed and notices are not sent. A rehearsal cannot be resumed."],
        examples: &[
            (
                "cutover rehearse",
                "Rehearse ./runbook.toml, or the built-in runbook if there is no such file.",
            ),
            (
                "cutover rehearse --scenario bad-release --speed 10",
                "The new version fails after the switch; ten times faster.",
            ),
            ("cutover rehearse --list-scenarios", "Show what else can go wrong."),
            (
                "cutover rehearse shop.toml --plain --yes --speed 60 --var VERSION=v1.6.0",
                "Unattended, for CI: does the runbook run to its end?",
            ),
            (
                "cutover rehearse --kubeconfig /tmp/rehearsal.yaml",
                "Follow the simulated cluster with your own kubectl.",
            ),
        ],
        exits: &["0", "1", "2", "3", "4", "5", "6", "8", "9", "128+n"],
        means: &[],
    },
    Page {
        name: "init",
        notes: &[
            "It only reads: the namespace's objects and, if there is one, a Prometheus. What was guessed is marked \
             `# found:` in the file, what is missing `# TODO:`; `cutover check` counts those.",
        ],
        examples: &[
            (
                "cutover init",
                "Look at the current context's namespace, ask what is open, write ./runbook.toml.",
            ),
            (
                "cutover init --yes --service shop --prometheus http://prometheus:9090",
                "Ask nothing; keep only queries that give one number a slot now.",
            ),
            ("cutover init --example canary --output canary.toml", "An example, without a cluster."),
        ],
        exits: READS,
        means: &[("3", "nothing that can be deployed was found, or the cluster cannot be read")],
    },
    Page {
        name: "import",
        notes: &[
            "Every line of the page ends up in the runbook, as what it means or as a note, or is listed. Only what is \
             plainly a shell command becomes one; nothing is executed.",
        ],
        examples: &[
            ("cutover import wiki/deploy.md", "Write ./runbook.toml, and say what became of each line."),
            ("cutover import wiki/deploy.md --output - | less", "Look at it first."),
        ],
        exits: READS,
        means: &[("3", "no runbook could be made of the page")],
    },
    Page {
        name: "export",
        notes: &["`cutover import` reads the page back: wiki and file need not differ."],
        examples: &[
            ("cutover export --output deploy.md", "Write ./runbook.toml as a page for the wiki."),
            ("cutover export shop.toml | less", "Read it."),
        ],
        exits: READS,
        means: &[],
    },
    Page {
        name: "check",
        notes: &[
            "With --online it also looks at the cluster, the metrics and the URLs that the runbook names. It changes \
             nothing and posts nothing.",
        ],
        examples: &[
            ("cutover check", "Validate ./runbook.toml."),
            (
                "cutover check --online --var VERSION=v1.6.0",
                "And look whether it would work where it is to run.",
            ),
            ("cutover check shop.toml --strict", "For CI: warnings are errors, too."),
        ],
        exits: READS,
        means: &[("3", "the runbook has errors, or --online found a fault; with --strict, or warnings")],
    },
    Page {
        name: "backtest",
        notes: &[
            "It asks the runbook's Prometheus for the past and reads the journals on this host; it changes nothing. Times \
             without a release are cut into windows as long as the runbook watches one, and each trigger is run in each of \
             them as it would have run live. What fires there is a false alarm, unless something else was wrong: leave such a \
             time out with --except. Incidents that were declared in a run are left out. It looks at every 15 s of the past, and \
             at past runs as densely as they were measured.",
        ],
        examples: &[
            ("cutover backtest", "Would the triggers of ./runbook.toml have cried wolf in the last 14 days?"),
            (
                "cutover backtest --except 2026-11-20T13:00Z..2026-11-20T15:30Z",
                "Without the two hours in which the database was down.",
            ),
            (
                "cutover backtest shop.toml --since 2d --json",
                "Two days, for another program, or for cutover report --backtest.",
            ),
        ],
        exits: READS,
        means: &[],
    },
    Page {
        name: "doctor",
        notes: &[],
        examples: &[
            ("cutover doctor", "Is this machine, and this login, ready for a run?"),
            ("cutover doctor --context prod-eu-1 --json", "Another context, for another program."),
        ],
        exits: READS,
        means: &[("3", "something would keep a run from working; with --strict, or might")],
    },
    Page {
        name: "plan",
        notes: &[],
        examples: &[
            ("cutover plan --var VERSION=v1.6.0", "Read everything that would run, in order."),
            ("cutover plan shop.toml --live green", "As if the slot green had the users."),
            ("cutover plan --rbac | kubectl apply -f -", "Create the roles that this runbook needs."),
        ],
        exits: READS,
        means: &[],
    },
    Page {
        name: "resume",
        notes: &[
            "The run comes back paused, with every unfinished action UNKNOWN, so that you can look around first. If its \
             engine is alive, use `cutover attach`.",
        ],
        examples: &[
            ("cutover resume", "Resume the newest run that is not over."),
            ("cutover resume 20261127-190956-k3fa --var API_TOKEN=...", "With a secret that had been typed."),
            (
                "cutover resume --from-cluster --runbook shop.toml",
                "The run's host is gone: continue from the copy in the cluster.",
            ),
        ],
        exits: ALL,
        means: &[],
    },
    Page {
        name: "attach",
        notes: &[],
        examples: &[
            ("cutover attach", "Come back to the only active run."),
            (
                "cutover attach 20261127-190956-k3fa",
                "Name it if there are several, or look back at a finished one.",
            ),
            ("cutover attach --plain", "No screen: one line for each event."),
        ],
        exits: SHOWS,
        means: &[],
    },
    Page {
        name: "replay",
        notes: &[
            "The screen is the one that the run had, folded from the same events; samples, pods and warnings come from \
             the file samples.cut beside the journal. Its header says REPLAY, and the time in the run. No key changes \
             the run, and nothing is asked of a cluster.",
            "SPACE plays and pauses, the arrow keys go to the next event and to the one before, > and < change the \
             speed. :goto goes to a time (14:05:30 in UTC, 12m after the start, +30s or -5m from here), to an event \
             (#17, start, end), or to the next event that has the words in its sentence.",
            "A run of an earlier version has no samples; one that was long has fewer of its older hours. The header \
             says so.",
        ],
        examples: &[
            ("cutover replay", "The newest run, at ten times its speed."),
            ("cutover replay 20261127-190956-k3fa --speed 60", "That run, a minute in a second."),
            (
                "cutover replay --from report.json",
                "A run of another host, from what `cutover report --format json` wrote there.",
            ),
        ],
        exits: &["0", "1", "2", "8", "128+n"],
        means: &[],
    },
    Page {
        name: "watch",
        notes: &[
            "Another user's run can be watched if it was started with --watch-group and you are in that group.",
        ],
        examples: &[
            ("cutover watch", "Watch the only run there is."),
            ("cutover watch --plain --json-lines", "Its events, for another program."),
        ],
        exits: SHOWS,
        means: &[],
    },
    Page {
        name: "takeover",
        notes: &[
            "Given the ID of a target's lock instead of a run's, it waits 15 seconds for the holder to renew the lock, then \
             takes it and continues the run, paused, from the copy in the cluster.",
        ],
        examples: &[
            (
                "cutover takeover --reason \"shift change\"",
                "Take control of the active run after its pilot has left.",
            ),
            (
                "cutover takeover 3f9a-12bc-77de --reason \"bastion-1 is down\"",
                "Another host is gone; `cutover list --cluster` shows the lock's ID.",
            ),
        ],
        exits: ALL,
        means: &[],
    },
    Page {
        name: "approve",
        notes: &[
            "A step with `approvals` waits until somebody else approves it. Their account must be in the run's \
             --approve-group.",
        ],
        examples: &[
            ("cutover approve", "Approve the step that is waiting."),
            ("cutover approve 20261127-190956-k3fa --step switch", "This step of this run, and no other."),
        ],
        exits: PRINTS,
        means: &[("2", "usage: wrong command line, no run to approve, or the approval was refused")],
    },
    Page {
        name: "status",
        notes: &[],
        examples: &[
            ("cutover status", "The newest run: its state, what it waits for, what to type next."),
            ("cutover status 20261127-190956-k3fa --json", "For another program."),
            ("cutover status --wait succeeded,rolled-back --timeout 20m", "A script waits for the end."),
        ],
        exits: &["0", "1", "2", "4", "5", "6", "8", "9", "10", "11"],
        means: &[
            ("0", "the run has succeeded; with --wait, it is in one of the states"),
            ("1", "nobody watches the run: its engine is gone"),
            ("8", "the run waits for a person"),
            ("9", "the run continues by itself, or was closed as paused"),
        ],
    },
    Page {
        name: "rollback",
        notes: &["It works without a screen, and also if the engine is gone: it starts another one."],
        examples: &[
            ("cutover rollback --reason \"errors everywhere\"", "Roll back the active run, and follow it."),
            ("cutover rollback 20261127-190956-k3fa --retry", "Try a stopped rollback again."),
            (
                "cutover rollback 20261127-190956-k3fa --give-up --reason \"done by hand\"",
                "Abandon a stopped rollback; the run ends as failed.",
            ),
        ],
        exits: &["1", "2", "4", "5", "6", "7", "8", "128+n"],
        means: &[
            ("2", "usage: wrong command line, no such run, or the run cannot be rolled back now"),
            ("4", "the rollback was abandoned"),
            ("6", "the rollback has stopped or failed"),
        ],
    },
    Page {
        name: "abort",
        notes: &["After the switch there is nothing to abort: use `cutover rollback`."],
        examples: &[(
            "cutover abort --reason \"wrong version\"",
            "Abort the active run before users are moved.",
        )],
        exits: &["1", "2", "4", "7", "8", "128+n"],
        means: &[
            ("2", "usage: wrong command line, no such run, or traffic has been switched already"),
            ("4", "aborted; traffic was not touched"),
        ],
    },
    Page {
        name: "service",
        notes: &[
            "Put what engines need from the environment (KUBECONFIG, secrets) into ~/.config/cutover/service.env, mode 0600.",
        ],
        examples: &[
            (
                "cutover service install",
                "Restart engines after a crash or a reboot; their runs come back paused.",
            ),
            ("cutover service remove", "Stop the service and remove its unit file."),
            ("cutover service run --once", "Look once for runs that have lost their engine."),
        ],
        exits: PRINTS,
        means: &[],
    },
    Page {
        name: "list",
        notes: &[
            "The figures are calculated from the journals on this host: deployment frequency, lead time for changes, change failure \
             rate, time to restore. Rehearsals are never counted as deployments. What the journals do not say is shown as not \
             known; the lead time needs a variable COMMITTED_AT in the runbook. With --cluster they are over this host's runs of \
             the runbook's module and those that only the cluster's copies tell of.",
        ],
        examples: &[
            ("cutover list", "The runs on this host, newest first, and the figures over them."),
            ("cutover list --json", "For another program."),
            ("cutover list --cluster", "The runs of every host, and who holds the target's lock."),
        ],
        exits: READS,
        means: &[],
    },
    Page {
        name: "report",
        notes: &[
            "The HTML page is one file that needs nothing else: mail it, or print it. It says how the run ended, what users felt, \
             who decided what and why, and whether the journal is whole. The JSON has every event and sample. Secrets are in none \
             of them.",
        ],
        examples: &[
            ("cutover report --output report.html", "The newest run, as a page for a browser."),
            (
                "cutover report 20261127-190956-k3fa --format md --output postmortem.md",
                "The beginning of a postmortem, for a wiki.",
            ),
            ("cutover report --format json | jq .figures", "The figures, for another program."),
            (
                "cutover report --backtest backtest.json --output report.html",
                "With a picture of what the triggers would have done in the last weeks.",
            ),
        ],
        exits: PRINTS,
        means: &[],
    },
    Page {
        name: "tasks",
        notes: &[],
        examples: &[
            ("cutover tasks", "What is still to do after the newest run, and by when."),
            ("cutover tasks --done 3", "Mark the third task as done."),
        ],
        exits: PRINTS,
        means: &[],
    },
    Page {
        name: "config",
        notes: &[],
        examples: &[
            ("cutover config", "Every setting, its value, and which file or variable sets it."),
            ("cutover config --json", "For another program."),
        ],
        exits: PRINTS,
        means: &[("2", "usage: wrong command line, or the settings or the keymap have errors")],
    },
    Page {
        name: "schema",
        notes: &[
            "An editor with a TOML language server (Taplo, Tombi: VS Code with Even Better TOML, Neovim, Helix, Zed, Emacs) \
             completes keys, shows what they mean and marks wrong ones. It reads the schema that the runbook's first line \
             names:",
            "  #:schema ./runbook.schema.json",
            "Print it again after an update of cutover. The schema cannot say everything: `cutover check` can.",
        ],
        examples: &[("cutover schema > runbook.schema.json", "Write the schema beside the runbook.")],
        exits: PRINTS,
        means: &[],
    },
    Page {
        name: "completions",
        notes: &[
            "They know subcommands, options, runs with their states, runbooks and scenarios: at each TAB the shell asks \
             cutover itself. They need no update.",
        ],
        examples: &[
            ("source <(cutover completions bash)", "bash: in ~/.bashrc."),
            ("source <(cutover completions zsh)", "zsh: in ~/.zshrc, after compinit."),
            ("cutover completions fish > ~/.config/fish/completions/cutover.fish", "fish: once."),
        ],
        exits: PRINTS,
        means: &[],
    },
    Page {
        name: "man",
        notes: &[],
        examples: &[
            ("cutover man run | man -l -", "Read the page of `cutover run`."),
            (
                "cutover man --dir ~/.local/share/man/man1",
                "Install all pages, for `man cutover` and `man cutover-run`.",
            ),
        ],
        exits: PRINTS,
        means: &[],
    },
];
