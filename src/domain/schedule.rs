//! How long a run will still take: one clock, computed from the times of the steps.

use super::{
    run::{Run, StepState, StepStatus},
    runbook::Step,
    time::{Span, Timestamp},
};

impl Run {
    /// About how long the steps that are left take, each by the longer time that the runbook gives it, the window whole.
    /// `watched` is what the window under way has seen. What is over its time counts as about to end.
    ///
    /// Nothing is known of how long people take to confirm: this is the time of the work alone.
    pub fn time_left(&self, now: Timestamp, watched: Span) -> Span {
        let current = self.current();
        let steps = self.runbook.steps.iter().zip(&self.steps).enumerate();
        steps.fold(Span::ZERO, |sum, (index, (step, state))| {
            let watched = if current == Some(index) { watched } else { Span::ZERO };
            sum.saturating_add(left_of(step, state, now, watched))
        })
    }
}

fn left_of(step: &Step, state: &StepState, now: Timestamp, watched: Span) -> Span {
    let whole = match (step.window, step.time) {
        (Some(window), _) => window.lasts,
        (None, Some((_, longest))) => longest,
        (None, None) => Span::ZERO,
    };
    match state.status {
        StepStatus::Passed | StepStatus::Skipped => Span::ZERO,
        StepStatus::Pending => whole,
        StepStatus::Checking if step.window.is_some() => whole.saturating_sub(watched),
        StepStatus::Running | StepStatus::Checking | StepStatus::Failed | StepStatus::Unknown => {
            whole.saturating_sub(state.work.took(now))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{Flight, runbook};

    /// What the runbook gives the steps from this one on.
    fn declared(run: &Run, from: usize) -> Span {
        run.runbook.steps.iter().skip(from).fold(Span::ZERO, |sum, step| {
            let longest = step.time.map_or(Span::ZERO, |(_, longest)| longest);
            sum.saturating_add(step.window.map_or(longest, |window| window.lasts))
        })
    }

    #[test]
    fn what_is_left_is_the_sum_of_the_steps_that_are_left() {
        let flight = Flight::opened(runbook());
        let whole = declared(flight.run(), 0);
        assert!(whole > Span::ZERO);
        assert_eq!(flight.run().time_left(flight.now, Span::ZERO), whole);
    }

    #[test]
    fn a_window_takes_what_it_has_not_seen_yet() {
        let flight = Flight::in_window(runbook());
        let run = flight.run();
        let index = run.current().unwrap();
        let left = declared(run, index);
        assert_eq!(run.time_left(flight.now, Span::ZERO), left);
        let seen = Span::from_secs(40);
        assert_eq!(run.time_left(flight.now, seen), left.saturating_sub(seen));
        assert_eq!(
            run.time_left(flight.now, Span::from_mins(600)),
            declared(run, index + 1),
            "never below nothing"
        );
    }
}
