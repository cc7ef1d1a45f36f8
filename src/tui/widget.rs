//! Pieces that any pane can use: safe lines of text, sparklines, meters, the axes of charts, the rules between panes, lists, boxes.

pub mod dialog_box;
pub mod list;
pub mod meter;
pub mod panes;
pub mod row;
pub mod sparkline;

pub use crate::domain::{clock_axis, scale};
