use super::*;
use proptest::prelude::*;

const CANARY: &str = "s3cr3t/Pä\"ss+w'rd==&x";

fn masker(values: &[&str]) -> Arc<Masker> {
    let secrets: Vec<SecretString> = values.iter().map(|value| SecretString::from(*value)).collect();
    Arc::new(Masker::new(secrets.iter().map(|secret| ("TOKEN", secret))).unwrap())
}

fn streamed(masker: &Arc<Masker>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = StreamMasker::new(Arc::clone(masker));
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&stream.push(piece));
    }
    out.extend_from_slice(&stream.finish());
    out
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

#[test]
fn x1_a_canary_cut_at_every_byte_reaches_no_output() {
    let masker = masker(&[CANARY]);
    let output = format!("token={CANARY} again {CANARY}{CANARY}\n");
    let bytes = output.as_bytes();
    let whole = masker.mask_bytes(bytes).into_owned();
    assert_eq!(String::from_utf8(whole.clone()).unwrap(), "token=••• again ••••••\n");
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(streamed(&masker, &[left, right]), whole, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(streamed(&masker, &single), whole);
}

#[test]
fn x1_the_forms_programs_print_are_masked() {
    let masker = masker(&[CANARY]);
    let url = url::Url::parse_with_params("http://h/", [("q", CANARY)]).unwrap();
    let forms = [
        STANDARD.encode(CANARY),
        URL_SAFE.encode(CANARY),
        STANDARD.encode(format!("{CANARY}\n")),
        serde_json::to_string(CANARY).unwrap(),
        r#""s3cr3t\/P\u00e4\"ss+w'rd==&x""#.to_owned(),
        "s3cr3t%2FP%C3%A4%22ss%2Bw%27rd%3D%3D%26x".to_owned(),
        "s3cr3t%2fP%c3%a4%22ss%2bw%27rd%3d%3d%26x".to_owned(),
        url.query().unwrap().to_owned(),
        r#"+ curl -H 's3cr3t/Pä"ss+w'\''rd==&x'"#.to_owned(),
    ];
    for form in forms {
        let shown = masker.mask(&form);
        assert!(shown.contains(MARK), "{form}");
        assert!(!shown.contains("rd"), "{form} became {shown}");
    }
}

#[test]
fn x1_base64_of_a_longer_text_is_masked() {
    let masker = masker(&["correct-horse-battery"]);
    for user in ["a", "ab", "abc", "abcd"] {
        let header = STANDARD.encode(format!("{user}:correct-horse-battery"));
        let shown = masker.mask(&header).into_owned();
        // What is left is the user and at most the secret's first and last characters.
        let left = shown.replacen(MARK, "", 1);
        assert!(left.len() <= 10, "{header} became {shown}");
    }
}

#[test]
fn a_pause_within_a_secret_gives_nothing_away() {
    let masker = masker(&["abcdefgh"]);
    let mut stream = StreamMasker::new(masker);
    assert_eq!(&*stream.push(b"x abcd"), b"x ");
    assert_eq!(&*stream.push(b""), b"");
    assert_eq!(&*stream.push(b"efgh y"), "••• y".as_bytes());
}

#[test]
fn only_a_beginning_is_held_back() {
    let masker = masker(&["abcdefgh"]);
    let mut stream = StreamMasker::new(masker);
    assert_eq!(&*stream.push(b"Proceed? [y/N] "), b"Proceed? [y/N] ");
    assert_eq!(&*stream.push(b"abx"), b"abx");
    assert_eq!(&*stream.push(b"ab"), b"");
    assert_eq!(stream.finish(), b"ab");
}

#[test]
fn a_secret_broken_off_at_the_end_is_masked() {
    let masker = masker(&["abcdefgh"]);
    assert_eq!(streamed(&masker, &[b"x abcdef"]), "x •••".as_bytes());
    assert_eq!(streamed(&masker, &[b"x abc"]), b"x abc");
}

#[test]
fn a_complete_secret_is_shown_as_masked_at_once() {
    let masker = masker(&["abcabc"]);
    let mut stream = StreamMasker::new(masker);
    assert_eq!(&*stream.push(b"abcabc"), MARK.as_bytes());
    assert_eq!(&*stream.push(b"abc."), b".", "the second occurrence overlaps the first");
    assert_eq!(&*stream.push(b"abcabc"), MARK.as_bytes());
}

#[test]
fn overlapping_secrets_leave_no_end_behind() {
    assert_eq!(masker(&["xsec", "secret"]).mask("a xsecret b"), "a ••• b");
    assert_eq!(masker(&["password", "password123"]).mask("password123"), MARK);
}

#[test]
fn every_line_of_a_key_is_masked() {
    let masker = masker(&["-----BEGIN KEY-----\nQUJDREVGR0hJSktM\nTU5PUFFSU1RVVldY\n-----END KEY-----\n"]);
    let shown = masker.mask("    QUJDREVGR0hJSktM\r\n    TU5PUFFSU1RVVldY\r\n").into_owned();
    assert_eq!(shown, "    •••\r\n    •••\r\n");
}

#[test]
fn short_values_are_refused_by_name_alone() {
    let secret = SecretString::from(" ab1\n");
    let fault = Masker::new([("PIN", &secret)]).unwrap_err();
    assert_eq!(fault, MaskError::TooShort { name: "PIN".to_owned(), length: 3 });
    assert!(!fault.to_string().contains("ab1"));
    let empty = SecretString::from("");
    assert_eq!(Masker::new([("NOTHING", &empty)]).unwrap().mask("as it is"), "as it is");
}

#[test]
fn debug_tells_nothing() {
    let masker = masker(&["abcdefgh"]);
    let mut stream = StreamMasker::new(Arc::clone(&masker));
    let _ = stream.push(b"abcd");
    assert!(!format!("{masker:?}").contains("abcd"));
    assert_eq!(format!("{stream:?}"), "StreamMasker { held: 4, .. }");
}

proptest! {
    #[test]
    fn x1_pieces_never_matter(
        output in "[abc ]{0,60}",
        cuts in prop::collection::vec(0usize..60, 0..8),
    ) {
        // Few letters, so that occurrences, overlaps and false beginnings are everywhere.
        let masker = masker(&["abca", "bcab", "abcabcb", "aaaa"]);
        let bytes = output.as_bytes();
        let mut borders: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        borders.extend([0, bytes.len()]);
        borders.sort_unstable();
        let pieces: Vec<&[u8]> = borders.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let out = streamed(&masker, &pieces);
        prop_assert_eq!(&out, &streamed(&masker, &[bytes]));
        for secret in ["abca", "bcab", "aaaa"] {
            prop_assert!(!contains(&out, secret));
        }
    }

    #[test]
    fn text_without_secrets_stays(text in "\\PC{0,80}") {
        let masker = masker(&["\u{10FFFE}never-there"]);
        prop_assert_eq!(masker.mask(&text), text.as_str());
    }
}
