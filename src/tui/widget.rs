//! Pieces that any pane can use: safe lines of text, sparklines, meters, the axes of charts, the rules between panes, lists, boxes.

pub mod clock_axis;
pub mod dialog_box;
pub mod list;
pub mod meter;
pub mod panes;
pub mod row;
pub mod scale;
pub mod sparkline;
