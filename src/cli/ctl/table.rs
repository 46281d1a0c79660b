//! A list for people: a line for each, the columns aligned.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// The widest column; longer values are cut.
const WIDEST: usize = 48;

/// The rows below a heading. `since` is a moment, shown as the time that has passed until `now`; `expires_in` is in
/// seconds; what is absent is a dash.
pub(super) fn text(columns: &[&str], rows: &[Value], now: SystemTime) -> String {
    let heading = columns.iter().map(|column| column.replace('_', " ").to_uppercase()).collect();
    let cells = |row: &Value| columns.iter().map(|column| cell(column, row.get(column), now)).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell: &String| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        text.push_str(padded.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

fn cell(column: &str, value: Option<&Value>, now: SystemTime) -> String {
    let text = match (column, value) {
        (_, None | Some(Value::Null)) => "-".to_owned(),
        ("since", Some(Value::Number(since))) => {
            let begun = Duration::try_from_secs_f64(since.as_f64().unwrap_or(0.0)).unwrap_or_default();
            span(now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(begun).as_secs())
        }
        ("expires_in", Some(Value::Number(seconds))) => span(seconds.as_u64().unwrap_or(0)),
        (_, Some(Value::String(text))) if text.is_empty() => "-".to_owned(),
        // What a peer wrote shall not move the cursor of whoever reads it.
        (_, Some(Value::String(text))) => text.chars().filter(|c| !c.is_control()).collect(),
        (_, Some(other)) => other.to_string(),
    };
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// `0:07`, `12:34` or `1:02:03`.
fn span(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_times_are_spans() {
        let rows = [
            json!({"id": "a1", "since": 100.5, "application": null}),
            json!({"id": "b\u{1b}[31m22", "since": 3_663.0, "application": "echo"}),
        ];
        let now = UNIX_EPOCH + Duration::from_secs(3_763);
        let expected =
            "ID       APPLICATION  SINCE\na1       -            1:01:02\nb[31m22  echo         1:40\n";
        assert_eq!(text(&["id", "application", "since"], &rows, now), expected);
    }

    #[test]
    fn long_values_are_cut() {
        let rows = [json!({"contact": "x".repeat(90)})];
        let text = text(&["contact"], &rows, UNIX_EPOCH);
        assert!(text.ends_with(&format!("\n{}…\n", "x".repeat(48))), "{text}");
    }
}
