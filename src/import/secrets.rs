//! Secrets on a page: found before anything else is read, so that their values are nowhere in what is made of it.
//!
//! Each value is replaced by `<secret:NAME>`, which a command turns into `"$NAME"`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use aho_corasick::AhoCorasick;
use regex::Regex;

use super::{
    amounts::pattern,
    draft::{Draft, Names, Source},
};
use crate::domain::template::Template;

/// A secret that stood on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) line: usize,
    pub(super) name: String,
}

/// Values that are secrets wherever they stand: the form says so.
static FORMS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[^\s'\x22<>)\]|]+", "SLACK_WEBHOOK_URL"),
        (r"https://(?:discord(?:app)?\.com/api/webhooks|[a-z0-9.-]+\.webhook\.office\.com/webhookb2)/[^\s'\x22<>)\]|]+", "WEBHOOK_URL"),
        (r"\bgh[pousr]_[A-Za-z0-9]{20,}\b", "GITHUB_TOKEN"),
        (r"\bgithub_pat_[A-Za-z0-9_]{20,}\b", "GITHUB_TOKEN"),
        (r"\bglpat-[A-Za-z0-9_-]{16,}", "GITLAB_TOKEN"),
        (r"\bxox[abprse]-[A-Za-z0-9-]{8,}", "SLACK_TOKEN"),
        (r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "AWS_ACCESS_KEY_ID"),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", "TOKEN"),
        (r"\bsk_(?:live|test)_[A-Za-z0-9]{8,}\b", "API_KEY"),
        (r"\bsk-[A-Za-z0-9_-]{20,}", "API_KEY"),
        (r"\bhvs\.[A-Za-z0-9_-]{16,}", "VAULT_TOKEN"),
        (r"\bAIza[A-Za-z0-9_-]{30,}", "API_KEY"),
        (r"\bnpm_[A-Za-z0-9]{30,}\b", "NPM_TOKEN"),
        (r"\bdop_v1_[a-f0-9]{32,}\b", "DIGITALOCEAN_TOKEN"),
    ]
    .into_iter()
    .filter_map(|(text, name)| Some((pattern(text)?, name)))
    .collect()
});

/// Values that are secrets because of what stands before them. The first group is the value.
static PLACES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"(?i)\bauthorization:\s*(?:bearer|basic|token)\s+([^\s'\x22]{4,})", "AUTH_TOKEN"),
        (r"(?i)\b(?:x-api-key|x-auth-token|private-token|x-vault-token):\s*([^\s'\x22]{4,})", "API_KEY"),
        (r"[a-z][a-z0-9+.-]*://[^\s:/@'\x22]*:([^\s/@'\x22]+)@", "PASSWORD"),
        (r"(?i)--(?:[a-z]+-)*(?:password|passwd|token|secret|api-key|access-key|secret-key)[= ]\s*['\x22]?([^\s'\x22|;&]{3,})", "PASSWORD"),
        (r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]*?\s-p([^\s'\x22]{3,})", "PASSWORD"),
        (r"(?i)\bcurl\b[^\n|;]*?\s(?:-u|--user)[= ]\s*['\x22]?[^\s:'\x22]+:([^\s'\x22]{3,})", "PASSWORD"),
        (r"\b(?:docker|podman|buildah|skopeo|crane|oc|registry)\s+login\b[^\n|;]*?\s-p[= ]?\s*['\x22]?([^\s'\x22]{3,})", "PASSWORD"),
        (r"\bsshpass\s+-p\s*['\x22]?([^\s'\x22]{3,})", "PASSWORD"),
    ]
    .into_iter()
    .filter_map(|(text, name)| Some((pattern(text)?, name)))
    .collect()
});

/// `NAME=value`, `NAME: value`, where the name says that it is a secret.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:^|[\s;\x22'`{(?&=,|/-])((?:[a-z0-9]+[_-])*[a-z0-9]*?(?:token|secret|password|passwd|passphrase|pwd|apikey|api[_-]key|access[_-]key|secret[_-]key|private[_-]key|credentials?|webhook(?:[_-]url)?|auth[_-]key)(?:[_-][a-z0-9]+)?)[`\x22']?\s*(=|:\s)\s*(\x22[^\x22\n]+\x22|'[^'\n]+'|[^\s'\x22`,;|&)]+)",
    )
});

