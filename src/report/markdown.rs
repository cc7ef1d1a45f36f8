//! The report as Markdown: where a postmortem's page in a wiki begins. What only people can write stands there as a question.

use std::fmt::Write as _;

use super::{
    backtest,
    course::{End, Stage},
    facts::{Facts, date},
    markup::cut,
    tone::Tone,
};
use crate::domain::safe_text::SafeText;

/// The page.
pub fn page(facts: &Facts) -> String {
    let mut page = Page::default();
    summary(&mut page, facts);
    figures(&mut page, facts);
    page.heading("What users felt");
    page.list(&facts.felt);
    metrics(&mut page, facts);
    verdicts(&mut page, facts);
    backtest(&mut page, facts);
    page.heading("What happened (UTC)");
    page.table(
        &["Time", "Event"],
        facts.course.moments.iter().map(|line| vec![line.at.clock(), signed(line.tone, &line.text)]),
    );
    stages(&mut page, facts);
    decisions(&mut page, facts);
    checklist(&mut page, facts);
    incident(&mut page, facts);
    left(&mut page, facts);
    values(&mut page, facts);
    postmortem(&mut page);
    page.heading("The record");
    page.list(&facts.journal.words());
    page.finish()
}

/// What somebody reads who reads no further.
fn summary(page: &mut Page, facts: &Facts) {
    page.line(&format!("# {}", plain(&format!("{}: {}", facts.title, facts.ending.word))));
    if let Some(scenario) = &facts.rehearsal {
        page.line(&format!("**REHEARSAL** (scenario {}): a simulated cluster, no users.", plain(scenario)));
    }
    page.line(&format!("**{}**", plain(&facts.ending.sentence)));
    if let Some(why) = &facts.ending.why {
        page.line(&format!("Why: {}", plain(why)));
    }
    page.table(&["", ""], facts.about.iter().map(|(label, value)| vec![(*label).to_owned(), plain(value)]));
}

fn figures(page: &mut Page, facts: &Facts) {
    page.heading("Figures");
    let rows = facts.tiles.iter();
    let rows =
        rows.map(|tile| vec![tile.label.to_owned(), signed(tile.tone, &tile.value), plain(&tile.note)]);
    page.table(&["Figure", "Value", "To compare"], rows);
}

fn decisions(page: &mut Page, facts: &Facts) {
    page.heading("Decisions");
    let rows = facts.course.decisions.iter().map(|it| {
        let what = if it.is_override { format!("**OVERRIDE** {}", plain(&it.what)) } else { plain(&it.what) };
        vec![it.at.clock(), plain(&it.by), what, plain(it.reason.as_deref().unwrap_or_default())]
    });
    page.table(&["Time", "Who", "What", "Why"], rows);
}

fn values(page: &mut Page, facts: &Facts) {
    page.heading("Values");
    let rows = facts.course.values.iter().map(|it| {
        vec![plain(&it.name), plain(it.value.as_deref().unwrap_or("••• (secret)")), plain(&it.source)]
    });
    page.table(&["Variable", "Value", "From"], rows);
}

/// Questions that a record can't answer, with room for those who can.
fn postmortem(page: &mut Page) {
    page.heading("For the postmortem");
    for question in
        ["Why did it happen?", "What went well?", "What was luck?", "What will be done, by whom, until when?"]
    {
        page.line(&format!("### {question}"));
        page.line("…");
    }
}

fn metrics(page: &mut Page, facts: &Facts) {
    if facts.charts.is_empty() && facts.samples.is_empty() {
        return;
    }
    page.heading("Metrics");
    for chart in &facts.charts {
        page.item(&format!("**{}**: {}", plain(&chart.title), plain(&chart.words)));
    }
    page.list(&facts.samples);
    page.gap();
}

fn verdicts(page: &mut Page, facts: &Facts) {
    if facts.verdicts.is_empty() {
        return;
    }
    page.heading("Verdicts");
    for verdict in &facts.verdicts {
        page.line(&format!("### {}", plain(&verdict.title)));
        page.line(&signed(verdict.tone, &verdict.words));
        let rows = verdict.facts.iter().map(|(name, value)| vec![(*name).to_owned(), plain(value)]);
        page.table(&["", ""], rows);
        if let Some((tone, words)) = &verdict.again {
            page.line(&signed(*tone, words));
        }
    }
}

fn backtest(page: &mut Page, facts: &Facts) {
    let Some(found) = &facts.backtest else { return };
    page.heading("Backtest");
    page.line(&plain(&format!("{}.", backtest::span(found))));
    let rows = backtest::rows(found).into_iter().map(|row| {
        let runs: Vec<String> = row.runs.iter().map(|(tone, words)| signed(*tone, words)).collect();
        vec![
            format!("{} ({})", plain(&row.trigger), row.by),
            signed(row.harmless.0, &row.harmless.1),
            runs.join("; "),
            signed(row.advice.0, &row.advice.1),
        ]
    });
    page.table(&["Trigger", "Without a release", "Past runs", "Advice"], rows);
    for left in &found.left_out {
        let times = format!("{} to {}", date(left.window.from), date(left.window.to));
        page.item(&plain(&format!("Left out: {times}: {}", left.why)));
    }
    page.list(&found.remarks);
}

