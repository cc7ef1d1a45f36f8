//! Writes the runbook: one table after the other as people keep them, with comments for what the page says besides.

use std::collections::HashMap;

use super::amounts;
use super::{
    draft::{Draft, Names, Source, Step, Var},
    incident::incident,
    measure::{Fires, Measured},
    resolve::{Book, Part},
    sheet::{Page, key},
    target::{Slots, Target},
    words::{is_date, quoted, slug},
};
use crate::domain::template::Template;

fn list(texts: &[String]) -> String {
    let all: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", all.join(", "))
}

/// The runbook's text, and how many lines of comments had no room.
pub(super) fn runbook(book: &Book, from: &str) -> (String, usize) {
    let mut page = Page::empty();
    let draft = &book.draft;
    head(&mut page, book, from);
    deployment(&mut page, book);
    if let Some(target) = &book.target {
        the_target(&mut page, target);
    }
    vars(&mut page, draft);
    for (name, question) in &book.questions {
        page.gap();
        page.line("[[part]]");
        page.pair("name", &quoted(name));
        page.pair("question", &quoted(question));
    }
    checklist(&mut page, draft);
    for part in &book.parts {
        step(&mut page, part);
    }
    if book.parts.is_empty() {
        page.gap();
        page.line("[[step]]");
        page.todo("the page has nothing that could be a step; write what is to be done");
        page.pair("id", "\"todo\"");
        page.pair("title", "\"What the page does not say\"");
        page.pair("check", "[{ text = \"This runbook has been given its steps\" }]");
    }
    let (run, check) = &book.completion;
    if !(run.is_empty() && check.is_empty() && draft.completion_comments.is_empty()) {
        page.gap();
        page.line("[completion]");
        page.comments(&draft.completion_comments);
        page.lines("run", run);
        page.lines("check", check);
    }
    rollbacks(&mut page, book);
    for trigger in &book.triggers {
        fires(&mut page, trigger, draft.rollbacks.iter().any(|procedure| procedure.id == "quick"));
    }
    tasks(&mut page, draft);
    incident(&mut page, draft);
    the_metrics(&mut page, book);
    people(&mut page, book);
    if !draft.comments.is_empty() {
        page.gap();
        page.comment("", "More of the page:");
        page.comments(&draft.comments);
    }
    if page.dropped > 0 {
        let dropped = page.dropped;
        page.line(&format!(
            "# {dropped} more lines of the page have no room here: a runbook has at most 1 MiB."
        ));
    }
    (page.text, page.dropped)
}

fn head(page: &mut Page, book: &Book, from: &str) {
    let head = &book.draft.head;
    page.line("#:schema ./assets/runbook.schema.json");
    page.gap();
    page.comment(
        "",
        &format!(
            "Imported from {from}. What is marked TODO the page does not say: fill it in and remove the mark."
        ),
    );
    page.comments(&head.comments);
    page.gap();
    page.line("[runbook]");
    let title = head.title.clone().unwrap_or_else(|| "Deployment".to_owned());
    if let Some(module) = &head.module {
        page.pair("module", &quoted(module));
    } else {
        page.todo("which module is deployed?");
        page.pair("module", &quoted(&slug(&title)));
    }
    page.pair("title", &quoted(&title));
    let status = head.status.as_deref().map(str::to_lowercase).unwrap_or_default();
    let status = match status.replace([' ', '_'], "-").as_str() {
        "approved" => "approved",
        "in-review" | "review" => "in-review",
        "deprecated" | "obsolete" => "deprecated",
        _ => "draft",
    };
    if status == "draft" {
        page.comment("", "In production only an approved runbook runs: review it, then write \"approved\".");
    }
    page.pair("status", &quoted(status));
    page.pair("version", &quoted(head.version.as_deref().unwrap_or("0.1.0")));
    if let Some(date) = head.updated.as_deref().filter(|date| is_date(date)) {
        page.pair("last_updated", date);
    } else {
        page.todo("when was it changed last?");
        page.pair("last_updated", "1970-01-01");
    }
    if let Some(author) = &head.author {
        page.pair("author", &quoted(author));
    } else {
        page.todo("who keeps this runbook?");
        page.pair("author", "\"nobody yet\"");
    }
    if !head.keywords.is_empty() {
        page.pair("keywords", &list(&head.keywords));
    }
    if !head.related.is_empty() {
        page.gap();
        page.line("[runbook.related]");
        let mut names = Names::default();
        for (name, url) in &head.related {
            let words: Vec<&str> =
                name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            let name = words.join("_").to_lowercase();
            let name = names.own(if name.is_empty() { "document" } else { &name });
            page.pair(&key(&name), &quoted(url));
        }
    }
}

