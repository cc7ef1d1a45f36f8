//! What a command is like: whether it only looks, whether it ends by itself, whether it destroys.

use std::sync::LazyLock;

use regex::Regex;

use super::{amounts::pattern, fence};

/// What a command does, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// It only reads, and ends.
    Looks,
    /// It tests what runs.
    Tests,
    Changes,
    /// It shows something until somebody stops it.
    Watches,
    /// It waits for a person at a terminal; what follows runs in there.
    Enters,
    /// It waits for a person, and what follows runs where it did before.
    Interactive,
    /// Nothing a run needs: `clear`, `exit`, `set -e`.
    Idle,
}

static DESTROYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:delete|destroy|uninstall|truncate|purge|prune|flushall|flushdb|wipe|dropdb|terminate-instances|drain|mkfs|shred)\b|\bdrop\s+(?:table|database|schema|index|column|user|collection|keyspace)|\brm\s+(?:-\w+\s+)*-\w*[rRf]|--force\b|\bpush\s+(?:\S+\s+)*-f\b|reset\s+--hard|\bdb:drop\b|\bdropdb\b|--grace-period=0",
    )
});

static RESTORES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:pg_restore|mongorestore|restore-db|db[:_-]restore|restore[:_-]db|restore[_-](?:database|backup|snapshot|dump)|rds\s+restore\S*|velero\s+restore)\b|\brestore\b.*\b(?:backup|dump|snapshot|database|db)\b|\b(?:backup|database|db)\b.*\brestore\b|\b(?:mysql|psql|mariadb)\b[^|]*<\s*\S",
    )
});

static TESTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:smoke|healthcheck|health-check|health_check)[\w:-]*|\b(?:test|tests|e2e|verify|validate)\b|:(?:test|verify|status|check)\b|migrate:status|[/_-](?:smoke|verify|validate|check|test)[\w-]*(?:\.sh|\.py)?\b",
    )
});

/// Whether it takes something away for good.
pub(super) fn destroys(script: &str) -> bool {
    DESTROYS.as_ref().is_some_and(|regex| regex.is_match(script))
}

/// Whether it puts old data in the place of newer data.
pub(super) fn restores(script: &str) -> bool {
    RESTORES.as_ref().is_some_and(|regex| regex.is_match(script))
}

/// The parts of a line that are commands of their own.
fn parts(script: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '|' | ';' | '&') => {
                chars.next_if(|next| *next == c);
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// What a command is like.
pub(super) fn of(script: &str) -> Nature {
    let joined = script.replace("\\\n", " ");
    let all = parts(&joined);
    if let Some(nature) = all.first().and_then(|first| person(first, all.len() == 1, &joined)) {
        return nature;
    }
    let writes = joined
        .replace("2>&1", "")
        .replace(">/dev/null", "")
        .replace("> /dev/null", "")
        .replace("2>/dev/null", "")
        .replace("->", "")
        .replace("=>", "");
    let writes = writes.contains('>') && !writes.contains("<<<");
    if !writes && !all.is_empty() && all.iter().all(|part| looks(part)) {
        return Nature::Looks;
    }
    // Where a command is run from says nothing of what it does.
    let does: Vec<&String> =
        all.iter().filter(|part| !matches!(words(part).first(), Some(&"cd" | &"." | &"source"))).collect();
    let tested = does.iter().any(|part| tests(part)) && does.iter().all(|part| tests(part) || looks(part));
    if !writes && !destroys(script) && tested && !does.iter().any(|part| changes(part)) {
        return Nature::Tests;
    }
    Nature::Changes
}

/// Whether a command says that it tests something, by the words that name what it does: `--no-verify` and
/// `verify.example.com` do not.
fn tests(part: &str) -> bool {
    let named: Vec<&str> = words(part)
        .into_iter()
        .filter(|word| {
            !word.starts_with('-')
                && !word.contains("://")
                && (!word.contains('.')
                    || word.contains('/')
                    || [".sh", ".py", ".js", ".ts", ".rb"].iter().any(|end| word.ends_with(end)))
        })
        .collect();
    TESTS.as_ref().is_some_and(|tests| tests.is_match(&named.join(" ")))
}

/// Whether a command says that it changes something.
fn changes(part: &str) -> bool {
    const VERBS: &[&str] = &[
        "add", "alias", "apply", "commit", "create", "deploy", "disable", "enable", "install", "merge",
        "migrate", "patch", "promote", "publish", "push", "put", "remove", "restart", "rm", "rollback",
        "scale", "set", "start", "stop", "tag", "update", "upgrade",
    ];
    let words = words(part);
    let first = words.first().copied().unwrap_or_default();
    let posts = first == "curl" && !looks(part);
    let script = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let asks = ["check", "verify", "status", "smoke", "validate"].iter().any(|asks| name.contains(asks));
        (name.contains("deploy") || name.contains("rollback") || name.contains("restore")) && !asks
    };
    let is_file = |word: &str| [".sh", ".py", ".js", ".ts", ".rb"].iter().any(|end| word.ends_with(end));
    first == "git"
        || posts
        || script(first)
        || words.iter().skip(1).any(|word| VERBS.contains(word) || is_file(word) && script(word))
}

