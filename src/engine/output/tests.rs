use proptest::prelude::*;
use secrecy::SecretString;

use super::{line::SPANS_PER_LINE, *};

fn assembled(bytes: &[u8]) -> Vec<OutputLine> {
    let mut lines = LineAssembler::default();
    lines.push(bytes);
    lines.finish();
    lines.since(0).lines
}

fn plain(bytes: &[u8]) -> Vec<String> {
    assembled(bytes).into_iter().map(|line| line.line.plain().into()).collect()
}

fn style_of(bytes: &[u8]) -> Style16 {
    let lines = assembled(bytes);
    lines.first().and_then(|line| line.line.spans.first()).map(|(style, _)| *style).unwrap()
}

#[test]
fn lines_and_the_one_without_an_end() {
    let mut lines = LineAssembler::default();
    lines.push(b"one\r\ntwo\n\nthr");
    let batch = lines.since(0);
    let texts: Vec<String> = batch.lines.iter().map(|line| line.line.plain().into()).collect();
    assert_eq!(texts, ["one", "two", ""]);
    assert_eq!((batch.skipped, batch.next), (0, 3));
    assert_eq!(lines.current().unwrap().plain(), "thr");
    lines.push(b"ee\n");
    let batch = lines.since(batch.next);
    assert_eq!(batch.lines.len(), 1);
    assert_eq!(batch.lines[0].line.plain(), "three");
    assert_eq!(lines.current(), None);
}

#[test]
fn carriage_returns_rewrite() {
    assert_eq!(plain(b"10 %\r50 %\r100 %\ndone"), ["100 %", "done"]);
    assert_eq!(plain(b"long text\rab\n"), ["abng text"]);
    assert_eq!(plain(b"long text\r\x1b[Kab\n"), ["ab"]);
    assert_eq!(plain(b"abc\x08\x08X\n"), ["aXc"]);
    assert_eq!(plain(b"abc\x1b[1GX\x1b[2CY\n"), ["XbcY"]);
    assert_eq!(plain("漢字\rx\n".as_bytes()), ["x 字"]);
}

#[test]
fn a_progress_bar_shows_its_last_state() {
    let mut lines = LineAssembler::default();
    lines.push(b"pulling 10 %");
    assert_eq!(lines.current().unwrap().plain(), "pulling 10 %");
    lines.push(b"\rpulling 20 %");
    assert_eq!(lines.current().unwrap().plain(), "pulling 20 %");
}

#[test]
fn tabs_go_to_stops() {
    assert_eq!(plain(b"a\tb\n"), ["a       b"]);
    assert_eq!(plain(b"\x1b[31ma\tb\n"), ["a       b"]);
}

#[test]
fn colours_are_kept() {
    let red = Style16 { fg: Some(1), ..Style16::default() };
    assert_eq!(
        assembled(b"a \x1b[31merror\x1b[0m b\n")[0].line.spans,
        [
            (Style16::default(), SafeText::new("a ")),
            (red, SafeText::new("error")),
            (Style16::default(), SafeText::new(" b")),
        ]
    );
    assert_eq!(
        style_of(b"\x1b[1;4;38;5;9;48;5;4mx"),
        Style16 { bold: true, underline: true, fg: Some(9), bg: Some(4), ..red }
    );
    assert_eq!(style_of(b"\x1b[38;2;250;5;5mx").fg, Some(9));
    assert_eq!(style_of(b"\x1b[38:2::0:0:230mx").fg, Some(4));
    assert_eq!(style_of(b"\x1b[38:5:196mx").fg, Some(9));
    assert_eq!(style_of(b"\x1b[38;5;244mx").fg, Some(8));
    assert_eq!(style_of(b"\x1b[97;101mx"), Style16 { fg: Some(15), bg: Some(9), ..Style16::default() });
    assert_eq!(style_of(b"\x1b[58;5;1;3mx"), Style16 { italic: true, ..Style16::default() });
    assert_eq!(style_of(b"\x1b[31m\x1b[mx"), Style16::default());
}

#[test]
fn a_colour_lasts_over_lines() {
    let lines = assembled(b"\x1b[32mone\ntwo\x1b[0m\nthree\n");
    let colours: Vec<_> = lines.iter().map(|line| line.line.spans[0].0.fg).collect();
    assert_eq!(colours, [Some(2), Some(2), None]);
}

