# Shared by the subcommands of Tools/dev. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$root/.build-venv
python=$venv/bin/python
# CI machines set CI=true; colour only on a terminal.
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold="" plain=""; fi

say() { printf '%s\n' "${bold}==> $*${plain}"; }
fail() { printf 'dev: %s\n' "$*" >&2; exit 1; }
usage_error() { printf 'dev: %s (see Tools/dev %s --help)\n' "$1" "$2" >&2; exit 2; }

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "need root for: $* (and sudo is not there)"
    fi
}

# The server binary of a kind (release or debug); $AISLE_BIN wins.
server_binary() {
    if [ -n "${AISLE_BIN:-}" ]; then echo "$AISLE_BIN"; else echo "$root/.build/$1/aisle"; fi
}
