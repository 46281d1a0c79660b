#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs and that are missing: tests/install.sh build|test|sounds ...
# Quiet, and nothing at all where all are there.
set -euo pipefail

packages() {
    case "$1" in
        # A C compiler and cmake for libopus and SQLite, headers of the Python that runs the scripts.
        build) echo build-essential ca-certificates cmake libpython3-dev pkg-config python3 ;;
        # Phones, proxies and a mail server that the tests call, and tools that judge what they heard.
        test) echo baresip-core kamailio linphone-cli openssl python3-aiosmtpd sip-tester sox strace tshark ;;
        # What the prompts are made with.
        sounds) echo espeak-ng sox ;;
        *)
            echo "install.sh: unknown purpose: $1" >&2
            return 64
            ;;
    esac
}

wanted=()
for purpose in "$@"; do
    list=$(packages "$purpose")
    read -ra names <<<"$list"
    wanted+=("${names[@]}")
done

if ! command -v dpkg-query >/dev/null; then
    echo "install.sh: this is not Debian; the tests and the build need: ${wanted[*]}" >&2
    exit 0
fi

# Rust is not taken from the distribution, which has an older one.
if [[ " $* " == *" build "* ]] && ! command -v "${CARGO:-cargo}" >/dev/null; then
    echo "install.sh: cargo is missing: install Rust from https://rustup.rs, then open a new shell" >&2
    exit 69
fi

missing=()
for package in "${wanted[@]}"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

root=()
if [[ $(id -u) -ne 0 ]]; then
    root=(sudo)
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get -qq update >&2
# Services of these packages are of no use here, and Kamailio's would take port 5060: now, and at each boot.
quiet=(-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold)
"${root[@]}" env RUNLEVEL=1 apt-get -qq install -y --no-install-recommends "${quiet[@]}" "${missing[@]}" >&2
if [[ " ${missing[*]} " == *" kamailio "* ]] && command -v systemctl >/dev/null; then
    "${root[@]}" systemctl disable --now kamailio >&2 || true
fi
