//! Takes the values of secrets out of a runbook that is about to become a page.

use std::collections::BTreeMap;

use super::written::Node;

/// Headers that prove who asks.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-auth-token",
    "private-token",
    "api-key",
];

/// A shorter value occurs by chance, and putting a name in its place would spoil words.
const LEAST_SEARCHED: usize = 6;

/// What was taken out: one sentence each, without the value.
pub(super) fn take_out(tree: &mut Node) -> Vec<String> {
    let mut found = Found::default();
    found.variables(tree);
    found.notify(tree);
    found.sources(tree);
    found.headers(tree);
    if found.told.is_empty() {
        return found.told;
    }
    // A long value may contain a short one.
    let mut values: Vec<(String, String)> =
        found.values.into_iter().filter(|(value, _)| value.len() >= LEAST_SEARCHED).collect();
    values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    tree.each_text(&mut |text| {
        let clean = values
            .iter()
            .fold(text.to_owned(), |text, (value, name)| text.replace(value, &format!("${name}")));
        (clean != text).then_some(clean)
    });
    if !found.added.is_empty() && tree.get("vars").is_none() {
        tree.put("vars", Node::Table(Vec::new()));
    }
    for name in found.added {
        if let Some(vars) = tree.get_mut("vars") {
            vars.put(&name, from_environment(&name));
        }
    }
    found.told
}

/// What was taken off the page, and the variables that stand there instead.
#[derive(Default)]
struct Found {
    /// Secret values, each with the variable that has it.
    values: BTreeMap<String, String>,
    /// Variables that the runbook did not have.
    added: Vec<String>,
    /// Names that are taken.
    names: Vec<String>,
    told: Vec<String>,
}

impl Found {
    /// A secret with a literal value is one that somebody has checked in. The page must not spread it further.
    fn variables(&mut self, tree: &mut Node) {
        let Some(vars) = tree.get_mut("vars") else { return };
        for (name, var) in vars.entries_mut() {
            self.names.push(name.clone());
            let secret = matches!(var.get("secret"), Some(Node::Leaf(flag)) if flag.as_bool() == Some(true));
            if !secret {
                continue;
            }
            for key in ["value", "default"] {
                // A value made of other secrets is none itself.
                let Some(value) = var.text(key).filter(|value| !value.contains('$')).map(str::to_owned)
                else {
                    continue;
                };
                self.values.insert(value, name.clone());
                var.remove(&[key]);
                if key == "value" {
                    var.put_first("env", Node::text_of(name));
                    self.told.push(format!(
                        "the value of the secret {name} is not on the page; its settings take it from the environment variable {name}"
                    ));
                } else {
                    self.told.push(format!("the default of the secret {name} is not on the page"));
                }
            }
        }
    }

    fn notify(&mut self, tree: &mut Node) {
        if let Some(webhook) = tree.get_mut("notify").and_then(|notify| notify.get_mut("slack")) {
            self.replace(webhook, "SLACK_WEBHOOK_URL", "the webhook of [notify]");
        }
    }

    /// Headers count as well: an `Authorization` is a token by another name.
    fn sources(&mut self, tree: &mut Node) {
        let Some(sources) = tree.get_mut("sources") else { return };
        for (name, source) in sources.entries_mut() {
            let upper = variable_name(name);
            if let Some(token) = source.get_mut("bearer_token") {
                self.replace(
                    token,
                    &format!("{upper}_TOKEN"),
                    &format!("the bearer token of [sources.{name}]"),
                );
            }
            if let Some(password) = source.get_mut("basic_auth").and_then(|auth| auth.get_mut("password")) {
                self.replace(
                    password,
                    &format!("{upper}_PASSWORD"),
                    &format!("the password of [sources.{name}]"),
                );
            }
        }
    }

    /// Headers of requests, wherever there are requests.
    fn headers(&mut self, node: &mut Node) {
        match node {
            Node::Leaf(_) => {}
            Node::List(items) => items.iter_mut().for_each(|item| self.headers(item)),
            Node::Table(entries) => {
                for (name, node) in entries {
                    if name != "headers" {
                        self.headers(node);
                        continue;
                    }
                    for (header, value) in node.entries_mut() {
                        if SECRET_HEADERS.contains(&header.to_ascii_lowercase().as_str()) {
                            let what = format!("a header {header}");
                            self.replace(value, &variable_name(header), &what);
                        }
                    }
                }
            }
        }
    }

    /// Puts a variable in the place of a value that is written out.
    fn replace(&mut self, node: &mut Node, wanted: &str, what: &str) {
        let Some(value) = node.as_text().filter(|value| !value.is_empty() && !value.contains('$')) else {
            return;
        };
        let name = if let Some(name) = self.values.get(value) {
            name.clone()
        } else {
            let mut name = wanted.to_owned();
            while self.names.contains(&name) {
                name.push_str("_2");
            }
            self.names.push(name.clone());
            self.added.push(name.clone());
            self.values.insert(value.to_owned(), name.clone());
            name
        };
        self.told.push(format!(
            "{what} is not on the page; its settings have ${name} from the environment variable {name}"
        ));
        *node = Node::text_of(&format!("${name}"));
    }
}

fn from_environment(name: &str) -> Node {
    Node::Table(vec![
        ("env".to_owned(), Node::text_of(name)),
        ("secret".to_owned(), Node::Leaf(toml_edit::Value::from(true))),
    ])
}

/// A name as one of a variable: `X-Api-Key` as `X_API_KEY`.
fn variable_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let upper: String = name.chars().map(plain).collect();
    if upper.starts_with(|c: char| c.is_ascii_digit()) { format!("_{upper}") } else { upper }
}
