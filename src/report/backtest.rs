//! What the triggers would have done in the past, as `cutover backtest --json` found it: a strip of time for each trigger, and a
//! table.

use super::{
    chart::svg::{Frame, Size, line, picture, text},
    markup::{Markup, tag},
    tone::Tone,
};
use crate::domain::{
    backtest::{
        Backtest,
        advice::{Advice, Proof},
        judge::{Judged, RunJudged},
    },
    clock_axis::ClockAxis,
    time::{Span, Timestamp},
};

/// The height of a trigger's row, of the strip in it, and where the strip begins.
const ROW: f64 = 58.0;
/// In pixels: the strip itself, and the title above it.
const STRIP: f64 = 14.0;
const ABOVE: f64 = 22.0;
/// More than this is no picture.
const MOST: usize = 24;
/// More times than this in one strip are one red band anyway.
const MOST_MARKS: usize = 2_000;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The trigger's words.
    pub trigger: String,
    /// What decides it.
    pub by: &'static str,
    /// How often it would have fired without a release.
    pub harmless: (Tone, String),
    /// Each run, and whether that was right.
    pub runs: Vec<(Tone, String)>,
    /// What would have been better.
    pub advice: (Tone, String),
}

/// A file of another program's making: what it says is shown, however much of it there is.
pub fn rows(backtest: &Backtest) -> Vec<Row> {
    backtest.triggers.iter().take(MOST).map(row).collect()
}

/// Silent on no data is no success: it is what a dead query looks like.
fn row(judged: &Judged) -> Row {
    let harmless = &judged.harmless;
    let (fired, windows) = (harmless.fired.len(), harmless.windows);
    let tone = match (fired, windows) {
        (0, 0) => Tone::Watch,
        (0, _) => Tone::Well,
        _ => Tone::Bad,
    };
    let mut words = match windows {
        0 => vec!["nothing was measured".to_owned()],
        _ => vec![format!("fires in {fired} of {}", plural(windows, "window"))],
    };
    if harmless.unmeasured > 0 && windows > 0 {
        words.push(format!("{} not measured", harmless.unmeasured));
    }
    words.extend(harmless.no_verdict.clone());
    let advice = match &judged.advice {
        Advice::Keep => (Tone::Well, format!("keep it{}", proved(judged.proof.as_ref()))),
        Advice::Instead(rule) => (Tone::Watch, format!("better: {rule}{}", proved(judged.proof.as_ref()))),
        Advice::None(why) => (Tone::Watch, format!("nothing better was found: {why}")),
    };
    Row {
        trigger: judged.trigger.clone(),
        by: if judged.by_evidence { "evidence" } else { "fixed rule" },
        harmless: (tone, words.join("; ")),
        runs: judged.runs.iter().map(of_run).collect(),
        advice,
    }
}

fn proved(proof: Option<&Proof>) -> String {
    let Some(proof) = proof else { return String::new() };
    let caught = match proof.caught {
        0 => "what it catches is not known".to_owned(),
        caught => format!("catches {}", plural(caught, "bad run")),
    };
    format!(" (quiet in {}, {caught})", plural(proof.quiet, "window"))
}

