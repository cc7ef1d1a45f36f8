//! Texts with variables as words of a POSIX shell.

use crate::domain::{
    kubectl::quote,
    template::{Piece, Template},
};

/// A template as one word: variables stay variables in double quotes, everything else means only itself.
pub(super) fn word(template: &Template) -> String {
    let pieces = template.pieces();
    let has_variables = pieces.iter().any(|piece| matches!(piece, Piece::Var(_)));
    if !has_variables {
        let text: String = pieces.iter().map(|piece| text_of(*piece)).collect();
        return quote(&text);
    }
    let plain = |c: char| !"\\\"`$!".contains(c);
    let readable = pieces.iter().all(|piece| match piece {
        Piece::Text(text) => text.chars().all(plain),
        Piece::Var(_) => true,
    });
    if !readable {
        let parts = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => quote(text),
            Piece::Var(name) => format!("\"${name}\""),
        });
        return parts.collect();
    }
    let mut out = "\"".to_owned();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Var(name) => {
                let next = pieces.get(at + 1).map(|piece| text_of(*piece)).unwrap_or_default();
                if next.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                    out.extend(["${", name, "}"]);
                } else {
                    out.extend(["$", name]);
                }
            }
        }
    }
    out.push('"');
    out
}

fn text_of(piece: Piece<'_>) -> &str {
    match piece {
        Piece::Text(text) => text,
        Piece::Var(_) => "",
    }
}

/// A template as the inside of a JSON string, itself inside single quotes; as Slack wants it.
pub(super) fn json_text(template: &Template) -> String {
    let part = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let json = serde_json::Value::from(text).to_string();
            json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().replace('\'', r"'\''")
        }
        Piece::Var(name) => format!("'\"${name}\"'"),
    };
    template.pieces().iter().map(part).collect()
}

/// A text as part of a variable's name: `app.kubernetes.io/version` as `APP_KUBERNETES_IO_VERSION`.
pub(super) fn variable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn printed(word: &str) -> String {
        let script = format!("A='a b'; B='$A\"'; printf %s {word}");
        let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{word}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_shell_reads_what_was_meant() {
        for (written, meant) in [
            ("plain", "plain"),
            ("", ""),
            ("it's $$5 \\ `id` \"x\" !", "it's $5 \\ `id` \"x\" !"),
            ("https://$A.example.com/${A}x?y=1&z=2", "https://a b.example.com/a bx?y=1&z=2"),
            ("$A's \"$B\" `id` \\ $(id)", "a b's \"$A\"\" `id` \\ $(id)"),
        ] {
            assert_eq!(printed(&word(&Template::from(written))), meant, "{written}");
        }
    }

    #[test]
    fn a_notice_is_json() {
        let body = format!("'{{\"text\":\"{}\"}}'", json_text(&Template::from("it's <$A>\n\"100 %\" & \\")));
        let read: serde_json::Value = serde_json::from_str(&printed(&body)).unwrap();
        assert_eq!(read["text"], "it's &lt;a b&gt;\n\"100 %\" &amp; \\");
    }
}
