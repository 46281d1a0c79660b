//! A call's messages as a ladder: a column for us, one for each peer, an arrow for each message.

use serde_json::Value;

/// From one column to the next.
const STEP: usize = 34;
/// Before the first column: the time.
const MARGIN: usize = 10;

struct Rung {
    at: f64,
    sent: bool,
    peer: usize,
    label: String,
}

/// The ladder, oldest message first, times in seconds since the first. The caller stands left of us, all others right.
pub(super) fn text(messages: &[Value]) -> String {
    let mut peers: Vec<String> = Vec::new();
    let rungs: Vec<Rung> = messages.iter().filter_map(|message| rung(message, &mut peers)).collect();
    let Some(begin) = rungs.first().map(|rung| rung.at) else { return String::new() };
    let mut text = String::new();
    let mut names: Vec<&str> = peers.iter().map(String::as_str).collect();
    names.insert(1.min(names.len()), "sems");
    let heading: String = names.iter().map(|name| format!("{name:^STEP$}")).collect();
    text.push_str(&" ".repeat(MARGIN.saturating_sub(STEP / 2 - 1)));
    text.push_str(heading.trim_end());
    text.push('\n');
    for rung in &rungs {
        text.push_str(&line(rung, rung.at - begin, names.len()));
        text.push('\n');
    }
    text
}

fn rung(message: &Value, peers: &mut Vec<String>) -> Option<Rung> {
    let text = |key| message.get(key).and_then(Value::as_str);
    let peer = format!("{}:{}", text("transport")?, text("remote")?);
    let known = peers.iter().position(|known| *known == peer);
    let peer = known.unwrap_or_else(|| {
        peers.push(peer);
        peers.len() - 1
    });
    let label = label(text("text")?);
    Some(Rung { at: message.get("at")?.as_f64()?, sent: message.get("sent")?.as_bool()?, peer, label })
}

/// `INVITE (SDP)` or `200 OK (INVITE)`.
fn label(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    let described = message.contains("\nm=audio");
    let name = match first.strip_prefix("SIP/2.0 ") {
        Some(status) => {
            let method = message.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case("cseq").then(|| value.split_whitespace().nth(1))?
            });
            format!("{} ({})", clean(status), clean(method.unwrap_or("?")))
        }
        None => clean(first.split(' ').next().unwrap_or_default()),
    };
    let name: String = name.chars().take(STEP - 10).collect();
    if described { format!("{name} SDP") } else { name }
}

fn line(rung: &Rung, time: f64, columns: usize) -> String {
    // We are column 1; the first peer is column 0.
    let column = if rung.peer == 0 { 0 } else { rung.peer + 1 };
    let (left, right) = (column.min(1), column.max(1));
    let to_the_right = rung.sent == (column > 1);
    let mut line = format!("{time:<MARGIN$.3}");
    for at in 0..columns {
        if at == left && right > left {
            let width = STEP * (right - left) - 1;
            let shaft = width.saturating_sub(rung.label.chars().count() + 5);
            let dashes = "-".repeat(shaft);
            line.push('|');
            if to_the_right {
                line.push_str(&format!("-- {} {dashes}>", rung.label));
            } else {
                line.push_str(&format!("<{dashes} {} --", rung.label));
            }
        } else if at < left || at >= right {
            line.push('|');
            if at + 1 < columns {
                line.push_str(&" ".repeat(STEP - 1));
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(at: f64, sent: bool, remote: &str, text: &str) -> Value {
        json!({"at": at, "sent": sent, "transport": "udp", "local": "192.0.2.9:5060", "remote": remote, "text": text})
    }

    #[test]
    fn a_call_through_us_is_a_ladder_with_three_columns() {
        let messages = [
            message(
                100.0,
                false,
                "192.0.2.1:5060",
                "INVITE sip:bob@x SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 9",
            ),
            message(100.001, true, "192.0.2.2:5060", "INVITE sip:bob@y SIP/2.0\r\n\r\n"),
            message(100.5, false, "192.0.2.2:5060", "SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n"),
            message(100.501, true, "192.0.2.1:5060", "SIP/2.0 180 Ringing\r\ncseq : 1 INVITE\r\n\r\n"),
        ];
        let expected = "
        udp:192.0.2.1:5060                       sems                        udp:192.0.2.2:5060
0.000     |-- INVITE SDP ------------------>|                                 |
0.001     |                                 |-- INVITE ---------------------->|
0.500     |                                 |<---------- 180 Ringing (INVITE) --|
0.501     |<---------- 180 Ringing (INVITE) --|                                 |
";
        let drawn = text(&messages);
        let squeezed = |text: &str| {
            text.trim()
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        let (drawn_lines, expected_lines) = (squeezed(&drawn), squeezed(expected));
        assert_eq!(drawn_lines.len(), expected_lines.len(), "{drawn}");
        let arrows = |line: &str| line.replace('-', "");
        for (line, wanted) in drawn_lines.iter().zip(&expected_lines) {
            assert_eq!(arrows(line), arrows(wanted), "{drawn}");
        }
        // Every bar of a column stands below that of the line before.
        let bars: Vec<Vec<usize>> =
            drawn.lines().skip(1).map(|line| line.match_indices('|').map(|(at, _)| at).collect()).collect();
        assert!(bars.windows(2).all(|pair| pair[0] == pair[1]), "{drawn}");
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(text(&[]), "");
    }
}
