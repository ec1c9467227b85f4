# A part of the guest's init: runs the suite once for each tier and tells what came of it.
# shellcheck shell=bash
while read -r tier limit keys; do
    echo "@@tier $tier"
    printf '[trace]\n%b\n' "$keys" > "/tmp/$tier.toml"
    # shellcheck disable=SC2086
    "$(cat tracer)" --config "/tmp/$tier.toml" check | sed -n '/^Kernel/,/^Configuration/p' | grep '^  '
    LOGIN_TRACER_REQUIRE_ALL=1 LOGIN_TRACER_E2E_EMULATED=1 LOGIN_TRACER_E2E_TRACE=$(printf '%b' "$keys") \
        timeout "$limit" "$(cat program)" $(cat filters)
    echo "@@end $tier $? $(cut -d' ' -f1 /proc/uptime)"
done < tiers
