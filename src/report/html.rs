//! The report as one page for a browser. It needs nothing else and does nothing: no script, no reference to anything outside,
//! and a policy of its own that forbids both, should anything ever get in.

pub mod details;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::{
    chart::{
        Whose,
        svg::{self, Size},
    },
    course::Line,
    facts::Facts,
    glance, ink,
    markup::{Markup, Tag, tag},
    tone::Tone,
};

/// How everything looks; the colours come from [`ink`].
const CSS: &str = include_str!("html/page.css");

/// The page.
pub fn page(facts: &Facts) -> String {
    let sheet = ink::sheet();
    let hash = STANDARD.encode(Sha256::digest(format!("{CSS}{sheet}")));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    let title = format!("{}: {}", facts.ending.word, facts.title);
    let meta =
        |name: &'static str, content: &str| tag("meta").attr("name", name).attr("content", content).end();
    let head = tag("head")
        .put(tag("meta").attr("charset", "utf-8"))
        .put(tag("meta").attr("http-equiv", "Content-Security-Policy").attr("content", &policy))
        .put(meta("viewport", "width=device-width, initial-scale=1"))
        .put(meta("color-scheme", "light dark"))
        .put(meta("referrer", "no-referrer"))
        .put(meta("generator", "cutover report"))
        .put(tag("title").put(&title))
        .put(Markup::style(CSS, &sheet));
    let sections = sections(facts);
    let links =
        sections.iter().map(|section| tag("a").attr("href", format!("#{}", section.id)).put(section.title));
    let body = tag("body")
        .put(top(facts))
        .put(tag("nav").attr("aria-label", "On this page").all(links))
        .put(tag("main").all(sections.iter().map(Section::end)))
        .put(foot(facts));
    let html = tag("html").attr("lang", "en").put(head).put(body);
    format!("<!doctype html>\n{}", html.end().into_string())
}

/// A part of the page with a heading.
struct Section {
    id: &'static str,
    title: &'static str,
    inner: Markup,
}

impl Section {
    fn end(&self) -> Markup {
        let heading = tag("h2").put(self.title);
        tag("section").attr("id", self.id).put(heading).put(self.inner.clone()).end()
    }
}

/// All parts that have something in them.
fn sections(facts: &Facts) -> Vec<Section> {
    let section = |id, title, inner: Markup| Section { id, title, inner };
    let all = vec![
        section("glance", "At a glance", glance(facts)),
        section("felt", "What users felt", list(&facts.felt)),
        section("rollback", "Rollback", details::rollback(facts)),
        section("metrics", "Metrics", metrics(facts)),
        section("verdicts", "Verdicts", details::verdicts(facts)),
        section("backtest", "Backtest", details::backtest(facts)),
        section("story", "What happened", lines(&facts.course.moments)),
        section("steps", "Steps", details::stages(facts)),
        section("decisions", "Decisions", details::decisions(facts)),
        section("checklist", "Checklist", details::checklist(facts)),
        section("incident", "Incident", details::incident(facts)),
        section("notices", "Notices", details::notices(facts)),
        section("left", "Left to do", details::left(facts)),
        section("run", "The run", details::about(facts)),
        section("log", "Every line", log(facts)),
        section("record", "The record", record(facts)),
    ];
    all.into_iter().filter(|section| !section.inner.is_empty()).collect()
}

fn top(facts: &Facts) -> Markup {
    let badge = facts.rehearsal.as_ref().map(|scenario| {
        tag("p").class("badge").put(format!("REHEARSAL ({scenario}): a simulated cluster, no users")).end()
    });
    let ending = &facts.ending;
    let word = tag("h1").put(sign(ending.tone)).put(format!(" {}", ending.word));
    let why = ending.why.as_ref().map(|why| tag("p").class("why").put(format!("Why: {why}")).end());
    let tiles = facts.tiles.iter().map(|tile| {
        tag("div")
            .class("tile")
            .put(tag("dt").put(tile.label))
            .put(tag("dd").put(tag("b").class(tile.tone.class()).put(&tile.value)).put(note(&tile.note)))
    });
    let when =
        facts.about.iter().find(|(label, _)| *label == "Opened").map_or("", |(_, value)| value.as_str());
    tag("header")
        .put(tag("p").class("title").put(format!("{}, run {}", facts.title, facts.run_id)))
        .put(badge.unwrap_or_default())
        .put(word)
        .put(tag("p").class("sentence").put(&ending.sentence))
        .put(why.unwrap_or_default())
        .put(tag("p").class("dim").put(format!("Opened {when}. All times are UTC.")))
        .put(tag("dl").class("tiles").all(tiles))
        .end()
}

