# Counts what passed and failed over the parts of one test run.

passed=0
failed=0
skipped=0
failures=()
started=$SECONDS

# tally_run NAME COUNTER COMMAND…: runs one part, keeps its output, counts it with COUNTER.
# COUNTER is a function of (log file, exit status) that prints "passed failed skipped".
tally_run() {
    local name=$1 counter=$2 status=0 begun=$SECONDS counts
    local log=$root/.build-logs/$name.log
    shift 2
    mkdir -p "$root/.build-logs"
    say "$name"
    "$@" > >(tee "$log") 2>&1 || status=$?
    wait $! 2>/dev/null || true
    read -r -a counts < <("$counter" "$log" "$status")
    passed=$((passed + counts[0]))
    failed=$((failed + counts[1]))
    skipped=$((skipped + counts[2]))
    if [ "${counts[1]}" != 0 ]; then failures+=("$name"); fi
    say "$name: ${counts[0]} passed, ${counts[1]} failed in $((SECONDS - begun)) s"
    return "$status"
}

# A part that is one check: its exit status tells.
count_one() {
    if [ "$2" = 0 ]; then echo 1 0 0; else echo 0 1 0; fi
}

# Swift Testing: "Test run with 12 tests in 3 suites passed after …", "✘ Test name() failed after".
count_swift() {
    local total bad
    total=$(grep -oE 'Test run with [0-9]+ tests?' "$1" \
        | awk '{ sum += $4 } END { print sum + 0 }') || true
    bad=$(grep -E '✘ Test .* failed after' "$1" | grep -cv 'Test run with') || true
    total=${total:-0}
    # A crash or a race ends with a status and no line of its own.
    if [ "$2" != 0 ] && [ "$bad" = 0 ]; then bad=1 total=$((total + 1)); fi
    if [ "$total" = 0 ] && [ "$bad" = 0 ]; then bad=1 total=1; fi
    echo $((total - bad)) "$bad" 0
}

# pytest's last line: "3 failed, 120 passed, 1 skipped in 12.3s".
count_pytest() {
    local line word good=0 bad=0 left=0
    line=$(grep -E '(passed|failed|errors?|skipped).* in [0-9.]+s' "$1" | tail -1) || true
    for word in passed failed error skipped; do
        local number
        number=$(grep -oE "[0-9]+ $word" <<<"$line" | grep -oE '[0-9]+' || echo 0)
        case $word in
            passed) good=$number ;;
            failed | error) bad=$((bad + number)) ;;
            skipped) left=$number ;;
        esac
    done
    if [ "$2" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    echo "$good" "$bad" "$left"
}

# A part that ends with such a line of its own: "12 passed, 0 failed".
count_plain() {
    local good bad
    read -r good bad < <(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -1 | tr -dc '0-9 \n')
    good=${good:-0} bad=${bad:-0}
    if [ "$2" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    echo "$good" "$bad" 0
}

# The closing line; the exit status of the whole run.
tally_close() {
    if [ ${#failures[@]} != 0 ]; then
        say "failed: ${failures[*]} (output in .build-logs/)"
    fi
    say "whole run: $((SECONDS - started)) s"
    if [ "$skipped" != 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"
    else echo "$passed passed, $failed failed"
    fi
    [ "$failed" = 0 ]
}