fn stages(page: &mut Page, facts: &Facts) {
    page.heading("Steps");
    let row = |stage: &Stage| {
        let judged = stage.judged(facts.now);
        let estimate = judged.map(|(words, tone)| signed(tone, &words)).unwrap_or_default();
        let took = if stage.end == End::Skipped { String::new() } else { stage.took(facts.now).clock() };
        let ended = signed(stage.tone(), stage.word());
        vec![
            plain(&stage.title),
            stage.from.clock(),
            took,
            estimate,
            ended,
            plain(stage.reason.as_deref().unwrap_or_default()),
        ]
    };
    page.table(&["Step", "Begun", "Took", "Estimate", "Ended", "Why"], facts.stages().map(row));
}

fn checklist(page: &mut Page, facts: &Facts) {
    if facts.checklist.is_empty() {
        return;
    }
    page.heading("Checklist");
    let rows = facts.checklist.iter().flat_map(|(group, items)| {
        items.iter().map(move |item| {
            let when = item.at.map(crate::domain::time::Timestamp::clock).unwrap_or_default();
            vec![
                plain(group),
                plain(&item.text),
                signed(item.tone, item.word),
                plain(&item.by),
                when,
                plain(&item.note),
            ]
        })
    });
    page.table(&["Group", "Item", "State", "By", "At", "Evidence"], rows);
}

fn incident(page: &mut Page, facts: &Facts) {
    if let Some(incident) = &facts.incident {
        page.heading("Incident");
        page.line(&format!(
            "**{}**: {}. {}",
            plain(&incident.severity),
            plain(&incident.title),
            plain(&incident.impact)
        ));
        for (at, status) in &incident.history {
            page.item(&format!("{} {}", at.clock(), plain(status)));
        }
        page.gap();
        if let Some(text) = &incident.text {
            page.quote(text);
        }
        for (step, done) in &incident.steps {
            page.item(&format!("[{}] {}", if *done { "x" } else { " " }, plain(step)));
        }
        page.gap();
    }
    if !facts.notices.is_empty() {
        page.heading("Notices");
        page.table(
            &["Time", "State", "Text"],
            facts.notices.iter().map(|notice| {
                let state =
                    if notice.ok { signed(Tone::Well, "sent") } else { signed(Tone::Bad, "NOT SENT") };
                vec![notice.at.clock(), state, plain(&notice.text.replace('\n', " / "))]
            }),
        );
    }
}

fn left(page: &mut Page, facts: &Facts) {
    page.heading("Left to do");
    if facts.left.is_empty() && facts.tasks.is_empty() {
        page.line("Nothing is left open.");
        return;
    }
    page.list(&facts.left);
    for task in &facts.tasks {
        let (sign, note) = match &task.done {
            Some(done) => ("x", format!("done by {done}")),
            None => (" ", format!("due {}", date(task.due_at))),
        };
        page.item(&format!("[{sign}] {} ({})", plain(&task.text), plain(&note)));
    }
    page.gap();
}

fn signed(tone: Tone, text: &str) -> String {
    match tone {
        Tone::Plain => plain(text),
        tone => format!("{} {}", tone.sign(), plain(text)),
    }
}

/// Text from anywhere as one line that is nothing but text: no markup, no element, no link.
fn plain(text: &str) -> String {
    let safe = SafeText::from(cut(text));
    let chars: Vec<char> = safe.chars().collect();
    let mut out = String::with_capacity(safe.len() + 16);
    for (index, c) in chars.iter().enumerate() {
        let word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
        let inside = index > 0 && word(chars.get(index - 1)) && word(chars.get(index + 1));
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // `error_rate` is no emphasis anywhere.
            '_' if inside => out.push('_'),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' => {
                out.push('\\');
                out.push(*c);
            }
            // No wiki makes a link of these.
            ':' if chars.get(index + 1) == Some(&'/') => out.push_str("\\:"),
            '.' if index >= 3 && chars[index - 3..index].iter().all(|c| matches!(c, 'w' | 'W')) => {
                out.push_str("\\.");
            }
            c => out.push(*c),
        }
    }
    out
}

/// A page that grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// A paragraph of its own.
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{line}\n\n");
    }

    fn heading(&mut self, heading: &str) {
        self.gap();
        self.line(&format!("## {heading}"));
    }

    fn item(&mut self, item: &str) {
        let _ = writeln!(self.text, "- {item}");
    }

    fn list(&mut self, items: &[String]) {
        for item in items {
            self.item(&plain(item));
        }
        self.gap();
    }

    /// Text of somebody's, line by line.
    fn quote(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.text, "> {}  ", plain(line));
        }
        self.gap();
    }

    fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let _ = writeln!(self.text, "| {} |", head.join(" | "));
        let _ = writeln!(self.text, "|{}", " --- |".repeat(head.len()));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
        self.gap();
    }

    /// An empty line, but never two.
    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text.push('\n');
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn text_stays_text() {
        for (text, written) in [
            ("error_rate > 1 %", "error_rate &gt; 1 %"),
            ("_under_ *star* `code`", "\\_under\\_ \\*star\\* \\`code\\`"),
            ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
            ("a | b\n| c", "a \\| b&lt;U+000A&gt;\\| c"),
            ("<img src=x>", "&lt;img src=x&gt;"),
            ("https://evil.example www.evil.example", "https\\://evil.example www\\.evil.example"),
        ] {
            assert_eq!(plain(text), written);
        }
    }
}