fn deployment(page: &mut Page, book: &Book) {
    let head = &book.draft.head;
    page.gap();
    page.line("[deployment]");
    let said = head.environment.as_deref().map(str::to_lowercase).unwrap_or_default();
    let environment = if said.contains("prod") {
        "production"
    } else if said.contains("stag") || said.contains("preprod") || said.contains("uat") {
        "staging"
    } else if said.contains("dev") || said.contains("test") {
        "development"
    } else {
        page.todo("which environment? Production asks for more than the others");
        "production"
    };
    page.pair("environment", &quoted(environment));
    let (strategy, known) = book.strategy;
    if !known {
        page.todo(
            "the page does not plainly say how traffic moves: is it this? docs/strategies.md has the others",
        );
    }
    page.pair("strategy", &quoted(strategy));
    if let Some(automation) =
        head.automation.as_deref().filter(|word| ["manual", "semi-automated", "full"].contains(word))
    {
        page.pair("automation", &quoted(automation));
    }
    page.maybe("frequency", head.frequency.as_ref());
    let above_zero = |span: &&crate::domain::time::Span| **span > crate::domain::time::Span::ZERO;
    if let Some(span) = head.expected.as_ref().filter(above_zero) {
        page.pair("expected", &format!("\"{span}\""));
    }
    if let Some(span) = head.rollback_within.as_ref().filter(above_zero) {
        page.pair("rollback_within", &format!("\"{span}\""));
    }
    if head.zero_downtime == Some(true) && strategy != "recreate" {
        page.pair("zero_downtime", "true");
    }
    page.texts("success_factors", &head.success);
}

fn the_target(page: &mut Page, target: &Target) {
    page.gap();
    page.line("[target]");
    page.maybe("context", target.context.as_ref());
    let mut name = |name: &str, value: Option<&String>, instead: &str, ask: &str| {
        if value.is_none() {
            page.todo(ask);
        }
        page.pair(name, &quoted(value.map_or(instead, String::as_str)));
    };
    name("namespace", target.namespace.as_ref(), "todo-namespace", "which namespace?");
    name("service", target.service.as_ref(), "todo-service", "which Service do users reach?");
    name("container", target.container.as_ref(), "todo-container", "which container gets the image?");
    match &target.slots {
        Slots::One(deployment) => page.pair("deployment", &quoted(deployment)),
        Slots::Two { previous, new } => {
            for slot in [previous, new] {
                if !slot.named {
                    page.todo(&format!(
                        "the page does not name the Deployment of {}; is it this one?",
                        slot.name
                    ));
                }
                if !target.selects {
                    page.todo(&format!(
                        "which labels does the Service's selector have when {} is live?",
                        slot.name
                    ));
                }
                let labels: Vec<String> = slot
                    .selector
                    .iter()
                    .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
                    .collect();
                page.line(&format!(
                    "slots.{} = {{ deployment = {}, selector = {{ {} }} }}",
                    key(&slot.name),
                    quoted(&slot.deployment),
                    labels.join(", ")
                ));
            }
        }
    }
}

