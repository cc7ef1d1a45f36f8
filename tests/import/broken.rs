//! Pages that are broken: nothing panics, nothing hangs, no line is lost, and what comes of them loads.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

/// Pieces of pages, some broken.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "# Title\n",
        "## Rollback\n",
        "### Step 1: Do\n",
        "## Checklist\n",
        "- [ ] an item\n",
        "- a point\n  - nested\n",
        "1. one\n1. two\n",
        "```sh\n",
        "```\n",
        "````\n",
        "kubectl set image deployment/a-green c=i:<V> -n x\n",
        "kubectl get pods\n",
        "export A=\"b $C\"\n",
        "cat <<EOF\n",
        "EOF\n",
        "if x; then\n",
        "'\n",
        "\"\n",
        "| a | b |\n|---|---|\n| c | d |\n",
        "> quote\n",
        "<!-- c -->\n",
        "<details>\n",
        "**Time:** 5 minutes\n",
        "**Validation:**\n",
        "- error rate > 1% for 5 minutes\n",
        "[x](https://y.example.com)\n",
        "---\n",
        "\n",
        "    indented\n",
        "\t\ttabs\n",
        "\u{1b}[2J\n",
        "Ã©\n",
        "TOKEN=abcdefgh\n",
        "{{ x }} ${Y:-z} $(a)\n",
        "'''\n",
        "\\\n",
        "~~~\n",
        "a\rb\n",
        "`make x`\n",
        "[^1]: note\n",
        "\u{202e}\n",
        "## Incident\n",
        "## Metrics\n",
        "## Contacts\n",
    ]);
    let any = prop_oneof![4 => piece.prop_map(str::to_owned), 1 => "\\PC{0,20}\n"];
    prop::collection::vec(any, 0..24).prop_map(|parts| parts.concat())
}

/// The same pages in every run; `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for more, and for others.
fn config_of_pages() -> ProptestConfig {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = RngSeed::Fixed(asked("PROPTEST_RNG_SEED").unwrap_or(20_261_127));
    let cases = asked("PROPTEST_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(300);
    ProptestConfig { cases, rng_seed: seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config_of_pages())]

    #[test]
    fn whatever_stands_on_a_page_nothing_is_lost_and_the_runbook_loads(source in pieces()) {
        let imported = import::import("page.md", &source);
        let broken = kept::broken(&source, &imported);
        prop_assert!(broken.is_empty(), "{}\n{}\n{source:?}", broken.join("\n"), imported.runbook);
    }
}

/// All pages of ours, with the one that our own runbook was made from.
fn pages() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the pages are there");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "md"));
    names.sort();
    names.iter().map(|path| fs::read_to_string(path).expect("a page of ours can be read")).collect()
}

/// Broken pages, the same ones in every run; `CUTOVER_PAGES` asks for more, and `CUTOVER_PAGES_FROM` for others.
#[test]
fn of_a_broken_page_nothing_is_lost_either_and_nothing_panics_or_hangs() {
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = asked("CUTOVER_PAGES_FROM").unwrap_or(1);
    let pages = pages();
    let mut wrong = Vec::new();
    for number in from..from + asked("CUTOVER_PAGES").unwrap_or(120) {
        let source = mutate::page(&pages, &mut mutate::Dice::new(number));
        let begun = std::time::Instant::now();
        let Ok(imported) = std::panic::catch_unwind(|| import::import("page.md", &source)) else {
            wrong.push(format!("{number}: panics"));
            continue;
        };
        let took = begun.elapsed();
        if took > std::time::Duration::from_secs(20) {
            wrong.push(format!("{number}: took {took:?}"));
        }
        wrong.extend(kept::broken(&source, &imported).into_iter().map(|what| format!("{number}: {what}")));
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}
