//! Evidence over a real Prometheus. The times of all shares and scrapes, beside the fixed rule's, are in docs/evidence.md:
//! `cargo bench --bench evidence -- prometheus`.

use std::time::Duration;

use super::evidence::{Trial, play};

/// A release with 5 % errors is found within few samples, though two of three answers are the same scrape; one without errors is
/// not condemned; and what was counted is what happened.
#[test]
#[cfg_attr(not(feature = "real-servers"), ignore = "wants real servers: see tests/real.rs")]
fn errors_that_a_real_prometheus_has_scraped_are_found_within_few_samples_and_none_are_never_found() {
    let trial = |share, scrape, watch| {
        let watch = Duration::from_secs(watch);
        move || play(Trial { share, scrape, interval: 1, watch, evidence_is_enough: true })
    };
    let (bad, good) = (trial(0.05, 3, 40), trial(0.0, 1, 10));
    let (bad, good) = (std::thread::spawn(bad), std::thread::spawn(good));
    let (bad, good) = (bad.join().unwrap(), good.join().unwrap());
    let found = bad.evidence.unwrap_or_else(|| panic!("not found: {}", bad.words));
    // One scrape of it is enough. This machine may be busy.
    assert!(found.after <= Duration::from_secs(12), "{found:?}");
    assert!(found.happened.bad <= 90.0, "{found:?}");
    assert!(bad.rule.is_none(), "the fixed rule waits for five minutes");
    assert!(good.evidence.is_none() && good.card.worse.is_none(), "{}", good.words);
    for told in [bad, good] {
        assert!(told.card.terms.phi < 2.0, "the hour before was read: {:?}", told.card.terms);
        assert_eq!(told.card.check(), Ok(()), "a reader of the journal computes the same");
        assert!(told.card.new.all > 0.0 && told.is_exact(), "{:?} {:?}", told.card, told.scraped);
        assert_eq!(told.card.selectors.counted, r#"http_requests_total{code=~"5..",slot="green"}"#);
    }
}
