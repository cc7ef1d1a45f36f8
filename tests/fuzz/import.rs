//! Whatever bytes a page is: `import` neither panics nor hangs, and no line is lost. See docs/import.md.

#![no_main]

#[path = "../import/kept.rs"]
mod kept;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (page, _) = cutover::import::decode(bytes);
    let imported = cutover::import::import("page.md", &page);
    let broken = kept::broken(&page, &imported);
    assert!(broken.is_empty(), "{}\n{}", broken.join("\n"), imported.runbook);
});
