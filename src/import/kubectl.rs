//! What `kubectl` and `curl` commands do, where they are simple enough to tell.

use super::shell::{self, Word};

/// What a kubectl command does to a Deployment or Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    SetImage {
        container: String,
        image: String,
    },
    Wait {
        timeout: Option<String>,
    },
    Restart,
    /// Without `--to-revision`.
    Undo,
    Pause,
    Resume,
    Scale(u32),
    /// A Service's selector gets these labels.
    Select(Vec<(String, String)>),
}

/// A kubectl command: whom it is about, where, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) namespace: Option<String>,
    pub(super) context: Option<String>,
    /// A Deployment's name, or with [`Act::Select`] a Service's. A template.
    pub(super) name: String,
    pub(super) act: Act,
}

/// The flags of kubectl that take a value in the next word.
const VALUED: &[&str] = &[
    "-n",
    "--namespace",
    "--context",
    "--kubeconfig",
    "-p",
    "--patch",
    "--type",
    "--replicas",
    "--timeout",
    "--to-revision",
    "-l",
    "--selector",
    "-o",
    "--output",
    "-f",
    "--filename",
    "-c",
    "--container",
    "--cluster",
    "--user",
    "--revision",
    "--current-replicas",
    "--request-timeout",
];

/// Flags that change nothing of what is understood.
const HARMLESS: &[&str] = &["-w", "--watch", "--record", "-o", "--output", "--request-timeout", "--v"];

struct Args {
    words: Vec<String>,
    flags: Vec<(String, String)>,
}

impl Args {
    fn flag(&self, names: &[&str]) -> Option<&str> {
        self.flags.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
    }

    /// Whether there is no flag but these.
    fn only(&self, known: &[&str]) -> bool {
        self.flags.iter().all(|(name, _)| {
            known.contains(&name.as_str())
                || HARMLESS.contains(&name.as_str())
                || ["-n", "--namespace", "--context"].contains(&name.as_str())
        })
    }
}

fn args(words: &[Word]) -> Args {
    let mut args = Args { words: Vec::new(), flags: Vec::new() };
    let mut words = words.iter().map(|word| word.template.as_str()).peekable();
    while let Some(word) = words.next() {
        if let Some((name, value)) = word.split_once('=').filter(|_| word.starts_with('-')) {
            args.flags.push((name.to_owned(), value.trim_matches('"').to_owned()));
        } else if word.starts_with('-') && word.len() > 1 {
            let value = if VALUED.contains(&word) { words.next().unwrap_or_default() } else { "true" };
            args.flags.push((word.to_owned(), value.to_owned()));
        } else {
            args.words.push(word.to_owned());
        }
    }
    args
}

/// What a command does, if it is a kubectl command that is known and nothing more.
pub(super) fn call(script: &str) -> Option<Call> {
    let words = shell::words(script)?;
    let program = words.first()?.plain()?;
    if !matches!(program, "kubectl" | "k" | "oc") {
        return None;
    }
    let args = args(&words[1..]);
    let namespace = args.flag(&["-n", "--namespace"]).map(str::to_owned);
    let context = args.flag(&["--context"]).map(str::to_owned);
    let verb: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let (name, act) = match verb.as_slice() {
        ["set", "image", rest @ ..] if args.only(&[]) => {
            let (name, rest) = deployment(rest)?;
            let [image] = rest else { return None };
            let (container, image) = image.split_once('=')?;
            (name, Act::SetImage { container: container.to_owned(), image: image.to_owned() })
        }
        ["rollout", what, rest @ ..] => {
            let (name, rest) = deployment(rest)?;
            if !rest.is_empty() {
                return None;
            }
            match *what {
                "status" if args.only(&["--timeout"]) => {
                    (name, Act::Wait { timeout: args.flag(&["--timeout"]).map(str::to_owned) })
                }
                "restart" if args.only(&[]) => (name, Act::Restart),
                "undo" if args.only(&[]) => (name, Act::Undo),
                "pause" if args.only(&[]) => (name, Act::Pause),
                "resume" if args.only(&[]) => (name, Act::Resume),
                _ => return None,
            }
        }
        ["scale", rest @ ..] if args.only(&["--replicas", "--timeout"]) => {
            let (name, rest) = deployment(rest)?;
            let replicas = args.flag(&["--replicas"])?.parse().ok().filter(|count| *count <= 100_000)?;
            if !rest.is_empty() {
                return None;
            }
            (name, Act::Scale(replicas))
        }
        ["patch", rest @ ..] if args.only(&["-p", "--patch", "--type"]) => {
            let name = named(rest, &["service", "services", "svc"])?.0;
            (name, Act::Select(selector(args.flag(&["-p", "--patch"])?)?))
        }
        _ => return None,
    };
    Some(Call { namespace, context, name, act })
}