#[test]
fn u5_text_cannot_be_hidden_by_colour() {
    assert_eq!(style_of(b"\x1b[30;40mhidden"), Style16 { fg: Some(0), ..Style16::default() });
    assert_eq!(style_of(b"\x1b[8mhidden"), Style16::default());
}

#[test]
fn u4_other_sequences_do_nothing() {
    for sequence in [
        "\x1b]0;title\x07",
        "\x1b]52;c;ZWNobw==\x1b\\",
        "\x1b]8;;http://example.com\x1b\\",
        "\x1bP1$r0m\x1b\\",
        "\x1b_Gpayload\x1b\\",
        "\x1b[2J",
        "\x1b[5A",
        "\x1b[10;10H",
        "\x1b[?1049h",
        "\x1b[6n",
        "\x1b[>1;2<3m",
        "\x1bc",
        "\x1b(0",
        "\x1b]0;cancelled\x18",
        "\x07",
    ] {
        let text = format!("before {sequence}after\n");
        assert_eq!(plain(text.as_bytes()), ["before after"], "{sequence:?}");
        // And cut at every byte.
        let mut lines = LineAssembler::default();
        for byte in text.as_bytes() {
            lines.push(&[*byte]);
            let _ = lines.current();
        }
        assert_eq!(lines.since(0).lines[0].line.plain(), "before after", "{sequence:?} in pieces");
    }
}

#[test]
fn u5_an_unfinished_sequence_swallows_its_own_line_only() {
    assert_eq!(plain(b"a\x1b]0;no end\nnext\n"), ["a", "next"]);
    assert_eq!(plain(b"a\x1b[31\nnext\n"), ["a", "next"]);
}

#[test]
fn a_long_sequence_is_swallowed_in_little_memory() {
    let mut bytes = b"a\x1b]52;c;".to_vec();
    bytes.extend(std::iter::repeat_n(b'A', 3 << 20));
    bytes.extend_from_slice(b"\x07b\n");
    assert_eq!(plain(&bytes), ["ab"]);
    bytes.truncate(bytes.len() - 3);
    bytes.extend_from_slice(b"\x1b\\b\n");
    assert_eq!(plain(&bytes), ["ab"]);
}

#[test]
fn controls_are_shown_and_invalid_bytes_replaced() {
    assert_eq!(plain(b"a\x01b\x7fc\n"), ["a<U+0001>b<U+007F>c"]);
    assert_eq!(plain(b"a\xff\xe6\xbcb\n"), ["a\u{FFFD}\u{FFFD}b"]);
    assert_eq!(plain(b"\x1b[31ma\xffb\n"), ["a\u{FFFD}b"]);
    assert_eq!(plain(b"end \xe6\xbc"), ["end \u{FFFD}"]);
    assert_eq!(plain("x\u{202e}y\u{200b}z\n".as_bytes()), ["x<U+202E>y<U+200B>z"]);
    assert_eq!(plain("\x1b[1mx\u{202e}y\u{200b}z\n".as_bytes()), ["x<U+202E>y<U+200B>z"]);
}

#[test]
fn characters_cut_in_two_are_whole() {
    let mut lines = LineAssembler::default();
    for byte in "naïve 漢字 ✔".as_bytes() {
        lines.push(&[*byte]);
        let now = lines.current();
        assert!(now.is_none_or(|line| !line.plain().contains('\u{FFFD}')));
    }
    lines.push(b"\n");
    assert_eq!(lines.since(0).lines[0].line.plain(), "naïve 漢字 ✔");
}

#[test]
fn s3_a_long_line_is_cut_and_counted() {
    let mut lines = LineAssembler::default();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..8 {
        lines.push(&piece);
    }
    lines.push(b"\nnext\n");
    let batch = lines.since(0);
    assert_eq!(batch.lines[0].line.width(), COLUMNS_KEPT);
    assert_eq!(batch.lines[0].cut, (8 << 20) - COLUMNS_KEPT as u64);
    assert_eq!((batch.lines[1].line.plain(), batch.lines[1].cut), (SafeText::new("next"), 0));
    assert!(lines.pending.capacity() <= 2 * PENDING_LIMIT);
}

