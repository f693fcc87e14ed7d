# Tools/dev fuzz: libFuzzer on everything that reads bytes from strangers.

# The targets are the folders of Tests/Fuzz that hold a corpus.
fuzz_targets() {
    find "$root/Tests/Fuzz/Corpus" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null | sort
}

# fuzz_build: all fuzzers, optimised, in a build folder of their own.
fuzz_build() {
    AISLE_FUZZ=1 swift build --package-path "$root" -c release --sanitize=fuzzer \
        --scratch-path "$root/.build-fuzz" --product fuzz
}

# fuzz_run TARGET SECONDS: the committed corpus is read, new inputs go to .build-fuzz/corpus.
fuzz_run() {
    local target=$1 seconds=$2 work=$root/.build-fuzz/corpus/$1
    mkdir -p "$work" "$root/.build-fuzz/found"
    # Without SWIFT_BACKTRACE a crash can hang instead of ending.
    AISLE_FUZZ_TARGET=$target SWIFT_BACKTRACE=enable=no "$root/.build-fuzz/release/fuzz" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="$root/.build-fuzz/found/$target-" \
        "$work" "$root/Tests/Fuzz/Corpus/$target"
}
