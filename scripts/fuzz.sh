#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz.sh HOW N NAME...: run each fuzzer. libfuzzer and afl: N seconds each, beginning with the corpus in the tree and
# what earlier runs found; replay: that corpus and N inputs made from a seed.
# Ends with a line of counts; a fuzzer that found something, or ran nothing, has failed.

how=$1 much=$2
shift 2
passed=0 failed=0

one_libfuzzer()
{
	build/fuzz/fuzz_"$1" -max_total_time="$much" -print_final_stats=1 -timeout=20 \
		-artifact_prefix=build/fuzz/"$1"- build/fuzz/"$1" $corpus >build/fuzz/"$1".log 2>&1 || {
		tail -n 40 build/fuzz/"$1".log
		return 1
	}
	awk '/number_of_executed_units/ { n = $2 } /cov:/ { cov = $0 }
	     END { sub(/.*cov: /, "", cov); sub(/ .*/, "", cov); print n " inputs, " cov " edges" }' build/fuzz/"$1".log
}

one_afl()
{
	rm -rf build/fuzz-afl/"$1".out
	AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
		AFL_NO_AFFINITY=1 timeout $((much + 60)) afl-fuzz -V "$much" -i $corpus \
		-o build/fuzz-afl/"$1".out -- build/fuzz-afl/fuzz_"$1" @@ >build/fuzz-afl/"$1".log 2>&1
	stats=build/fuzz-afl/$1.out/default/fuzzer_stats
	[ -f "$stats" ] || { tail -n 20 build/fuzz-afl/"$1".log; return 1; }
	awk -F: '/^execs_done/ { n = $2 } /^saved_crashes/ { c = $2 } /^saved_hangs/ { h = $2 }
		END { print n " inputs," c " crashes," h " hangs"; exit c + 0 > 0 }' "$stats"
}

one_replay()
{
	build/host-fuzz/fuzz_"$1" $corpus -random "$much" >build/host-fuzz/"$1".log 2>&1 || {
		tail -n 40 build/host-fuzz/"$1".log
		return 1
	}
	grep -aoE '[1-9][0-9]* inputs$' build/host-fuzz/"$1".log
}

for name; do
	corpus=hosttest/corpus/$name
	if said=$(one_"$how" "$name"); then
		passed=$((passed + 1))
		echo "$name: $said"
	else
		failed=$((failed + 1))
		echo "$name: FAILED"
		echo "$said"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
