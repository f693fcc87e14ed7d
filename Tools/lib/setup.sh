# Tools/dev setup: installs what the build and the tests need.

packages=(liblmdb-dev libzstd-dev libsimdjson-dev zlib1g-dev libssl-dev pkg-config
    zstd gcc openssl redis-tools redis-server tzdata python3 python3-venv)

# Prints the Debian packages that are not installed.
missing_packages() {
    local name
    for name in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
    done
}

setup_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} = 0 ]; then return; fi
    say "installing with apt-get: ${missing[*]}"
    as_root apt-get update -q
    # A freshly installed redis-server must not start a service here.
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q \
        --no-install-recommends "${missing[@]}"
}

# The Python of the tests, in a folder of its own, made anew when the requirements change.
setup_python() {
    local stamp=$venv/.requirements
    if cmp -s "$root/Tools/requirements.txt" "$stamp"; then return; fi
    say "making the Python environment .build-venv"
    # Debian's own Python: it matches python3-venv whatever else stands first on the path.
    /usr/bin/python3 -m venv --clear "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$root/Tools/requirements.txt"
    cp "$root/Tools/requirements.txt" "$stamp"
}

setup_all() {
    command -v swift >/dev/null || fail "no swift: install a Swift toolchain, 6.2 or newer, first"
    command -v dpkg-query >/dev/null || fail "setup knows Debian only; see packages in $BASH_SOURCE"
    setup_packages
    setup_python
    say "everything is in place"
}