/// Whether a variable's name says that it holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let parts: Vec<&str> = upper.split('_').collect();
    let one = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "APIKEY",
        "CREDENTIAL",
        "CREDENTIALS",
        "WEBHOOK",
        "PASS",
    ];
    parts.iter().any(|part| one.contains(part))
        || ["API_KEY", "ACCESS_KEY", "SECRET_KEY", "PRIVATE_KEY", "AUTH_KEY"]
            .iter()
            .any(|two| upper.contains(two))
}

/// Whether a value is a hole, a variable or a word about the value rather than one.
fn is_no_value(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let upper = bare.to_ascii_uppercase();
    bare.len() < 3
        || bare.contains('$')
        || bare.starts_with(['<', '[', '{', '(', '`'])
        || bare.contains("secret:")
        || upper.contains("YOUR")
        || upper.starts_with("XXX")
        || bare.chars().all(|c| matches!(c, '*' | '.' | 'x' | 'X' | '-' | '…'))
        || ["CHANGEME", "CHANGE_ME", "REPLACE_ME", "TODO", "TBD", "REDACTED", "TRUE", "FALSE", "NONE", "NULL"]
            .contains(&upper.as_str())
}

/// Marks as secret what has a secret in it: a header or an address with a token is as secret as the token.
pub(super) fn spread(draft: &mut Draft) {
    loop {
        let uses = |value: &str| Template::from(value).names().any(|name| is_secret(draft, name));
        let found: Vec<usize> = (draft.vars.iter().enumerate())
            .filter(|(_, var)| !var.secret && matches!(&var.source, Source::Value(value) if uses(value)))
            .map(|(at, _)| at)
            .collect();
        if found.is_empty() {
            return;
        }
        for at in found {
            draft.vars[at].secret = true;
        }
    }
}

/// Whether a variable is a secret, or will be one once it is declared.
pub(super) fn is_secret(draft: &Draft, name: &str) -> bool {
    draft.var(name).map_or_else(|| is_secret_name(name), |var| var.secret)
}

/// Values of secrets, and the name of each.
#[derive(Default)]
struct Values {
    names: BTreeMap<String, String>,
    given: Names,
}

impl Values {
    /// The name of a value: this one, or one like it where another value has it already.
    fn own(&mut self, name: &str, value: &str) -> String {
        let given = &mut self.given;
        self.names.entry(value.to_owned()).or_insert_with(|| given.own_variable(name)).clone()
    }
}

/// The page without the values of secrets, and which there were.
pub(super) fn hidden(source: &str) -> (String, Vec<Secret>) {
    let mut out = String::with_capacity(source.len());
    let mut found: Vec<Secret> = Vec::new();
    let mut everywhere = Values::default();
    let mut code = false;
    let mut key_block = false;
    for (index, line) in source.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            code = !code;
        }
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            key_block = true;
        }
        if key_block {
            key_block = !line.contains("-----END ");
            found.push(Secret { line: index + 1, name: "PRIVATE_KEY".to_owned() });
            out.push_str("<secret:PRIVATE_KEY>");
            continue;
        }
        let code = code || line.contains('`') || line.starts_with("    ");
        out.push_str(&without(line, index + 1, code, &mut found, &mut everywhere));
    }
    // A value that was found in one place is one everywhere, unless it could be a word.
    let likely = |value: &&String| {
        value.len() >= 8
            && value.contains(|c: char| c.is_ascii_digit())
            && value.contains(char::is_alphabetic)
    };
    let values: Vec<&String> = everywhere.names.keys().filter(likely).collect();
    if let Ok(search) = AhoCorasick::new(&values) {
        let marks: Vec<String> =
            values.iter().map(|value| format!("<secret:{}>", everywhere.names[*value])).collect();
        out = search.replace_all(&out, &marks);
    }
    (out, found)
}

