#!/usr/bin/env bash
# Fuzzes every target, or those that are named: tests/fuzz/run.sh [message|framing|uri|sdp|datagrams]...
#   FUZZ_SECONDS  the time of each (600)
# What reached new code lies in target/fuzz/found and is the beginning of the next run on this machine; corpus/ is a small
# choice of it for every machine.
# What breaks a target is left in regressions/TARGET, where `cargo test --test fuzz_corpora` finds it for ever after.
# libFuzzer comes with its crate, and its instrumentation is asked of the stable compiler: no nightly is needed.
set -euo pipefail
cd "$(dirname "$0")"

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(message framing uri sdp datagrams)
room=${CARGO_TARGET_DIR:-../../target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
flags=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
	-Cllvm-args=-sanitizer-coverage-trace-compares)
RUSTFLAGS="${flags[*]}" cargo build --release --target "$host" --target-dir "$room"

failed=()
for target in "${targets[@]}"; do
	program=$room/$host/release/$target
	found=$room/found/$target
	mkdir -p "$found" "corpus/$target" "regressions/$target"
	seeds=("corpus/$target" "regressions/$target")
	[ "$target" = message ] && seeds+=(../../src/sip/tests/torture)
	echo "$target: ${FUZZ_SECONDS:-600} s"
	if ! "$program" "$found" "${seeds[@]}" -max_total_time="${FUZZ_SECONDS:-600}" -max_len=4096 -timeout=10 \
		-rss_limit_mb=2048 -artifact_prefix="regressions/$target/" -use_value_profile=1 \
		>"$room/$target.log" 2>&1; then
		failed+=("$target")
		grep -E "panicked|ERROR|artifact" -A2 "$room/$target.log" || tail -5 "$room/$target.log"
	fi
	grep -oE "#[0-9]+.*DONE.*|stat::.*" "$room/$target.log" | tail -1 || true
done
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}; what did it is in tests/fuzz/regressions"
	exit 1
fi
