# The long parts of Tools/dev soak.

soak_kills() {
    swift build -c release --product aisle
    AISLE_KILL_ROUNDS=${AISLE_KILL_ROUNDS:-200} AISLE_BIN=$(server_binary release) \
        tally_run soak-kills count_pytest end_to_end -k sigkill -s || true
}

# Kills in every phase of snapshots, then writes, lookups, automatic snapshots and kills together.
soak_snapshots() {
    swift build -c release --product aisle
    AISLE_SNAPSHOT_KILLS=${AISLE_SNAPSHOT_KILLS:-64} AISLE_SOAK_MINUTES=${minutes:-20} \
        AISLE_BIN=$(server_binary release) \
        tally_run soak-snapshots count_pytest \
        end_to_end -k "snapshots and (phase or soak)" -s || true
    AISLE_BIN=$(server_binary release) tally_run soak-snapshot-faults count_plain \
        snapshot_faults "${AISLE_FAULT_RUNS:-120}" || true
}

# A report of the sanitizer ends the server with a status of its own, which the fixtures refuse.
soak_tsan() {
    tally_run soak-tsan-build count_one swift build --product aisle --sanitize=thread \
        --scratch-path "$root/.build-tsan" || return 0
    TSAN_OPTIONS="halt_on_error=0 exitcode=66 log_path=$root/.build-logs/tsan" \
        AISLE_BIN=$root/.build-tsan/debug/aisle AISLE_PATIENCE=10 \
        tally_run soak-tsan count_pytest end_to_end || true
    tally_run soak-tsan-reports count_one no_tsan_reports || true
}

no_tsan_reports() {
    local report
    for report in "$root"/.build-logs/tsan.*; do
        if [ -s "$report" ]; then head -60 "$report"; return 1; fi
    done
    echo "no reports"
}

# The store on a disk that fails; prints its seed.
soak_faults() {
    tally_run soak-faults-build count_one swift build --product StoreDriver || return 0
    tally_run soak-faults count_plain store_faults "${AISLE_FAULT_RUNS:-3000}" || true
}
