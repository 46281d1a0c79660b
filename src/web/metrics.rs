//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use sems_core::snapshot::{Counter, CounterKind};

/// The content type that goes with [`text`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters, each name described once, its samples one after the other.
pub(crate) fn text(counters: &[Counter]) -> String {
    let mut out = String::new();
    let mut written: Vec<&str> = Vec::new();
    for counter in counters {
        if written.contains(&counter.name) {
            continue;
        }
        written.push(counter.name);
        let kind = match counter.kind {
            CounterKind::Counter => "counter",
            CounterKind::Gauge => "gauge",
        };
        let help = counter.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {} {help}\n# TYPE {} {kind}", counter.name, counter.name);
        for sample in counters.iter().filter(|other| other.name == counter.name) {
            write_sample(&mut out, sample);
        }
    }
    out
}

fn write_sample(out: &mut String, sample: &Counter) {
    out.push_str(sample.name);
    for (index, (label, value)) in sample.labels.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{label}=\"{value}\"");
    }
    if !sample.labels.is_empty() {
        out.push('}');
    }
    let _ = writeln!(out, " {}", sample.value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_stand_together_with_their_labels_escaped() {
        let counter = |name, labels, value| Counter {
            name,
            help: "What\nit is",
            kind: CounterKind::Counter,
            labels,
            value,
        };
        let counters = [
            counter("a_total", vec![("reason", "say \"no\"\n".to_owned()), ("leg", "a\\b".to_owned())], 2.0),
            counter("b", vec![], 0.5),
            counter("a_total", vec![("reason", "x".to_owned())], 1e9),
        ];
        assert_eq!(
            text(&counters),
            "# HELP a_total What\\nit is\n\
             # TYPE a_total counter\n\
             a_total{reason=\"say \\\"no\\\"\\n\",leg=\"a\\\\b\"} 2\n\
             a_total{reason=\"x\"} 1000000000\n\
             # HELP b What\\nit is\n\
             # TYPE b counter\n\
             b 0.5\n"
        );
    }
}
