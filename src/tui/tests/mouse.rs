//! The mouse selects and scrolls. It never acts on anything.

use super::{fixture::Told, screens::states};
use crate::tui::{
    input::{Input, Mouse, MouseDoes},
    model::{Layer, Pane},
    msg::{Effect, Msg},
    update::update,
};

fn mouse(told: &mut Told, does: MouseDoes, column: u16, row: u16) -> Vec<Effect> {
    update(&mut told.model, Msg::Input(Input::Mouse(Mouse { does, column, row })))
}

#[test]
fn it_never_acts() {
    for (name, mut made) in states() {
        made.screen(80, 24);
        for does in [MouseDoes::Click, MouseDoes::WheelUp, MouseDoes::WheelDown] {
            for row in 0..24 {
                for column in (0..80).step_by(13) {
                    let mut told = made.clone();
                    let layers = told.model.layers.len();
                    let effects = mouse(&mut told, does, column, row);
                    assert_eq!(effects, [], "{name}: {does:?} at {column},{row}");
                    assert_eq!(told.model.layers.len(), layers, "{name}: {does:?} at {column},{row}");
                }
            }
        }
    }
}

#[test]
fn a_click_selects_the_pane_and_the_wheel_scrolls_what_is_under_it() {
    let mut told = Told::in_breach();
    told.screen(120, 36);
    mouse(&mut told, MouseDoes::Click, 110, 30);
    assert_eq!(told.model.cursor.focus, Pane::Detail);
    mouse(&mut told, MouseDoes::Click, 3, 2);
    assert_eq!(told.model.cursor.focus, Pane::Detail, "the header is no pane");
    mouse(&mut told, MouseDoes::WheelDown, 70, 30);
    assert_eq!((told.model.cursor.focus, told.model.cursor.pod), (Pane::Pods, 1));
    let mut told = Told::in_breach();
    told.keys("?");
    told.screen(80, 24);
    mouse(&mut told, MouseDoes::WheelDown, 10, 12);
    let Some(Layer::Page(page)) = told.model.layers.last() else { panic!("no page") };
    assert_eq!(page.scroll, 3);
    // Below 60x15 there are no panes.
    let mut told = Told::in_breach();
    told.screen(40, 10);
    mouse(&mut told, MouseDoes::Click, 30, 8);
    assert_eq!(told.model.cursor.focus, Pane::Work);
}

#[test]
fn what_is_below_the_edge_of_a_pane_comes_with_the_first_notch() {
    let mut told = Told::in_checklist();
    let run = told.model.run.as_mut().unwrap();
    let long = "All tests pass in CI, ".repeat(20);
    std::sync::Arc::make_mut(&mut run.runbook).checklist[0].items[0].text = long;
    let below = |screen: &str| {
        let mark =
            screen.split('│').find_map(|part| part.split_once(" ↓ ").map(|(_, rest)| rest.trim().to_owned()));
        mark.and_then(|rest| rest.split_whitespace().next().and_then(|number| number.parse::<usize>().ok()))
    };
    let mut seen = Vec::new();
    for _ in 0..3 {
        let screen = told.screen(80, 24);
        let right: Vec<&str> = screen.lines().filter_map(|line| Some(line.split_once('│')?.1)).collect();
        let right = right.join("│");
        seen.push(below(&right).unwrap());
        mouse(&mut told, MouseDoes::WheelDown, 70, 12);
    }
    assert!(seen[0] == seen[1] + 3 && seen[1] == seen[2] + 3, "{seen:?}");
}