fn words(part: &str) -> Vec<&str> {
    let program = fence::program(part);
    let at = part.find(program).unwrap_or(0);
    let mut words: Vec<&str> = part[at..].split_whitespace().collect();
    if words.first() == Some(&"sudo") {
        words.remove(0);
    }
    words
}

/// Commands that want a person.
fn person(part: &str, alone: bool, whole: &str) -> Option<Nature> {
    let words = words(part);
    let first = *words.first()?;
    let has = |flags: &[&str]| words.iter().any(|word| flags.contains(word));
    let short = |letter: char| {
        words.iter().skip(1).any(|word| {
            word.starts_with('-')
                && !word.starts_with("--")
                && word[1..].chars().all(|c| c.is_ascii_alphabetic())
                && word.contains(letter)
        })
    };
    let fed = whole.contains('<') || !alone;
    Some(match first {
        "watch" | "top" | "htop" | "k9s" | "stern" | "glances" => Nature::Watches,
        "tail" | "journalctl" if short('f') || has(&["-F", "--follow"]) => Nature::Watches,
        "kubectl" | "oc" | "k" if has(&["port-forward", "proxy", "attach"]) => Nature::Watches,
        "kubectl" | "oc" | "k"
            if has(&["get", "logs"]) && (has(&["-w", "--watch", "-f", "--follow"]) && !has(&["apply"])) =>
        {
            Nature::Watches
        }
        "docker" | "docker-compose" | "podman" if has(&["logs"]) && has(&["-f", "--follow"]) => {
            Nature::Watches
        }
        "argo" if has(&["--watch"]) => Nature::Watches,
        "kubectl" | "oc" | "k" if kubectl_verb(&words) == "edit" => Nature::Interactive,
        "kubectl" | "oc" | "k" | "docker" | "podman" | "docker-compose"
            if has(&["exec", "run", "rsh", "debug"])
                && (short('t') || has(&["--tty"]))
                && shell_at_end(&words) =>
        {
            Nature::Enters
        }
        "ssh" | "mosh" if alone && remote_command(&words).is_none() => Nature::Enters,
        "su" => Nature::Enters,
        "bash" | "sh" | "zsh" | "tmux" | "screen" if words.len() == 1 => Nature::Enters,
        "psql" | "mysql" | "mariadb" | "mongo" | "mongosh" | "redis-cli" | "sqlite3" | "sqlplus"
        | "cqlsh"
            if !fed && client_waits(first, &words) =>
        {
            Nature::Enters
        }
        "python" | "python3" | "node" | "irb" | "ipython" if words.len() == 1 && alone => Nature::Enters,
        "rails" if has(&["console", "c"]) => Nature::Enters,
        "-i" | "-s" if part.contains("sudo") => Nature::Enters,
        "vi" | "vim" | "nano" | "emacs" | "less" | "more" | "visudo" | "read" => Nature::Interactive,
        "crontab" if has(&["-e"]) => Nature::Interactive,
        "git" if has(&["rebase"]) && has(&["-i"]) || has(&["add"]) && has(&["-p"]) => Nature::Interactive,
        "clear" | "exit" | "logout" | "reset" | "true" | ":" if alone => Nature::Idle,
        "set" if alone => Nature::Idle,
        _ => return None,
    })
}

