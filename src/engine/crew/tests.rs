//! Two people, their screens and one seat with control.

use super::*;
use crate::domain::fixture::{Flight, runbook};

/// A screen that takes whatever it is shown.
struct Patient;

impl UpdateSink for Patient {
    fn send(&self, _: &Update) -> bool {
        true
    }
}

/// A run with its screens, as the engine puts them together.
struct Deck {
    crew: Crew,
    flight: Flight,
    screens: u64,
}

impl Deck {
    fn new() -> Self {
        Self { crew: Crew::default(), flight: Flight::in_window(runbook()), screens: 0 }
    }

    fn join(&mut self, login: &str, wish: Wish) -> ScreenId {
        self.screens += 1;
        let id = ScreenId(self.screens);
        let told = self.crew.join(self.flight.run(), id, Person::of_login(login), wish, Box::new(Patient));
        self.tell(told);
        id
    }

    fn leave(&mut self, id: ScreenId) {
        let told = self.crew.leave(id);
        self.tell(told);
    }

    fn tell(&mut self, told: Option<Input>) {
        if let Some(input) = told {
            self.flight.feed(input);
            self.flight.settle();
        }
    }

    fn ask(&mut self, id: ScreenId) {
        let by = self.crew.member(id).unwrap().person.clone();
        self.flight.feed(Input::ControlAsked { by });
    }

    fn take(&mut self, id: ScreenId, reason: &str) -> Result<(), String> {
        let input = self.crew.take(self.flight.run(), id, reason)?;
        self.flight.feed(input);
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), String> {
        let input = self.crew.hand_over(self.flight.run())?;
        self.flight.feed(input);
        Ok(())
    }

    fn role(&self, id: ScreenId) -> Role {
        self.crew.member(id).unwrap().role
    }

    /// Who has control: the seat and the run agree.
    fn pilot(&self) -> Option<String> {
        let seat = self.crew.pilot().map(|member| member.person.login.clone());
        if seat.is_some() {
            assert_eq!(self.flight.run().pilot.as_ref().map(|pilot| pilot.login.clone()), seat);
        }
        assert!(self.crew.members().filter(|member| member.role == Role::Pilot).count() <= 1);
        seat
    }

    fn handovers(&self) -> Vec<(String, Option<String>, Option<String>)> {
        let login = |person: &Person| person.login.clone();
        let taken = self.flight.events.iter().filter_map(|envelope| match &envelope.event {
            crate::domain::event::RunEvent::ControlTaken { by, from, reason } => {
                Some((login(by), from.as_ref().map(login), reason.clone()))
            }
            _ => None,
        });
        taken.collect()
    }
}

#[test]
fn the_first_has_the_controls_and_hands_them_over_to_whoever_asks() {
    let mut deck = Deck::new();
    let ada = deck.join("ada", Wish::Pilot);
    let bob = deck.join("bob", Wish::Pilot);
    assert_eq!((deck.role(ada), deck.role(bob)), (Role::Pilot, Role::Observer));
    assert_eq!(deck.hand_over().unwrap_err(), "nobody asks for control");

    deck.ask(bob);
    deck.flight.feed(Input::ControlKept);
    assert_eq!(deck.hand_over().unwrap_err(), "nobody asks for control", "the pilot kept them");

    deck.ask(bob);
    deck.hand_over().unwrap();
    assert_eq!(
        (deck.role(ada), deck.role(bob), deck.pilot()),
        (Role::Observer, Role::Pilot, Some("bob".into()))
    );
    assert_eq!(deck.handovers(), [("bob".into(), Some("ada".into()), None)]);
    assert_eq!(deck.hand_over().unwrap_err(), "nobody asks for control", "asked once, given once");
    assert!(deck.flight.run().held.is_none(), "somebody had control all the time");
}

#[test]
fn whoever_asked_and_left_is_given_nothing() {
    let mut deck = Deck::new();
    deck.join("ada", Wish::Pilot);
    let bob = deck.join("bob", Wish::Observe);
    deck.ask(bob);
    deck.leave(bob);
    assert_eq!(deck.hand_over().unwrap_err(), "nobody asks for control");
    assert_eq!(deck.pilot(), Some("ada".into()));
}