/// `deployment/NAME`, `deploy NAME`, and what stands behind.
fn deployment<'a>(words: &'a [&'a str]) -> Option<(String, &'a [&'a str])> {
    named(
        words,
        &["deployment", "deployments", "deploy", "deployment.apps", "deployments.apps", "deploy.apps"],
    )
}

fn named<'a>(words: &'a [&'a str], kinds: &[&str]) -> Option<(String, &'a [&'a str])> {
    let (first, rest) = words.split_first()?;
    if let Some((kind, name)) = first.split_once('/') {
        return (kinds.contains(&kind) && !name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let (name, rest) = rest.split_first()?;
    (kinds.contains(first) && !name.contains('/')).then(|| ((*name).to_owned(), rest))
}

/// The labels of a patch that changes a Service's selector and nothing else.
fn selector(patch: &str) -> Option<Vec<(String, String)>> {
    let value: serde_json::Value = serde_json::from_str(patch).ok()?;
    let spec = value.as_object().filter(|whole| whole.len() == 1)?.get("spec")?;
    let labels = spec.as_object().filter(|spec| spec.len() == 1)?.get("selector")?.as_object()?;
    let labels: Option<Vec<_>> =
        labels.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    labels.filter(|labels| !labels.is_empty())
}

/// A request of curl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// It reads: the address, as a template.
    Read { url: String, headers: Vec<(String, String)> },
    /// It reads, and prints the status: whoever types it looks at that.
    Code { url: String, headers: Vec<(String, String)> },
    /// A message to a channel.
    Message(String),
}

/// What a curl command asks for, where it is one that only reads, or posts a text to a webhook of Slack.
pub(super) fn curl(script: &str) -> Option<Request> {
    let words = shell::words(script)?;
    if words.first()?.plain()? != "curl" {
        return None;
    }
    let (mut url, mut method, mut data, mut headers) = (None, None, None, Vec::new());
    let mut asks_code = false;
    let mut rest = words[1..].iter().map(|word| word.template.as_str());
    while let Some(word) = rest.next() {
        match word {
            "-X" | "--request" => method = rest.next().map(str::to_ascii_uppercase),
            "-d" | "--data" | "--data-raw" | "--json" => data = rest.next().map(str::to_owned),
            "-H" | "--header" => {
                let (name, value) = rest.next()?.split_once(':')?;
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            "-o" | "--output" => {
                if rest.next()? != "/dev/null" {
                    return None;
                }
            }
            "-w" | "--write-out" => {
                if !rest.next()?.contains("http_code") {
                    return None;
                }
                asks_code = true;
            }
            "-m" | "--max-time" | "--connect-timeout" | "--retry" | "--retry-delay" => drop(rest.next()?),
            "--fail"
            | "--silent"
            | "--show-error"
            | "--location"
            | "--fail-with-body"
            | "--verbose"
            | "--include"
            | "--head"
            | "--retry-connrefused"
            | "--compressed" => {
                if word == "--head" {
                    method = Some("HEAD".to_owned());
                }
            }
            flags if flags.starts_with('-') && !flags.starts_with("--") => {
                let flags = match flags.strip_suffix('o') {
                    Some(before) if rest.next() == Some("/dev/null") => before,
                    Some(_) => return None,
                    None => flags,
                };
                if !flags[1..].chars().all(|c| "fsSLviI4".contains(c)) {
                    return None;
                }
            }
            flag if flag.starts_with('-') => return None,
            address if url.is_none() => url = Some(address.to_owned()),
            _ => return None,
        }
    }
    let url = url?;
    if let Some(data) = data {
        let hook = url.contains("SLACK_WEBHOOK")
            || url.contains("hooks.slack.com")
            || url.to_ascii_uppercase().contains("SLACK");
        let text = message(&data)?;
        return hook.then_some(Request::Message(text));
    }
    let reads = method.as_deref().is_none_or(|method| method == "GET");
    let full = url.starts_with("http://") || url.starts_with("https://");
    if !(reads && full) {
        return None;
    }
    Some(if asks_code { Request::Code { url, headers } } else { Request::Read { url, headers } })
}

/// The text of a message to Slack that has nothing else that a reader would miss.
fn message(data: &str) -> Option<String> {
    let data = data.strip_prefix("payload=").unwrap_or(data);
    let value: serde_json::Value = serde_json::from_str(data).ok()?;
    let fields = value.as_object()?;
    let plain = ["text", "channel", "username", "icon_emoji"];
    if fields.keys().any(|key| !plain.contains(&key.as_str())) {
        return None;
    }
    fields.get("text")?.as_str().map(str::to_owned).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_commands_are_understood() {
        let act = |script: &str| call(script).map(|call| (call.name, call.act));
        assert_eq!(
            act("kubectl set image deployment/a-green \\\n  b=r/b:$V --namespace=prod"),
            Some(("a-green".into(), Act::SetImage { container: "b".into(), image: "r/b:$V".into() }))
        );
        assert_eq!(
            act("kubectl -n x rollout status deploy api --timeout=5m"),
            Some(("api".into(), Act::Wait { timeout: Some("5m".into()) }))
        );
        assert_eq!(act("kubectl scale deployment api --replicas=0"), Some(("api".into(), Act::Scale(0))));
        assert_eq!(act("kubectl rollout undo deployment/api"), Some(("api".into(), Act::Undo)));
        assert_eq!(
            act("kubectl patch service s -p '{\"spec\":{\"selector\":{\"version\":\"green\"}}}'"),
            Some(("s".into(), Act::Select(vec![("version".into(), "green".into())])))
        );
        for other in [
            "kubectl rollout undo deployment/api --to-revision=3",
            "kubectl set image deployment/api a=1 b=2",
            "kubectl scale statefulset/db --replicas=0",
            "kubectl patch service s -p '{\"spec\":{\"type\":\"X\"}}'",
            "kubectl delete deployment api",
            "kubectl scale deployment api --replicas=$N",
            "kubectl rollout status deployment/api | tee x",
        ] {
            assert_eq!(call(other), None, "{other}");
        }
    }

    #[test]
    fn requests_are_understood() {
        let read = |url: &str| Some(Request::Read { url: url.into(), headers: Vec::new() });
        assert_eq!(curl("curl -f https://x/health || exit 1"), read("https://x/health"));
        assert_eq!(curl("curl -sSf https://$H/v"), read("https://$H/v"));
        let hook = "curl -X POST \"$SLACK_WEBHOOK_URL\" -H 'Content-Type: application/json' -d \"{\\\"text\\\": \\\"GO $V\\\"}\"";
        assert_eq!(curl(hook), Some(Request::Message("GO $V".into())));
        for other in [
            "curl -X DELETE https://x",
            "curl -d a=1 https://x",
            "curl -o f https://x",
            "curl https://x | jq .",
            "curl x",
        ] {
            assert_eq!(curl(other), None, "{other}");
        }
    }
}