/// Whether a database's client would wait for somebody to type.
fn client_waits(client: &str, words: &[&str]) -> bool {
    match client {
        "redis-cli" => !words.iter().skip(1).any(|word| {
            word.chars().all(|c| c.is_ascii_alphabetic()) && word.chars().all(|c| c.is_ascii_uppercase())
                || ["ping", "info", "get", "set", "flushall", "flushdb", "keys"].contains(word)
        }),
        "sqlite3" => words.len() < 3,
        _ => !words.iter().any(|word| {
            matches!(
                *word,
                "-c" | "-f" | "-e" | "-l" | "--command" | "--file" | "--execute" | "--eval" | "--version"
            ) || word.starts_with("--command=")
                || word.starts_with("--file=")
                || word.starts_with("--execute=")
                || word.starts_with("--eval=")
        }),
    }
}

fn shell_at_end(words: &[&str]) -> bool {
    words.last().is_some_and(|last| {
        matches!(
            last.rsplit('/').next().unwrap_or(last),
            "bash" | "sh" | "ash" | "zsh" | "psql" | "mysql" | "mongosh" | "redis-cli" | "console" | "irb"
        )
    })
}

/// The command that ssh is to run, where there is one.
fn remote_command<'a>(words: &[&'a str]) -> Option<&'a str> {
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        if let Some(letters) = word.strip_prefix('-') {
            if letters.len() == 1 && "bcDEeFIiJLlmOopQRSWw".contains(letters) {
                rest.next();
            }
            continue;
        }
        return rest.next().copied();
    }
    None
}

/// Programs that only read, whatever their arguments.
const READERS: &str = "\
    [ awk cat column cut date df diff dig du echo egrep exit free grep head host hostname id journalctl jq less ls \
    lsof md5sum nc netstat nodetool nslookup openssl ping printf ps pwd sha256sum sleep sort ss stat tail test tr \
    traceroute true uname uniq uptime wc which whoami yq zcat";

/// Whether a command only reads. A program that is not known here may change something.
fn looks(part: &str) -> bool {
    let words = words(part);
    let second = words.get(1).copied().unwrap_or_default();
    let verb = words
        .iter()
        .skip(1)
        .find(|word| !word.starts_with('-') && !word.contains('='))
        .copied()
        .unwrap_or_default();
    let any = |known: &[&str]| words.iter().any(|word| known.contains(word));
    match words.first().copied().unwrap_or_default() {
        "kubectl" | "k" | "oc" => kubectl_looks(&words),
        "helm" => matches!(
            verb,
            "status" | "list" | "ls" | "history" | "get" | "template" | "lint" | "version" | "diff"
        ),
        "git" => git_looks(second, &words),
        "docker" | "podman" | "docker-compose" => docker_looks(verb, &words),
        "curl" => curl_looks(&words),
        "http" => second == "GET" || second.starts_with("http"),
        "systemctl" | "service" => any(&["status", "is-active", "list-units", "is-enabled"]),
        "supervisorctl" | "pm2" => matches!(verb, "status" | "list" | "ls"),
        "terraform" | "tofu" => matches!(verb, "plan" | "show" | "validate" | "output"),
        "aws" => words.iter().any(|word| is_aws_read(word)),
        "gcloud" => any(&["describe", "list"]),
        "az" => any(&["show", "list"]),
        "gh" => any(&["view", "list", "status", "checks"]),
        "argocd" => any(&["get", "list", "diff", "wait"]),
        "sed" => !words.iter().any(|word| word.starts_with("-i")),
        program => READERS.split_whitespace().any(|reader| reader == program),
    }
}

/// The API's own naming: what reads begins with one of three words.
fn is_aws_read(word: &str) -> bool {
    word == "wait" || ["describe-", "list-", "get-"].iter().any(|reads| word.starts_with(reads))
}

fn kubectl_looks(words: &[&str]) -> bool {
    let any = |known: &[&str]| words.iter().any(|word| known.contains(word));
    match kubectl_verb(words) {
        "get" | "describe" | "logs" | "top" | "explain" | "version" | "cluster-info" | "api-resources"
        | "diff" | "wait" | "events" => true,
        "rollout" => any(&["history", "status"]),
        "auth" => any(&["can-i"]),
        "config" => any(&["current-context", "get-contexts", "view"]),
        _ => false,
    }
}

/// `git branch` and `git remote` read or write, as their arguments say.
fn git_looks(verb: &str, words: &[&str]) -> bool {
    matches!(
        verb,
        "status" | "log" | "diff" | "show" | "ls-remote" | "describe" | "rev-parse" | "remote" | "branch"
    ) && words.len() < 8
        && !words.iter().any(|word| matches!(*word, "-d" | "-D" | "add" | "set-url" | "-m"))
}