fn without(
    line: &str,
    number: usize,
    code: bool,
    found: &mut Vec<Secret>,
    everywhere: &mut Values,
) -> String {
    let mut line = line.to_owned();
    let mut note = |name: &str| found.push(Secret { line: number, name: name.to_owned() });
    for (form, name) in FORMS.iter() {
        let values: BTreeSet<String> = form.find_iter(&line).map(|value| value.as_str().to_owned()).collect();
        for value in values {
            let name = everywhere.own(name, &value);
            note(&name);
            line = line.replace(&value, &format!("<secret:{name}>"));
        }
    }
    for (place, name) in PLACES.iter() {
        let values: BTreeSet<String> = place
            .captures_iter(&line)
            .filter_map(|found| found.get(1).map(|value| value.as_str().to_owned()))
            .filter(|value| !is_no_value(value))
            .collect();
        for value in values {
            let name = everywhere.own(name, &value);
            note(&name);
            line = line.replace(&value, &format!("<secret:{name}>"));
        }
    }
    let Some(named) = NAMED.as_ref() else { return line };
    let mut out = String::with_capacity(line.len());
    let mut from = 0;
    for found in named.captures_iter(&line) {
        let (Some(name), Some(sign), Some(value)) = (found.get(1), found.get(2), found.get(3)) else {
            continue;
        };
        let written = value.as_str();
        // In prose `password: see the vault` says where it is; in code it is the value.
        if is_no_value(written) || !(code || sign.as_str() == "=") {
            continue;
        }
        let name = name.as_str().to_ascii_uppercase().replace('-', "_");
        let name = everywhere.own(&name, written.trim_matches(['"', '\'']));
        let quote = &written[..usize::from(written.starts_with(['"', '\'']))];
        note(&name);
        out.push_str(&line[from..value.start()]);
        out.extend([quote, "<secret:", &name, ">", quote]);
        from = value.end();
    }
    out.push_str(&line[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_stays() {
        for (line, value) in [
            ("export API_TOKEN=abc123def", "abc123def"),
            ("export DB_PASSWORD=\"hunter two\"", "hunter two"),
            ("curl -H 'Authorization: Bearer s3cr3tvalue' https://x", "s3cr3tvalue"),
            ("psql postgres://app:s3cr3t@db/shop", "s3cr3t"),
            ("curl -X POST https://hooks.slack.com/services/T0/B0/abcd", "abcd"),
            ("mysql -u root -phunter2 shop", "hunter2"),
            ("deploy --api-key=0123456789 now", "0123456789"),
            ("PGPASSWORD=sup3rs3cret psql -h db", "sup3rs3cret"),
            ("curl https://api.example.com/v1?a=b&token=abcdef123456", "abcdef123456"),
            ("kubectl create secret generic x --from-literal=password=sup3rs3cret", "sup3rs3cret"),
            ("docker login -u bot -p d0ckerpass registry.example.com", "d0ckerpass"),
            ("./x --conn 'Server=db;Password=s3cr3tpw9;User=sa'", "s3cr3tpw9"),
            ("| token | ghp_abcdefghijklmnopqrstuvwxyz |", "ghp_abcdefghijklmnopqrstuvwxyz"),
        ] {
            let (text, found) = hidden(line);
            assert!(!text.contains(value) && !found.is_empty(), "{text}");
            assert!(text.contains("<secret:"), "{text}");
        }
        let (text, _) = hidden("```sh\nexport API_KEY=abc123def456\n```\nIt is abc123def456.");
        assert!(!text.contains("abc123"), "{text}");
        let (text, _) =
            hidden("psql postgres://a:first1pw@db/a\npsql postgres://b:second2pw@db/b\n`first1pw`");
        assert_eq!(
            text,
            "psql postgres://a:<secret:PASSWORD>@db/a\npsql postgres://b:<secret:PASSWORD_2>@db/b\n`<secret:PASSWORD>`"
        );
        let (text, _) = hidden("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb");
        assert!(!text.contains("MIIE") && text.lines().count() == 5);
    }

    #[test]
    fn what_is_none_stays() {
        for line in [
            "export TOKEN=$(vault read x)",
            "export TOKEN=<token>",
            "export TOKEN=\"$OTHER\"",
            "- [ ] The password: ask the security team",
            "The secret rotation is described elsewhere",
            "curl -u \"$USER:$PASSWORD\" https://x",
            "docker login -u bot --password-stdin registry.example.com",
            "| token | where to get it |",
        ] {
            assert_eq!(hidden(line), (line.to_owned(), Vec::new()), "{line}");
        }
    }
}
