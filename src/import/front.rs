//! Front matter: keys and values between `---` lines, as far as YAML of that kind goes.

use super::{
    amounts,
    draft::Head,
    page::Lines,
    walk::Walk,
    words::{is_date, value_of},
};

/// A value without quotes and the comment behind it.
fn bare(value: &str) -> (String, Option<String>) {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some(end) = inner.find(quote)
        {
            let rest = inner[end + 1..].trim().trim_start_matches('#').trim();
            return (inner[..end].to_owned(), (!rest.is_empty()).then(|| rest.to_owned()));
        }
    }
    match value.split_once(" #") {
        Some((value, comment)) => (value.trim().to_owned(), Some(comment.trim().to_owned())),
        None if value.starts_with('#') => (String::new(), Some(value[1..].trim().to_owned())),
        None => (value.to_owned(), None),
    }
}

impl Walk<'_> {
    pub(super) fn front_matter(&mut self, text: &str, lines: Lines) {
        self.ledger.form(lines.first, lines.first);
        self.ledger.form(lines.last, lines.last);
        let mut above = String::new();
        for (at, line) in text.lines().enumerate() {
            let number = lines.first + 1 + at;
            let trimmed = line.trim();
            if trimmed.is_empty() {
                continue;
            }
            if trimmed.starts_with('#') {
                self.kept(trimmed.trim_start_matches('#').trim(), number);
                continue;
            }
            if let Some(item) = trimmed.strip_prefix("- ") {
                let (value, comment) = bare(item);
                self.word(&above, &value, comment.as_deref(), number);
                continue;
            }
            let Some((key, value)) = trimmed.split_once(':') else {
                self.kept(trimmed, number);
                continue;
            };
            let (value, comment) = bare(value);
            let key = key.trim().trim_matches(['"', '\'']).to_lowercase();
            if !line.starts_with([' ', '\t']) {
                above.clone_from(&key);
            }
            if value.starts_with('[') && value.ends_with(']') && value.contains(',')
                || value.starts_with('[') && matches!(key.as_str(), "tags" | "keywords")
            {
                for word in value.trim_matches(['[', ']']).split(',') {
                    self.word(&key, &bare(word).0, None, number);
                }
                continue;
            }
            if value.is_empty() {
                self.kept(
                    &comment.map_or_else(|| format!("{key}:"), |comment| format!("{key}: {comment}")),
                    number,
                );
                continue;
            }
            self.entry(&above, &key, &value, number);
            if let Some(comment) = comment {
                self.draft.head.comments.push(format!("{key}: {comment} (line {number})"));
            }
        }
    }

    fn kept(&mut self, text: &str, line: usize) {
        self.ledger.note(line, line, text);
        self.draft.head.comments.push(format!("{text} (line {line})"));
    }

    fn word(&mut self, list: &str, value: &str, comment: Option<&str>, line: usize) {
        if value.is_empty() {
            self.ledger.form(line, line);
        } else if matches!(list, "keywords" | "tags" | "labels") && !value.starts_with('[') {
            self.ledger.taken(line, line, "keyword");
            self.draft.head.keywords.push(value.to_owned());
        } else {
            self.kept(
                &format!(
                    "{list}: {value}{}",
                    comment.map(|comment| format!(", {comment}")).unwrap_or_default()
                ),
                line,
            );
        }
    }

    fn entry(&mut self, above: &str, key: &str, value: &str, line: usize) {
        let (value, example) = value_of(value);
        let value = value.as_str();
        self.speaks_of_strategy(value);
        self.draft.named.hear(value);
        let head: &mut Head = &mut self.draft.head;
        let taken = match key {
            _ if example => false,
            "title" if head.title.is_none() => put(&mut head.title, value),
            "module" | "service" | "application" | "app" | "name" => put(&mut head.module, value),
            "status" => put(&mut head.status, value),
            "version" => put(&mut head.version, value),
            "last_updated" | "updated" | "date" | "last_reviewed" | "lastupdated" | "last-updated"
                if is_date(value) =>
            {
                put(&mut head.updated, value)
            }
            "author" | "owner" | "maintainer" | "authors" | "team" => put(&mut head.author, value),
            "environment" | "env" => put(&mut head.environment, value),
            "deployment_strategy" | "strategy" => put(&mut head.strategy, value),
            "deployment_frequency" | "frequency" => put(&mut head.frequency, value),
            "automation_level" | "automation" => put(&mut head.automation, value),
            "namespace" => put(&mut head.namespace, value),
            "rollback_time" => {
                let span = amounts::time(value).map(|(_, high)| high);
                head.rollback_within = head.rollback_within.or(span);
                span.is_some()
            }
            "zero_downtime" => {
                head.zero_downtime = Some(value == "true");
                true
            }
            _ if above == "related_docs" || above == "related" => {
                head.related.push((key.to_owned(), value.to_owned()));
                true
            }
            _ => false,
        };
        if taken {
            self.ledger.taken(line, line, &format!("front matter: {key}"));
        } else {
            let shown = if example { format!("{key}: [{value}]") } else { format!("{key}: {value}") };
            self.kept(&shown, line);
        }
    }
}

fn put(place: &mut Option<String>, value: &str) -> bool {
    let free = place.is_none();
    if free {
        *place = Some(value.to_owned());
    }
    free
}