fn docker_looks(verb: &str, words: &[&str]) -> bool {
    matches!(verb, "ps" | "images" | "inspect" | "logs" | "version" | "info" | "stats")
        || words.windows(2).any(|two| {
            [["manifest", "inspect"], ["image", "inspect"], ["image", "ls"], ["compose", "ps"]]
                .iter()
                .any(|known| two == known)
        })
}

/// A request reads unless it names another method, sends a body or writes a file; what goes to /dev/null is no file.
fn curl_looks(words: &[&str]) -> bool {
    let writes = words.iter().any(|word| {
        matches!(
            *word,
            "--request" | "--data" | "--data-raw" | "--data-binary" | "-F" | "-T" | "-o" | "-O" | "--json"
        ) || word.starts_with("-X")
            || word.starts_with("-d")
    });
    let pair = |first: &str, second: &str| words.windows(2).any(|two| two == [first, second]);
    !writes || (pair("-X", "GET") || pair("-o", "/dev/null")) && !words.contains(&"-d")
}

fn kubectl_verb<'a>(words: &[&'a str]) -> &'a str {
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        if matches!(*word, "-n" | "--namespace" | "--context" | "--kubeconfig") {
            rest.next();
        } else if !word.starts_with('-') {
            return word;
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_by_what_they_do() {
        for (script, nature) in [
            ("kubectl get pods -n x | grep api", Nature::Looks),
            ("kubectl -n x logs -l app=a --tail=100", Nature::Looks),
            ("curl -s https://x/v | jq .", Nature::Looks),
            ("npm run test:smoke -- --target=x", Nature::Tests),
            ("npm run prisma:migrate:status", Nature::Tests),
            ("./scripts/smoke-test.sh", Nature::Tests),
            ("kubectl apply -f x.yaml", Nature::Changes),
            ("docker push x", Nature::Changes),
            ("echo x > deploy.log", Nature::Changes),
            ("npm run db:backup -- --env production", Nature::Changes),
            ("watch -n 5 'curl x'", Nature::Watches),
            ("kubectl logs -f deploy/api", Nature::Watches),
            ("kubectl get pods -w", Nature::Watches),
            ("ssh deploy@web1", Nature::Enters),
            ("ssh deploy@web1 'systemctl restart api'", Nature::Changes),
            ("kubectl exec -it api-0 -- bash", Nature::Enters),
            ("kubectl exec -it api-0 -- rake db:migrate", Nature::Changes),
            ("psql -h db shop", Nature::Enters),
            ("psql -c 'select 1'", Nature::Changes),
            ("vim values.yaml", Nature::Interactive),
            ("kubectl -n shop edit virtualservice api", Nature::Interactive),
            ("set -euo pipefail", Nature::Idle),
            ("git log -1", Nature::Looks),
            ("git push origin v1", Nature::Changes),
            ("supabase functions deploy --no-verify-jwt v1", Nature::Changes),
            ("vercel alias set shop.vercel.app verify.example.com", Nature::Changes),
            ("curl -X POST https://verify.example.com/verify/start -d '{}'", Nature::Changes),
            ("./scripts/deploy-ab-test.sh", Nature::Changes),
            ("kubectl apply -f smoke-test.yaml", Nature::Changes),
            ("./scripts/check-deployment-status.sh", Nature::Tests),
            ("make verify", Nature::Tests),
            ("cd apps/web-verify || exit 1\nvercel --prod", Nature::Changes),
            ("cd apps/web || exit 1\nnpm run test:smoke", Nature::Tests),
        ] {
            assert_eq!(of(script), nature, "{script}");
        }
    }

    #[test]
    fn what_destroys_is_known() {
        for script in [
            "kubectl delete pod x",
            "terraform destroy",
            "rm -rf /srv/old",
            "git push --force",
            "psql -c 'DROP TABLE a'",
            "helm uninstall x",
            "rm -fr x",
        ] {
            assert!(destroys(script), "{script}");
        }
        for script in ["kubectl apply -f x", "rm x.tmp", "docker build .", "curl -f https://x"] {
            assert!(!destroys(script), "{script}");
        }
        assert!(
            restores("npm run db:restore -- --backup-id=1")
                && restores("pg_restore -d x f")
                && !restores("npm run db:backup")
        );
    }
}
