//! The colours of command output, mapped to the sixteen of a terminal.

pub(super) fn low(value: u16) -> Option<u8> {
    u8::try_from(value).ok()
}

/// The colour of `38` or `48`: its arguments stand behind colons in the same parameter, or in the parameters after it.
pub(super) fn extended<'a>(detail: &[u16], params: &mut impl Iterator<Item = &'a [u16]>) -> Option<u8> {
    let mut next = || params.next().and_then(|param| param.first().copied());
    match detail {
        [] => match next()? {
            5 => indexed(next()?),
            2 => Some(nearest([low(next()?)?, low(next()?)?, low(next()?)?])),
            _ => None,
        },
        [5, index, ..] => indexed(*index),
        // With the colour space's id, most often empty, and without it.
        [2, _, red, green, blue, ..] | [2, red, green, blue] => {
            Some(nearest([low(*red)?, low(*green)?, low(*blue)?]))
        }
        _ => None,
    }
}

/// The sixteen colours as xterm has them: what most palettes come near to.
const PALETTE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// A colour of the 256: the sixteen, a cube of 6×6×6, 24 greys.
fn indexed(index: u16) -> Option<u8> {
    let index = low(index)?;
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    Some(match index {
        0..=15 => index,
        16..=231 => {
            let cube = index - 16;
            nearest([level(cube / 36), level(cube / 6 % 6), level(cube % 6)])
        }
        232..=255 => nearest([8 + 10 * (index - 232); 3]),
    })
}

/// The nearest of the sixteen.
fn nearest(colour: [u8; 3]) -> u8 {
    let distance = |other: &[u8; 3]| -> u32 {
        colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
    };
    (0u8..).zip(&PALETTE).min_by_key(|(_, entry)| distance(entry)).map_or(7, |(index, _)| index)
}