#[test]
fn s3_a_flood_keeps_the_last_lines_and_counts_the_rest() {
    let mut lines = LineAssembler::new(100);
    let mut next = 0;
    let mut seen = 0;
    for round in 0..40 {
        for line in 0..20_000 {
            lines.push(format!("line {}\n", round * 20_000 + line).as_bytes());
        }
        if round % 10 == 9 {
            let batch = lines.since(next);
            assert_eq!(batch.lines.len(), 100);
            assert_eq!(batch.lines[99].line.plain().as_str(), format!("line {}", (round + 1) * 20_000 - 1));
            assert_eq!(batch.lines[0].number, batch.next - 100);
            seen += batch.skipped + batch.lines.len() as u64;
            next = batch.next;
        }
    }
    assert_eq!(seen, 800_000);
    assert_eq!((lines.total(), lines.dropped()), (800_000, 799_900));
}

#[test]
fn s3_coloured_floods_are_bounded_too() {
    let mut lines = LineAssembler::default();
    for column in 0..COLUMNS_KEPT {
        lines.push(format!("\x1b[3{}mx", column % 8).as_bytes());
    }
    lines.push(b"\n");
    let built = lines.since(0).lines.remove(0).line;
    assert_eq!((built.spans.len(), built.width()), (SPANS_PER_LINE, COLUMNS_KEPT));
    for _ in 0..LINES_KEPT {
        lines.keep_line(built.clone(), 0);
    }
    assert!(lines.ring_bytes <= RING_BYTES);
    assert!(lines.ring.len() < LINES_KEPT, "the bound on bytes was not reached");
    assert_eq!(lines.dropped() + lines.ring.len() as u64, LINES_KEPT as u64 + 1);
}

#[test]
fn x1_a_secret_with_colours_inside_is_masked() {
    let secret = SecretString::from("abcdefgh");
    let masker = Arc::new(Masker::new([("TOKEN", &secret)]).unwrap());
    let mut lines = LineAssembler::default().masking(masker);
    lines.push(b"token abcd\x1b[31mefgh\x1b[0m\nabcdeXXX\x08\x08\x08fgh");
    assert_eq!(lines.since(0).lines[0].line.plain(), "token •••");
    assert_eq!(lines.current().unwrap().plain(), "•••");
}

/// Output as commands write it, and as they should not.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        "\\PC{0,4}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..6),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\x08".to_vec()),
        Just(b"\x1b[31m".to_vec()),
        Just(b"\x1b[0m".to_vec()),
        Just(b"\x1b[K".to_vec()),
        Just(b"\x1b]0;t\x07".to_vec()),
        Just(b"\x1b]0;t".to_vec()),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_never_matter(bytes in output(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), look in any::<bool>()) {
        let mut borders: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        borders.extend([0, bytes.len()]);
        borders.sort_unstable();
        let mut lines = LineAssembler::default();
        for pair in borders.windows(2) {
            lines.push(&bytes[pair[0]..pair[1]]);
            if look {
                let _ = lines.current();
            }
        }
        lines.finish();
        prop_assert_eq!(lines.since(0).lines, assembled(&bytes));
    }

    #[test]
    fn u4_lines_are_safe_text(bytes in output()) {
        for line in assembled(&bytes) {
            let text = line.line.plain();
            prop_assert_eq!(SafeText::new(&text), text.clone());
            prop_assert!(!text.chars().any(char::is_control));
        }
    }

    #[test]
    fn both_ways_to_hold_a_line_agree(text in "[a-z][ -~é漢✔\t\u{301}\u{202e}\u{85}]{0,40}") {
        // Going back turns the line into cells and changes nothing else.
        let appended = plain(format!("{text}\n").as_bytes());
        let cells = plain(format!("x\r{text}\n").as_bytes());
        let again = plain(format!("{text}\r\x07\n").as_bytes());
        prop_assert_eq!(&appended, &cells);
        prop_assert_eq!(&appended, &again);
    }

    #[test]
    fn line_ends_are_counted_exactly(bytes in output()) {
        let mut lines = LineAssembler::new(3);
        lines.push(&bytes);
        let ends = memchr_iter(b'\n', &bytes).count() as u64;
        prop_assert_eq!(lines.total(), ends);
        prop_assert_eq!(lines.dropped(), ends.saturating_sub(3));
    }
}