fn note(text: &str) -> Markup {
    if text.is_empty() { Markup::default() } else { tag("small").put(text).end() }
}

/// A sign that says without colour what the colour says.
fn sign(tone: Tone) -> Markup {
    match tone {
        Tone::Plain => Markup::default(),
        tone => tag("span").class(tone.class()).put(tone.sign()).end(),
    }
}

/// A word in its colour, with its sign.
fn toned(tone: Tone, text: &str) -> Markup {
    match tone {
        Tone::Plain => Markup::text(text),
        tone => tag("span").class(tone.class()).put(format!("{} {text}", tone.sign())).end(),
    }
}

fn glance(facts: &Facts) -> Markup {
    let picture = figure(&|size| glance::draw(facts, size), Markup::default());
    if picture.is_empty() {
        return picture;
    }
    let words = "Bars are what it took; the dashed frames are what the runbook estimates, and what a rollback promises.";
    Markup::all([picture, tag("p").class("dim words").put(words).end()])
}

/// A picture in both sizes; the style sheet shows one of them.
fn figure(draw: &dyn Fn(Size) -> Markup, caption: Markup) -> Markup {
    let wide = draw(Size::Wide);
    if wide.is_empty() {
        return wide;
    }
    tag("figure").put(caption).put(wide).put(draw(Size::Narrow)).end()
}

fn list(items: &[String]) -> Markup {
    if items.is_empty() {
        return Markup::default();
    }
    tag("ul").all(items.iter().map(|item| tag("li").put(item))).end()
}

/// A table; on a phone each row becomes a card whose cells name their column.
fn table(class: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    let rows: Vec<Tag> = rows
        .into_iter()
        .map(|cells| {
            let cells = head.iter().zip(cells).filter(|(_, cell)| !cell.is_empty() || head.len() > 1);
            tag("tr").all(cells.map(|(name, cell)| {
                let empty = if cell.is_empty() { "empty" } else { "" };
                tag("td").class(empty).attr("data-label", name).put(cell)
            }))
        })
        .collect();
    if rows.is_empty() {
        return Markup::default();
    }
    let names = head.iter().map(|name| tag("th").attr("scope", "col").put(*name));
    tag("table").class(class).put(tag("thead").put(tag("tr").all(names))).put(tag("tbody").all(rows)).end()
}

fn lines(lines: &[Line]) -> Markup {
    table(
        "lines",
        &["UTC", "Event"],
        lines.iter().map(|line| vec![Markup::text(&line.at.clock()), toned(line.tone, &line.text)]),
    )
}

fn metrics(facts: &Facts) -> Markup {
    let charts = facts.charts.iter().enumerate().map(|(index, chart)| {
        let legend = chart.curves.iter().map(|curve| {
            let class = match curve.whose {
                Whose::New => "key new",
                Whose::Other => "key other",
                Whose::Whole => "key whole",
            };
            tag("span").class("keyed").put(tag("i").class(class)).put(&curve.name).end()
        });
        let log = if chart.scale.is_logarithmic() { ", logarithmic" } else { "" };
        let title = tag("h3").put(format!("{}{log}", chart.title));
        let caption = tag("figcaption").put(title).put(tag("p").class("legend").all(legend));
        let words = tag("p").class("dim words").put(&chart.words);
        let id = format!("chart-{index}");
        let picture = figure(&|size| svg::draw(chart, &facts.marks, &id, size), caption.end());
        Markup::all([picture, words.end()])
    });
    Markup::all(charts.chain([list(&facts.samples)]))
}

fn log(facts: &Facts) -> Markup {
    let count = facts.course.log.len();
    let summary = tag("summary").put(format!("All {count} lines, as deploy.log has them"));
    tag("details").put(summary).put(lines(&facts.course.log)).end()
}

fn record(facts: &Facts) -> Markup {
    let words = facts.journal.words();
    let tone = if facts.journal.is_whole() { Tone::Well } else { Tone::Bad };
    let items = words.iter().enumerate().map(|(index, words)| {
        tag("li").put(if index == 0 { toned(tone, words) } else { Markup::text(words) })
    });
    tag("ul").all(items).end()
}

fn foot(facts: &Facts) -> Markup {
    let version =
        facts.about.iter().find(|(label, _)| *label == "Written by").map_or("cutover", |(_, it)| it);
    tag("footer")
        .put(format!(
            "Report of run {}, made from its journal. The run was written by {version}.",
            facts.run_id
        ))
        .end()
}