fn vars(page: &mut Page, draft: &Draft) {
    if draft.vars.is_empty() {
        return;
    }
    page.gap();
    page.line("[vars]");
    let fixed = |source: &Source| matches!(source, Source::Value(_));
    for late in [false, true] {
        for var in in_order(draft.vars.iter().filter(|var| fixed(&var.source) == late).collect()) {
            let secret = if var.secret { ", secret = true" } else { "" };
            let value = match &var.source {
                Source::Ask { question, sample } => {
                    let sample = sample.clone().unwrap_or_else(|| sample_of(&var.name));
                    format!("ask = {}, sample = {}{secret}", quoted(question), quoted(&sample))
                }
                Source::Env => {
                    let sample =
                        if var.name.contains("WEBHOOK") { "https://hooks.example.com/none" } else { "none" };
                    format!("env = {}{secret}, sample = {}", quoted(&var.name), quoted(sample))
                }
                Source::Value(value) => format!("value = {}{secret}", quoted(value)),
                Source::From(fact) => format!("from = {}", quoted(fact)),
                Source::Captured => format!("captured = true{secret}"),
            };
            page.line(&format!("{} = {{ {value} }}", key(&var.name)));
        }
    }
}

/// Variables so that each comes after those that its value uses, as far as that is possible.
fn in_order(vars: Vec<&Var>) -> Vec<&Var> {
    let places: HashMap<&str, usize> =
        vars.iter().enumerate().map(|(at, var)| (var.name.as_str(), at)).collect();
    let mut seen = vec![false; vars.len()];
    let mut all = Vec::with_capacity(vars.len());
    for at in 0..vars.len() {
        // A stack instead of recursion: a page may have any number of them.
        let mut open = vec![(at, false)];
        while let Some((at, ready)) = open.pop() {
            if ready {
                all.push(vars[at]);
                continue;
            }
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            open.push((at, true));
            if let Source::Value(value) = &vars[at].source {
                let used = Template::from(value.as_str());
                open.extend(used.names().filter_map(|name| places.get(name)).map(|used| (*used, false)));
            }
        }
    }
    all
}

/// A value for rehearsals.
fn sample_of(name: &str) -> String {
    if name.contains("VERSION") || name.contains("TAG") {
        "v1.0.0".to_owned()
    } else {
        format!("sample-{}", name.to_lowercase().replace('_', "-"))
    }
}

fn checklist(page: &mut Page, draft: &Draft) {
    for group in &draft.groups {
        page.gap();
        page.line("[[checklist]]");
        page.comments(&group.comments);
        page.pair("group", &quoted(&group.title));
        page.line("items = [");
        for item in &group.items {
            let optional = if item.optional { ", optional = true" } else { "" };
            page.line(&format!("    {{ text = {}{optional} }},", quoted(&item.text)));
        }
        page.line("]");
    }
}

fn step(page: &mut Page, part: &Part) {
    let Step { title, line, time, critical, on_failure, notes, comments, .. } = &part.step;
    page.gap();
    page.comments(comments);
    page.line(&format!("# line {line}"));
    page.line("[[step]]");
    page.pair("id", &quoted(&part.id));
    page.pair("title", &quoted(title));
    if let Some(time) = time {
        page.pair("time", &format!("\"{}\"", amounts::written(*time)));
    }
    page.maybe("critical", critical.as_ref());
    page.maybe("when", part.when.as_ref());
    page.lines("run", &part.run);
    if let Some(window) = part.window {
        page.pair("window", &format!("{{ lasts = \"{window}\" }}"));
    }
    page.lines("check", &part.check);
    page.lines("undo", &part.undo);
    page.texts("on_failure", on_failure);
    page.texts("notes", notes);
}