/// A run that was rolled back and would not have been noticed is the worst that a trigger can be told.
fn of_run(run: &RunJudged) -> (Tone, String) {
    let (tone, words) = match (run.rolled_back, run.would_fire) {
        (Some(_), Some(after)) => (Tone::Well, format!("bad, would have fired after {}", after.clock())),
        (Some(_), None) if !run.measured => (Tone::Watch, "bad, too little was measured".to_owned()),
        (Some(_), None) => (Tone::Bad, "bad, would have been missed".to_owned()),
        (None, Some(after)) => {
            (Tone::Bad, format!("not rolled back, would have fired after {}", after.clock()))
        }
        (None, None) => (Tone::Plain, "not rolled back, quiet".to_owned()),
    };
    (tone, format!("{}: {words}", run.run_id))
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What the picture shows, for whoever cannot see it.
pub fn words(backtest: &Backtest) -> String {
    let each = rows(backtest).into_iter().map(|row| format!("{}: {}", row.trigger, row.harmless.1));
    each.collect::<Vec<_>>().join("; ") + "."
}

/// `2026-11-13 08:00 to 2026-11-27 08:00 UTC, in windows of 15:00; 3 past runs`
pub fn span(backtest: &Backtest) -> String {
    let time = |at: Timestamp| at.to_jiff().strftime("%F %H:%M").to_string();
    format!(
        "{} to {} UTC, in windows of {}; {}",
        time(backtest.from),
        time(backtest.to),
        backtest.window.clock(),
        plural(backtest.runs, "past run")
    )
}

/// A strip of the whole time for each trigger.
pub fn draw(backtest: &Backtest, size: Size) -> Markup {
    let triggers = backtest.triggers.len().min(MOST);
    if triggers == 0 || backtest.to <= backtest.from {
        return Markup::default();
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful of triggers")]
    let bottom = triggers as f64 * ROW;
    let (left, right) = (4.0, size.width() - 4.0);
    let axis = ClockAxis { from: backtest.from, to: backtest.to };
    let frame = Frame { left, right, top: 0.0, bottom, axis };
    let mut picture =
        picture("backtest", size, bottom + 22.0, "The triggers over the past", &words(backtest));
    picture = picture.all(days(&frame, size));
    for (index, judged) in backtest.triggers.iter().take(MOST).enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful of triggers")]
        let top = index as f64 * ROW;
        picture = picture.all(strip(backtest, judged, &frame, top, size));
    }
    picture.end()
}

fn strip(backtest: &Backtest, judged: &Judged, frame: &Frame, top: f64, size: Size) -> Vec<Markup> {
    let most = if size == Size::Wide { 90 } else { 30 };
    let title = super::glance::cut(&judged.trigger, most);
    let alarms = judged.harmless.fired.len();
    let class = if alarms > 0 { "t bad" } else { "t dim" };
    let many = match judged.harmless.windows {
        0 => "not measured".to_owned(),
        windows => format!("{alarms} of {windows}"),
    };
    let mut marks = vec![
        text(frame.left, top + 15.0, "start", &title).class("t").end(),
        text(frame.right, top + 15.0, "end", &many).class(class).end(),
    ];
    let band = |from: Timestamp, to: Timestamp, class: &'static str| {
        let (from, to) = (frame.x(from), frame.x(to));
        let rect = tag("rect").class(class).number("x", from).number("y", top + ABOVE);
        rect.number("width", (to - from).max(1.0)).number("height", STRIP).end()
    };
    marks.push(band(frame.axis.from, frame.axis.to, "past"));
    marks.extend(backtest.left_out.iter().map(|left| band(left.window.from, left.window.to, "out")));
    let alarm = |at: &Timestamp| {
        let x = frame.x(*at);
        line((x, top + ABOVE - 2.0), (x, top + ABOVE + STRIP + 2.0)).class("alarm").end()
    };
    marks.extend(judged.harmless.fired.iter().take(MOST_MARKS).map(alarm));
    marks.extend(judged.runs.iter().take(MOST_MARKS).flat_map(|run| of_strip(run, frame, top)));
    marks
}

/// A run in a strip: its place, and a sign that says whether the trigger would have been right.
fn of_strip(run: &RunJudged, frame: &Frame, top: f64) -> [Markup; 2] {
    let (tone, _) = of_run(run);
    let x = frame.x(run.met_at);
    let class = match tone {
        Tone::Bad => "t bad",
        Tone::Well => "t well",
        Tone::Plain | Tone::Watch => "t strong",
    };
    let middle = line((x, top + ABOVE - 4.0), (x, top + ABOVE + STRIP)).class("mark").end();
    let sign =
        text(x.clamp(frame.left + 6.0, frame.right - 6.0), top + ABOVE + STRIP + 12.0, "middle", tone.sign());
    [middle, sign.class(class).end()]
}

/// The days below, or the hours where there are no days.
fn days(frame: &Frame, size: Size) -> Vec<Markup> {
    const DAY: i64 = 86_400_000;
    let whole = frame.axis.span();
    let most = if size == Size::Wide { 10 } else { 4 };
    let days = i64::try_from(whole.as_secs() / 86_400).unwrap_or(i64::MAX);
    let mut drawn = Vec::new();
    let mut mark = |at: Timestamp, words: &str| {
        let x = frame.x(at);
        drawn.push(line((x, 18.0), (x, frame.bottom)).class("grid").end());
        if x > frame.left + 20.0 && x < frame.right - 20.0 {
            drawn.push(text(x, frame.bottom + 16.0, "middle", words).class("t dim").end());
        }
    };
    if days < 2 {
        let columns = if size == Size::Wide { 120 } else { 44 };
        for (at, words) in frame.axis.times(columns) {
            mark(at, &words);
        }
        return drawn;
    }
    let step = (days / most + 1) * DAY;
    let first = (frame.axis.from.0.div_euclid(DAY) + 1) * DAY;
    let mut at = Timestamp(first);
    while at < frame.axis.to {
        mark(at, &at.to_jiff().strftime("%d %b").to_string());
        at = at + Span::from_millis(u64::try_from(step).unwrap_or(u64::MAX));
    }
    drawn
}

/// What stands below the picture.
pub const LEGEND: &str = "Each strip is the time that was looked at. Red: the trigger would have fired although nothing was \
                          released. Dark: left out, because something else was wrong. ✔ and ✖ are past runs: a bad one that it \
                          would have caught, or one that it would have missed or stopped without need. · is a good one that it \
                          would have left alone, ! one of which nothing can be said.";
