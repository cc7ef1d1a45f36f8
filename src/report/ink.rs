//! The page's colours, for light and dark. Colour means state, and only state: red needs somebody, amber is to be watched, green is
//! well. Every text reaches a contrast of 4.5:1 on every ground that it stands on; a test reckons it.

use std::fmt::Write as _;

/// A colour by name: on light, on dark.
pub struct Ink {
    /// Its name in the style sheet.
    pub name: &'static str,
    /// On a light page.
    pub light: &'static str,
    /// On a dark page.
    pub dark: &'static str,
}

/// What text stands on.
pub const GROUNDS: [Ink; 2] = [
    Ink { name: "ground", light: "#ffffff", dark: "#14171c" },
    Ink { name: "panel", light: "#f4f5f7", dark: "#1d2128" },
];

/// What text is written in.
pub const TEXTS: [Ink; 6] = [
    Ink { name: "text", light: "#1b1f24", dark: "#e7e9ec" },
    Ink { name: "dim", light: "#555d67", dark: "#a6aeb8" },
    Ink { name: "well", light: "#1a6535", dark: "#74cf92" },
    Ink { name: "watch", light: "#805000", dark: "#efb656" },
    Ink { name: "bad", light: "#b0171d", dark: "#ff8e88" },
    Ink { name: "new", light: "#1f4e9c", dark: "#8fb8f5" },
];

/// Lines and areas; no text is written in them, nor on them.
const LINES: [Ink; 2] = [
    Ink { name: "line", light: "#d3d7dc", dark: "#383f49" },
    Ink { name: "axis", light: "#868e98", dark: "#717a86" },
];

/// The colours as variables of a style sheet; on paper they are those of a light page.
pub fn sheet() -> String {
    let all = || GROUNDS.iter().chain(&TEXTS).chain(&LINES);
    let mut light = String::new();
    let mut dark = String::new();
    for ink in all() {
        // Writing to a String cannot fail.
        let _ = write!(light, "--{}:{};", ink.name, ink.light);
        let _ = write!(dark, "--{}:{};", ink.name, ink.dark);
    }
    format!("\n:root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of a colour, as WCAG 2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126_f64.mul_add(channel(1), 0.7152_f64.mul_add(channel(3), 0.0722 * channel(5)))
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_can_be_read_on_every_ground() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for text in &TEXTS {
            for ground in &GROUNDS {
                for (colour, on) in [(text.light, ground.light), (text.dark, ground.dark)] {
                    let reached = contrast(colour, on);
                    assert!(reached >= 4.5, "{} on {}: {reached:.2}", text.name, ground.name);
                }
            }
        }
    }
}