fn rollbacks(page: &mut Page, book: &Book) {
    for (procedure, (run, check)) in book.draft.rollbacks.iter().zip(&book.rollbacks) {
        page.gap();
        page.comments(&procedure.comments);
        page.line(&format!("# line {}", procedure.line));
        page.line(&format!("[rollback.{}]", key(&procedure.id)));
        page.pair("title", &quoted(&procedure.title));
        if let Some(within) = procedure.within.filter(|within| *within > crate::domain::time::Span::ZERO) {
            page.pair("within", &format!("\"{within}\""));
        }
        page.maybe("only", procedure.only.as_ref());
        page.lines("run", run);
        page.lines("check", check);
    }
}

fn fires(page: &mut Page, trigger: &Fires, quick: bool) {
    page.gap();
    page.comments(&trigger.comments);
    page.line("[[trigger]]");
    page.pair("reason", &quoted(&trigger.reason));
    if let Some((metric, bound, lasts)) = &trigger.measured {
        page.pair("metric", &quoted(metric));
        page.pair("when", &quoted(bound));
        if let Some(lasts) = lasts {
            page.pair("for", &format!("\"{lasts}\""));
        }
        page.pair("then", if quick { "\"countdown\"" } else { "\"ask\"" });
    }
}

fn tasks(page: &mut Page, draft: &Draft) {
    for task in &draft.tasks {
        page.gap();
        page.line("[[task]]");
        let due = task.due.unwrap_or(crate::domain::time::Span::from_mins(24 * 60));
        page.pair("due", &format!("\"{due}\""));
        page.pair("text", &quoted(&task.text));
    }
}

fn the_metrics(page: &mut Page, book: &Book) {
    if book.metrics.is_empty() {
        return;
    }
    page.gap();
    page.line("[sources.prometheus]");
    if let Some(url) = &book.draft.prometheus {
        page.pair("url", &quoted(url));
    } else {
        page.todo("where is Prometheus?");
        page.pair("url", "\"https://prometheus.example.com\"");
    }
    for Measured { id, metric, query, per_slot, guessed, whole } in &book.metrics {
        page.gap();
        page.comments(&metric.comments);
        page.line(&format!("[metrics.{}]", key(id)));
        page.pair("title", &quoted(&metric.title));
        if *guessed && *whole {
            page.todo("the page has no query; this is what many services have. Try it in Prometheus, then remove this line");
        } else if *guessed {
            page.todo("the page has no query; until there is one, there is no such series");
        }
        page.pair("query", &quoted(query));
        if *per_slot {
            page.pair("per_slot", "true");
        }
        page.pair("unit", &quoted(amounts::unit_word(metric.unit)));
        page.maybe("normal", metric.normal.as_ref());
        page.maybe("alert", metric.alert.as_ref());
        page.maybe("action", metric.action.as_ref());
    }
}

fn people(page: &mut Page, book: &Book) {
    let draft = &book.draft;
    if book.notifies || draft.channel.is_some() {
        page.gap();
        page.line("[notify]");
        if book.notifies {
            page.pair("slack", "\"$SLACK_WEBHOOK_URL\"");
        }
        page.maybe("channel", draft.channel.as_ref());
    }
    for contact in &draft.contacts {
        page.gap();
        page.comments(&contact.comments);
        page.line("[[contact]]");
        page.pair("role", &quoted(&contact.role));
        page.maybe("name", contact.name.as_ref());
        page.maybe("slack", contact.slack.as_ref());
        page.maybe("phone", contact.phone.as_ref());
    }
    if !draft.links.is_empty() {
        page.gap();
        page.line("[links]");
        for (name, url) in &draft.links {
            page.pair(&toml_edit::Key::new(name).to_string(), &quoted(url));
        }
    }
    for change in &draft.changes {
        page.gap();
        let known = is_date(&change.date);
        if !known {
            page.todo(&format!(
                "the page's date is {}",
                if change.date.is_empty() { "missing" } else { &change.date }
            ));
        }
        page.line("[[change]]");
        page.pair("date", if known { &change.date } else { "1970-01-01" });
        page.pair("version", &quoted(&change.version));
        page.pair("author", &quoted(&change.author));
        page.pair("changes", &quoted(&change.changes));
    }
}
