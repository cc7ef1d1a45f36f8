//! Escape sequences: colours, erasing and movement within the current line are applied, everything else is dropped.

use vte::{Params, Perform};

use super::{
    CAN,
    colour::{extended, low},
    line::Line,
};
use crate::domain::safe_text::Style16;

/// What the parser of escape sequences may do: write the current line, and nothing else.
pub(super) struct Pen<'a> {
    pub(super) line: &'a mut Line,
    pub(super) style: &'a mut Style16,
    /// The sequence is over; text follows.
    pub(super) done: bool,
}

impl Perform for Pen<'_> {
    fn print(&mut self, c: char) {
        // Only after a sequence that ended without a word.
        self.line.put(c, c.len_utf8(), *self.style);
        self.done = true;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            CAN | 0x1a => self.done = true,
            _ => self.line.control(byte, *self.style),
        }
    }

    fn osc_dispatch(&mut self, _params: &[&[u8]], bell_terminated: bool) {
        // Otherwise the rest of its terminator is still to come.
        self.done = bell_terminated;
    }

    fn esc_dispatch(&mut self, _intermediates: &[u8], _ignore: bool, _byte: u8) {
        self.done = true;
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        self.done = true;
        if ignore || !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|param| param.first().copied()).unwrap_or(0);
        let count = usize::from(first.max(1));
        match action {
            'm' => select_graphics(self.style, params),
            'K' => self.line.erase(first),
            'G' => self.line.move_to(count - 1),
            'C' => self.line.move_to(self.line.at + count),
            'D' => self.line.move_to(self.line.at.saturating_sub(count)),
            _ => {}
        }
    }

    fn terminated(&self) -> bool {
        self.done
    }
}

/// Applies an SGR sequence (ECMA-48, 8.3.117) with the usual extensions for bright, 256 and true colours. Concealed
/// text (8) stays visible, blinking (5, 6) is left out.
fn select_graphics(style: &mut Style16, params: &Params) {
    let mut params = params.iter();
    while let Some(param) = params.next() {
        let Some((&code, detail)) = param.split_first() else { continue };
        match code {
            0 => *style = Style16::default(),
            1 => style.bold = true,
            2 => style.dim = true,
            3 => style.italic = true,
            4 => style.underline = detail.first() != Some(&0),
            7 => style.reverse = true,
            21 => style.underline = true,
            22 => {
                style.bold = false;
                style.dim = false;
            }
            23 => style.italic = false,
            24 => style.underline = false,
            27 => style.reverse = false,
            30..=37 => style.fg = low(code - 30),
            38 => style.fg = extended(detail, &mut params),
            39 => style.fg = None,
            40..=47 => style.bg = low(code - 40),
            48 => style.bg = extended(detail, &mut params),
            49 => style.bg = None,
            // The underline's own colour: its arguments are no attributes.
            58 => drop(extended(detail, &mut params)),
            90..=97 => style.fg = low(code - 90 + 8),
            100..=107 => style.bg = low(code - 100 + 8),
            _ => {}
        }
    }
}
