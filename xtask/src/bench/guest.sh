# A part of the guest's init: measures.
# shellcheck shell=bash
# The kernel still works on its own start. Sleep takes the clock forward and nobody's time.
sleep 5
# shellcheck disable=SC2046
LOGIN_TRACER_BENCH_AGENT=/payload/agent "$(cat program)" $(cat arguments)
echo "@@end $?"
