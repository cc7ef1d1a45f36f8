//! HTML within Markdown: the words stay, the marks go.

/// Elements whose tags say nothing to a reader of text. What else stands in angle brackets, `<VERSION>`, is text.
const KNOWN: &[&str] = &[
    "a",
    "abbr",
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "html",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "ac",
    "ri",
    "nav",
    "header",
    "footer",
    "article",
    "aside",
    "main",
    "video",
    "iframe",
    "svg",
    "path",
];

/// Attributes that hold words or addresses.
const TELLING: &[&str] = &["href", "src", "alt", "title"];

/// Whether it is a line break.
pub(super) fn is_break(html: &str) -> bool {
    let inner = html.trim().trim_start_matches('<').trim_end_matches('>').trim_matches(['/', ' ']);
    inner.eq_ignore_ascii_case("br")
}

/// The text of some HTML, with addresses and names of pictures.
pub(super) fn stripped(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        push_text(&mut out, &rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let (inner, after) = comment.split_once("-->").unwrap_or((comment, ""));
            push_text(&mut out, inner);
            rest = after;
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        let tag = &rest[1..end];
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if KNOWN.contains(&name.to_ascii_lowercase().as_str()) && !tag[name.len()..].starts_with('-') {
            for value in attributes(tag) {
                out.push(' ');
                push_text(&mut out, value);
                out.push(' ');
            }
            if !name.is_empty()
                && matches!(name.as_str(), "tr" | "td" | "th" | "li" | "p" | "div" | "summary")
            {
                out.push(' ');
            }
        } else {
            out.push_str(&rest[..=end]);
        }
        rest = &rest[end + 1..];
    }
    push_text(&mut out, rest);
    out
}

fn push_text(out: &mut String, text: &str) {
    if !text.contains('&') {
        out.push_str(text);
        return;
    }
    let plain = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&nbsp;", " ")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    out.push_str(&plain);
}

/// The values of the attributes that say something.
fn attributes(tag: &str) -> Vec<&str> {
    let mut values = Vec::new();
    let mut rest = tag;
    while let Some(at) = rest.find("=\"") {
        let name = rest[..at].rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let after = &rest[at + 2..];
        let Some(end) = after.find('"') else { break };
        if TELLING.contains(&name.to_ascii_lowercase().as_str()) {
            values.push(&after[..end]);
        }
        rest = &after[end + 1..];
    }
    values
}

/// The text of the first `<h1>`, where there is one.
pub(super) fn title(html: &str) -> Option<String> {
    let lower = html.to_ascii_lowercase();
    let from = lower.find("<h1")?;
    let begin = from + lower[from..].find('>')? + 1;
    let end = begin + lower[begin..].find("</h1")?;
    let text = stripped(html.get(begin..end)?);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}
