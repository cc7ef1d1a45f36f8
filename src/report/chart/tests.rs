use super::{svg::Size, *};
use crate::domain::{
    fixture::START,
    metric::{Bound, Op, Query},
};

fn at(seconds: u64) -> Timestamp {
    START + Span::from_secs(seconds)
}

fn metric() -> Metric {
    Metric {
        id: "errors".into(),
        title: "Error rate".to_owned(),
        query: Query::Promql { source: "p".to_owned(), expr: "e".to_owned() },
        per_slot: true,
        unit: Unit::Percent,
        normal: Some(Bound { op: Op::Lt, value: 0.001 }),
        alert: Some(Bound { op: Op::Gt, value: 0.01 }),
        action: None,
        interval: Span::from_secs(10),
    }
}

fn chart_of(points: &[Point]) -> Chart {
    let metric = metric();
    let pieces = pieces(points.iter().copied(), metric.interval);
    let curve = Curve {
        whose: Whose::New,
        name: "GREEN".to_owned(),
        told: false,
        alerts: alerts(&metric, &pieces),
        pieces,
    };
    let limits = Limit::of(&metric);
    let seen: Vec<f64> = curve.pieces.iter().flatten().map(|(_, value)| *value).collect();
    let named: Vec<(Limit, String)> =
        limits.iter().map(|limit| (*limit, format!("{}", limit.alert))).collect();
    Chart {
        id: "errors".to_owned(),
        title: "Error rate".to_owned(),
        words: words(&metric, std::slice::from_ref(&curve), &named, &[]),
        curves: vec![curve],
        scale: Scale::new(&metric, &limits, seen, svg::ROWS),
        limits: named,
        axis: ClockAxis { from: at(0), to: at(900) },
    }
}

#[test]
fn gaps_are_gaps() {
    let points =
        [(0, Some(0.1)), (10, Some(0.1)), (20, None), (30, Some(0.1)), (40, Some(0.1)), (80, Some(0.1))]
            .map(|(s, value)| (at(s), value));
    let pieces = pieces(points.into_iter(), Span::from_secs(10));
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    // Three intervals are still joined, as the screen's charts do.
    assert_eq!(
        super::pieces([(at(0), Some(1.0)), (at(30), Some(1.0))].into_iter(), Span::from_secs(10)).len(),
        1
    );
    let chart = chart_of(&points);
    let drawn = svg::draw(&chart, &[], "c", Size::Wide).into_string();
    assert_eq!(drawn.matches("class=\"curve new\"").count(), 3, "two ways and a dot: {drawn}");
    assert!(chart.words.contains("2 gaps without samples"), "{}", chart.words);
}

#[test]
fn what_was_wrong_is_told_with_its_times() {
    let points: Vec<Point> =
        (0..60).map(|n| (at(n * 10), Some(if (20..30).contains(&n) { 0.05 } else { 0.0004 }))).collect();
    let chart = chart_of(&points);
    assert_eq!(chart.curves[0].alerts, [(at(200), at(290))]);
    let (from, to) = (at(200).clock(), at(290).clock());
    assert!(
        chart
            .words
            .starts_with(&format!("GREEN: 0.04 % to 5 %; in the alert range (true) from {from} to {to} UTC")),
        "{}",
        chart.words
    );
    let drawn = svg::draw(&chart, &[], "c", Size::Narrow).into_string();
    assert_eq!(drawn.matches("curve hot").count(), 1);
    assert!(
        drawn.contains("role=\"img\"") && drawn.contains("aria-labelledby=\"c-narrow-name c-narrow-words\"")
    );
}

#[test]
fn no_peak_is_lost_and_a_day_is_no_megabyte() {
    let day: Vec<Point> = (0..86_400)
        .map(|n| (START + Span::from_millis(n * 10), Some(if n == 40_001 { 0.3 } else { 0.0004 })))
        .collect();
    let chart = chart_of(&day);
    let drawn = svg::draw(&chart, &[], "c", Size::Wide).into_string();
    assert!(drawn.len() < 60_000, "{}", drawn.len());
    let top = |drawn: &str| {
        let ways = drawn.split(" d=\"").skip(1).map(|way| way.split('"').next().unwrap_or_default());
        let places =
            ways.flat_map(|way| way.split(['M', 'L']).filter(|it| !it.is_empty()).map(str::to_owned));
        let heights = places.map(|place| {
            place.split(' ').nth(1).unwrap().parse::<f64>().unwrap_or_else(|_| panic!("{place:?}"))
        });
        heights.fold(f64::INFINITY, f64::min)
    };
    let flat = chart_of(&day.iter().map(|(at, _)| (*at, Some(0.0004))).collect::<Vec<_>>());
    assert!(top(&drawn) + 20.0 < top(&svg::draw(&flat, &[], "c", Size::Wide).into_string()));
}

#[test]
fn marks_that_are_close_stand_one_below_the_other() {
    let mark = |s, text: &str| Mark { at: at(s), text: text.to_owned(), is_rollback: false };
    let marks = [mark(400, "rollback"), mark(401, "back on BLUE")];
    let chart = chart_of(&[(at(0), Some(0.1)), (at(10), Some(0.1))]);
    let drawn = svg::draw(&chart, &marks, "c", Size::Wide).into_string();
    let heights: Vec<&str> = drawn
        .split("t strong")
        .zip(drawn.split("t strong").skip(1))
        .map(|(before, _)| before.rsplit(" y=\"").next().unwrap().split('"').next().unwrap())
        .collect();
    assert_eq!(heights.len(), 2);
    assert_ne!(heights[0], heights[1], "{drawn}");
}
