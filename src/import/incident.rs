//! Writes the table of incidents.

use super::{draft::Draft, sheet::Page, words::quoted};

pub(super) fn incident(page: &mut Page, draft: &Draft) {
    let incident = &draft.incident;
    let whole = !(incident.levels.is_empty() && incident.steps.is_empty() && incident.template.is_none());
    if !whole {
        if !incident.comments.is_empty() || incident.commander.is_some() {
            page.gap();
            page.comments(&incident.comments);
            page.comments(incident.commander.as_slice());
        }
        return;
    }
    page.gap();
    page.comments(&incident.comments);
    page.line("[incident]");
    page.maybe("channel", incident.channel.as_ref());
    page.maybe("commander", incident.commander.as_ref());
    if incident.levels.is_empty() {
        page.todo("the page has no severity levels");
        page.pair("levels", "[]");
    } else {
        page.line("levels = [");
        for level in &incident.levels {
            page.line(&format!(
                "    {{ level = {}, title = {}, example = {}, respond = {}, escalate = {} }},",
                quoted(&level.name),
                quoted(&level.title),
                quoted(&level.example),
                quoted(&level.respond),
                quoted(&level.escalate)
            ));
        }
        page.line("]");
    }
    if incident.steps.is_empty() {
        page.todo("the page does not say what to do, step by step");
        page.pair("steps", "[]");
    } else {
        page.texts("steps", &incident.steps);
    }
    if let Some(template) = &incident.template {
        let (template, changed) = places(template);
        if changed {
            page.comment("", "On the page the message is:");
            page.comment("", incident.template.as_deref().unwrap_or_default());
        }
        page.pair("template", &quoted(&template));
    } else {
        page.todo("the page has no message for the channel; is this one right?");
        page.pair(
            "template",
            "\"{severity} {title}, since {started}. Impact: {impact}. Done: {actions}. Status: {status}\"",
        );
    }
}

/// A message with our places for the page's.
fn places(template: &str) -> (String, bool) {
    let mut out = String::new();
    for line in template.lines() {
        let lower = line.to_lowercase();
        let known = [
            ("severity", "severity"),
            ("started", "started"),
            ("start time", "started"),
            ("begin", "started"),
            ("impact", "impact"),
            ("action", "actions"),
            ("status", "status"),
            ("title", "title"),
            ("summary", "title"),
            ("incident", "title"),
            ("description", "title"),
        ];
        let place = known
            .iter()
            .find(|(word, _)| lower.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(word))
            .map(|(_, place)| *place);
        if let (Some(place), Some((name, _))) = (place, line.split_once(':')) {
            out.extend([name, ": {", place, "}\n"]);
        } else {
            // Other words in braces would be taken for places.
            out.push_str(&line.replace('{', "(").replace('}', ")"));
            out.push('\n');
        }
    }
    let out = out.trim_end().to_owned();
    let changed = out != template.trim_end();
    (out, changed)
}
