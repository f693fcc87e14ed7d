# Tools/dev demo: a server with a real catalogue, and a few questions to it.

demo_data=$root/demo-data
demo_port=${AISLE_DEMO_PORT:-2475}
demo_socket=$demo_data/aisle.sock
demo_pid=$demo_data/aisle.pid
catalogue=$root/Snapshots/demo/catalogue

demo_running() {
    [ -f "$demo_pid" ] && kill -0 "$(cat "$demo_pid")" 2>/dev/null
}

demo_start() {
    if demo_running; then
        say "a demo server is running already (pid $(cat "$demo_pid"))"
        return
    fi
    mkdir -p "$demo_data"
    if [ ! -d "$demo_data/store" ]; then
        say "restoring the catalogue from $(basename "$catalogue").snap"
        "$aisle" restore "$catalogue.snap" --data "$demo_data/store"
    fi
    if [ ${#demo_socket} -gt 107 ]; then
        fail "the path of this checkout is too long for a Unix socket: $demo_socket"
    fi
    say "starting the server on 127.0.0.1:$demo_port and $demo_socket"
    : >"$demo_data/server.out"
    nohup "$aisle" serve --data "$demo_data/store" --port "$demo_port" --unix "$demo_socket" \
        --metrics-port $((demo_port + 1)) >"$demo_data/server.out" 2>>"$demo_data/server.log" \
        </dev/null &
    echo $! >"$demo_pid"
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if grep -q '^ready' "$demo_data/server.out"; then return; fi
        if ! demo_running; then
            tail -5 "$demo_data/server.log" >&2
            fail "the server ended; is port $demo_port taken? (AISLE_DEMO_PORT=… chooses another)"
        fi
        sleep 0.1
    done
    fail "the server does not get ready; see demo-data/server.log"
}

demo_stop() {
    if ! demo_running; then say "no demo server is running"; return; fi
    local pid
    pid=$(cat "$demo_pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm -f "$demo_pid"
    say "stopped; the data stays in demo-data/"
}

# ask QUESTION WORDS…: prints the question, the command, the start of the answer and its time.
ask() {
    local question=$1 answer word shown="" took
    shift
    for word in "$@"; do
        if [[ $word == *[^A-Za-z0-9_:.,-]* ]]; then shown+=" '$word'"; else shown+=" $word"; fi
    done
    answer=$("$aisle" cli --unix "$demo_socket" "$@" 2>&1) || true
    printf '\n%s\n' "${bold}$question${plain}"
    printf '$ aisle cli%s\n' "$shown"
    # Documents are long: a few lines are enough to see.
    head -n "${lines:-12}" <<<"$answer" | cut -c 1-140
    if [ "$(wc -l <<<"$answer")" -gt "${lines:-12}" ]; then echo "…"; fi
    took=$(grep -oE 'took_us[^0-9]*[0-9]+' <<<"$answer" | grep -oE '[0-9]+$' | tail -1 || true)
    if [ -n "$took" ]; then echo "took $took µs in the server"; fi
}

demo_questions() {
    lines=4 ask "One product by its id" FETCH products bestbuy:1042052 FIELDS name,brand,price
    ask "How many products are there?" COUNT products '{}'
    local headphones='{"$regex":"^Electronics > Headphones"}'
    lines=20 ask "Well rated headphones under 100, dearest first" FIND products \
        "{\"category\":$headphones,\"rating\":{\"\$gte\":4},\"price\":{\"\$lt\":100}}" \
        SORT price:-1 LIMIT 3 FIELDS name,price,rating
    ask "Which makers have most products between 50 and 100?" FIND products \
        '{"price":{"$gte":50,"$lt":100}}' LIMIT 1 FIELDS name FACET brand:5
    lines=16 ask "What does Sony cost, by source?" FIND products '{"brand":"Sony"}' LIMIT 0 \
        STATS price BY source
    lines=18 ask "Shops in Minnesota: where, and whose?" FIND stores '{"state":"MN"}' SORT city \
        LIMIT 3 FIELDS name,city FACET brand
    lines=20 ask "The nearest shops to downtown Minneapolis that are open now" NEARBY stores \
        -93.2650 44.9778 RADIUS 25km OPEN now LIMIT 3 FIELDS name,brand
    lines=16 ask "How is such a question answered?" EXPLAIN FIND products \
        '{"brand":"Sony","price":{"$lt":100}}' SORT price LIMIT 3
}

demo_farewell() {
    cat <<END

The server goes on running. Talk to it with any Redis client:
    redis-cli -p $demo_port
    $aisle cli --port $demo_port
Metrics: http://127.0.0.1:$((demo_port + 1))/metrics
Stop it with:
    Tools/dev demo --stop
END
}
