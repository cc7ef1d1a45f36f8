use super::*;

fn commands(text: &str) -> Vec<String> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Command(command) => Some(command.text),
            _ => None,
        })
        .collect()
}

#[test]
fn lines_are_commands_and_continuations_are_one() {
    assert_eq!(commands("a b\n\n# note\nc \\\n  d\ne |\n f"), ["a b", "c \\\n  d", "e |\n f"]);
    assert_eq!(commands("a &&\nb\nc || d"), ["a &&\nb", "c || d"]);
    assert_eq!(commands("echo \"two\nlines\" end\nx"), ["echo \"two\nlines\" end", "x"]);
    assert_eq!(commands("echo 'it''s' # don't\ny"), ["echo 'it''s' # don't", "y"]);
}

#[test]
fn compounds_and_heredocs_stay_whole() {
    let text = "if true; then\n  a\nelse\n  b\nfi\nfor i in 1 2; do\n x $i\ndone\ncat <<EOF\nif\nEOF\nz";
    assert_eq!(commands(text).len(), 4, "{:?}", commands(text));
    let function = "f() {\n  a\n}\nf";
    assert_eq!(commands(function), ["f() {\n  a\n}", "f"]);
    let case = "case $x in\n a) b;;\n *) c;;\nesac\nq";
    assert_eq!(commands(case).len(), 2, "{:?}", commands(case));
    assert_eq!(commands("while :; do a; done\nb"), ["while :; do a; done", "b"]);
    assert_eq!(commands("x=$(a |\n b)\ny"), ["x=$(a |\n b)", "y"]);
    assert_eq!(commands("cat <<'E' | k apply -f -\na: {\nE\nb").len(), 2);
}

#[test]
fn what_does_not_end_is_no_command() {
    assert_eq!(commands("echo 'open\nb"), ["b"]);
    assert_eq!(commands("if x; then\ny"), ["y"]);
    assert!(commands("cat <<EOF\nno end").iter().all(|command| !command.contains("EOF")));
}

#[test]
fn words_are_templates_or_nothing() {
    let texts = |command: &str| {
        words(command).map(|words| words.into_iter().map(|word| word.template).collect::<Vec<_>>())
    };
    assert_eq!(texts("a 'b $c' \"d $E\" f\\ g").unwrap(), ["a", "b $$c", "d $E", "f g"]);
    assert_eq!(texts("k set \\\n x=${V}-y || exit 1").unwrap(), ["k", "set", "x=${V}-y"]);
    for shell in ["a | b", "a > f", "a $(b)", "a *", "a; b", "a && b", "a ${X:-1}", "a 'b", "a {b,c}"] {
        assert_eq!(texts(shell), None, "{shell}");
    }
}

#[test]
fn assignments_are_told_from_commands() {
    let one = |text: &str| assignments(text).map(|mut all| all.remove(0));
    assert_eq!(one("export A=\"b c\""), Some(("A".into(), "\"b c\"".into())));
    assert_eq!(one("A=$(b c | d)"), Some(("A".into(), "$(b c | d)".into())));
    assert_eq!(assignments("export A=1 B=2").unwrap().len(), 2);
    assert_eq!(one("export A=<the version>"), Some(("A".into(), "<the version>".into())));
    assert_eq!(one("A=x:<tag>-y"), Some(("A".into(), "x:<tag>-y".into())));
    assert_eq!(one("A=1 make"), None);
    assert_eq!(one("make A=1"), None);
    assert_eq!(one("export PATH"), None);
}