#[test]
fn a_pilot_who_is_there_is_not_pushed_aside_and_one_who_is_gone_is_replaced_with_a_reason() {
    let mut deck = Deck::new();
    let ada = deck.join("ada", Wish::Pilot);
    let bob = deck.join("bob", Wish::Pilot);
    assert!(deck.take(bob, "mine now").unwrap_err().starts_with("ada has control"));
    assert_eq!(deck.take(ada, "").unwrap_err(), "you have control");

    deck.leave(ada);
    assert_eq!(deck.pilot(), None);
    assert!(deck.flight.run().held.is_some(), "nobody has control");
    // Not even then by merely looking in.
    let eve = deck.join("eve", Wish::Pilot);
    assert_eq!(deck.role(eve), Role::Observer);
    assert_eq!(deck.take(bob, " ").unwrap_err(), "say why you take control");
    deck.take(bob, "ada lost her line").unwrap();
    assert_eq!(deck.handovers(), [("bob".into(), Some("ada".into()), Some("ada lost her line".into()))]);

    // Whoever comes back looks on.
    let ada = deck.join("ada", Wish::Pilot);
    assert_eq!((deck.role(ada), deck.pilot()), (Role::Observer, Some("bob".into())));
    assert!(deck.take(ada, "back").unwrap_err().starts_with("bob has control"));
}

#[test]
fn ones_own_other_screen_needs_no_reason() {
    let mut deck = Deck::new();
    let desk = deck.join("ada", Wish::Pilot);
    let phone = deck.join("ada", Wish::Pilot);
    assert_eq!(deck.role(phone), Role::Observer);
    deck.take(phone, "").unwrap();
    assert_eq!((deck.role(desk), deck.role(phone)), (Role::Observer, Role::Pilot));
    assert_eq!(deck.handovers(), [("ada".into(), None, None)]);
    deck.leave(phone);
    // The seat is ada's still: her next screen has it at once.
    let again = deck.join("ada", Wish::Pilot);
    assert_eq!(deck.role(again), Role::Pilot);
}

#[test]
fn only_pilots_and_observers_fill_the_journal() {
    let mut deck = Deck::new();
    let before = deck.flight.events.len();
    for wish in [Wish::Watch, Wish::Errand, Wish::Approve] {
        let id = deck.join("eve", wish);
        deck.leave(id);
    }
    assert_eq!(deck.flight.events.len(), before);
    let id = deck.join("eve", Wish::Observe);
    deck.leave(id);
    assert_eq!(deck.flight.events.len(), before + 2);
}

#[test]
fn each_role_may_what_it_is_for_and_nothing_else() {
    let reason = || "x".to_owned();
    let drives = [
        Command::Continue,
        Command::OpenSteps { override_reason: None },
        Command::Start { step: None, attempt: 1, typed: None },
        Command::Retry { step: None, attempt: 1 },
        Command::EndChildren,
        Command::HandOver,
        Command::KeepControl,
        Command::CancelCountdown { trigger: 0, reason: reason() },
        Command::GoOnUnrecorded { typed: reason() },
        Command::SetVar { name: reason(), value: reason() },
    ];
    let shell = [
        Command::Rollback { reason: reason() },
        Command::RetryRollback,
        Command::AbandonRollback { reason: reason() },
        Command::Abort { reason: reason() },
        Command::Hold { reason: reason() },
        Command::Suspend { reason: reason() },
        Command::Close,
    ];
    let approve = Command::Approve { step: None };
    for command in &drives {
        assert!(permit(Role::Pilot, command).is_ok(), "{command:?}");
        for role in [Role::Observer, Role::Errand, Role::Approver, Role::Watcher] {
            assert!(permit(role, command).is_err(), "{role:?} {command:?}");
        }
    }
    for command in &shell {
        assert!(permit(Role::Pilot, command).is_ok() && permit(Role::Errand, command).is_ok(), "{command:?}");
        for role in [Role::Observer, Role::Approver, Role::Watcher] {
            assert!(permit(role, command).is_err(), "{role:?} {command:?}");
        }
    }
    for role in [Role::Pilot, Role::Observer, Role::Errand, Role::Approver] {
        assert!(permit(role, &approve).is_ok(), "{role:?}: who it is decides, not from where");
    }
    assert!(permit(Role::Watcher, &approve).is_err());
    let take = Command::TakeControl { reason: reason() };
    assert!(permit(Role::Observer, &take).is_ok() && permit(Role::Observer, &Command::AskControl).is_ok());
    for role in [Role::Errand, Role::Approver, Role::Watcher] {
        assert!(permit(role, &take).is_err() && permit(role, &Command::AskControl).is_err(), "{role:?}");
    }
}
