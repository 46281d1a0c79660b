#!/bin/sh
# Speaks the prompts of a language: sounds/<language>/prompts.txt -> sounds/<language>/<name>.wav
#
#   sounds/make.sh [language [name ...]]
#
# 16-bit mono WAV of 16 kHz, no DC, 50 ms of silence before the words and 150 ms after them,
# -20 dBFS RMS where the words allow it with peaks below -3 dBFS. Needs espeak-ng and sox.
set -eu

language=${1:-en}
[ $# -gt 0 ] && shift
here=$(cd "$(dirname "$0")" && pwd)
list=$here/$language/prompts.txt
tab=$(printf '\t')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $language in
    en) voice=en-us speed=155 pitch=45 gap=3 ;;
    *) voice=$language speed=155 pitch=45 gap=3 ;;
esac

# One figure of `sox stats`.
figure() {
    sox "$1" -n stats 2>&1 | awk -v key="$2" 'index($0, key) == 1 { print $NF }'
}

wanted() {
    [ $# -eq 1 ] && return 0
    name=$1
    shift
    for each; do
        [ "$each" = "$name" ] && return 0
    done
    return 1
}

speak() {
    espeak-ng -v "$voice" -s "$speed" -p "$pitch" -g "$gap" -w "$work/said.wav" "$2" </dev/null
    # Cut the silence off both ends, but only well below the softest consonant.
    sox "$work/said.wav" -b 32 "$work/cut.wav" highpass 80 \
        silence 1 0.005 0.2% reverse silence 1 0.005 0.2% reverse
    gain=$(awk -v rms="$(figure "$work/cut.wav" 'RMS lev dB')" 'BEGIN { printf "%.2f", -30 - rms }')
    # Quieter first, so that nothing clips; then a soft knee takes the peaks of loud vowels down, so that the words keep their loudness.
    sox "$work/cut.wav" -b 32 "$work/even.wav" gain "$gain" compand 0.002,0.05 6:-70,-70,-22,-22,0,-11 0 -70 0.002
    peak=$(figure "$work/even.wav" 'Pk lev dB')
    gain=$(awk -v rms="$(figure "$work/even.wav" 'RMS lev dB')" -v peak="$peak" \
        'BEGIN { want = -20 - rms; room = -3.2 - peak; printf "%.2f", want < room ? want : room }')
    mkdir -p "$(dirname "$here/$language/$1")"
    sox "$work/even.wav" -r 16000 -b 16 -c 1 --no-dither "$here/$language/$1.wav" \
        gain "$gain" rate -v 16000 fade t 0.005 0 0.02 pad 0.05 0.15
}

while IFS=$tab read -r name text; do
    case $name in
        '' | '#'*) continue ;;
    esac
    if wanted "$name" "$@"; then
        speak "$name" "$text"
    fi
done <"$list"
