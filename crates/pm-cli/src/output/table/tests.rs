//! Tables, on terminals of every width and on none.

use super::*;
use crate::language::in_chinese;
use crate::output::samples;

fn width_of(table: &str) -> usize {
    // Every character of the samples outside ASCII, but for the dots of what is cut short, is two
    // columns wide.
    let width = |line: &str| {
        line.chars()
            .map(|c| if c.is_ascii() || c == '…' { 1 } else { 2 })
            .sum()
    };
    table.lines().map(width).max().unwrap()
}

#[test]
fn without_utf8_what_is_cut_is_marked_in_ascii() {
    crate::output::grid::use_ascii(true);
    let mut report = samples::metered("20000", "5GB", 0, 0);
    report.note = "a note of many words, more than there is room for"
        .parse()
        .unwrap();
    for width in [40, 60] {
        let shown = services(&[report.clone()], &[], Some(width));
        assert!(shown.is_ascii() && shown.contains("..."), "{shown}");
    }
}

#[test]
fn without_a_service_the_first_step_is_named() {
    insta::assert_snapshot!(services(&[], &[], Some(80)));
}

#[test]
fn without_a_group_the_first_step_is_named() {
    insta::assert_snapshot!(groups(&[], Some(80)));
}

#[test]
fn the_table_fits_a_terminal() {
    let table = services(&samples::plain(), &[], Some(80));
    assert!(width_of(&table) <= 80);
    insta::assert_snapshot!(table);
}

#[test]
fn the_table_with_groups_and_limits_fits_a_terminal() {
    let table = services(&samples::reports(), &samples::groups(), Some(80));
    assert!(width_of(&table) <= 80);
    insta::assert_snapshot!(table);
}

#[test]
fn limits_out_alone_need_no_explanation() {
    let mut reports = samples::plain();
    reports[1].limit = samples::limit("50M");
    reports[2].limit = samples::limit("1500K");
    insta::assert_snapshot!(services(&reports, &[], Some(80)));
}

#[test]
fn a_wide_terminal_shows_every_column() {
    insta::assert_snapshot!(services(&samples::reports(), &samples::groups(), Some(130)));
}

#[test]
fn a_narrow_terminal_shows_what_matters_most() {
    let (reports, groups) = (samples::reports(), samples::groups());
    let tables = [60, 40].map(|width| {
        let table = services(&reports, &groups, Some(width));
        assert!(width_of(&table) <= usize::from(width), "{table}");
        table
    });
    insta::assert_snapshot!(tables.join("\n\n"));
}

fn fits_every_width() {
    let (reports, groups) = (samples::reports(), samples::groups());
    for width in 40..160 {
        let table = services(&reports, &groups, Some(width));
        assert!(width_of(&table) <= usize::from(width), "{width}:\n{table}");
        assert_eq!(table.lines().count(), reports.len() + groups.len() + 1);
    }
}

#[test]
fn no_width_breaks_a_line() {
    fits_every_width();
    in_chinese(fits_every_width);
}

#[test]
fn the_first_steps_are_named_zh() {
    insta::assert_snapshot!(in_chinese(|| {
        [services(&[], &[], Some(80)), super::groups(&[], Some(80))].join("\n")
    }));
}

#[test]
fn the_tables_fit_terminals_of_all_widths_zh() {
    let (reports, groups) = (samples::reports(), samples::groups());
    insta::assert_snapshot!(in_chinese(|| {
        let wide = services(&reports, &groups, Some(130));
        let plain = services(&samples::plain(), &[], Some(80));
        let of_groups = super::groups(&groups, Some(80));
        let narrow = [80, 60, 40].map(|width| services(&reports, &groups, Some(width)));
        [&[wide, plain, of_groups][..], &narrow]
            .concat()
            .join("\n\n")
    }));
}

#[test]
fn a_group_without_services_is_shown() {
    insta::assert_snapshot!(services(&[], &samples::groups()[..1], Some(80)));
}

#[test]
fn where_there_is_no_terminal_notes_and_names_are_whole() {
    let groups = samples::groups();
    let table = services(&samples::reports(), &groups, None);
    assert!(table.contains(&samples::long_note()));
    assert!(table.contains(groups[2].name.as_str()));
    assert!(table.lines().all(|line| line == line.trim_end()));
}

#[test]
fn the_table_of_groups_fits_a_terminal() {
    let mut all = samples::groups();
    all[1]
        .members
        .extend((100..120).map(|port| port.to_string().parse::<PortRange>().unwrap()));
    let table = groups(&all, Some(80));
    assert!(width_of(&table) <= 80);
    insta::assert_snapshot!(table);
}
