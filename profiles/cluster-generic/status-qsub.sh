#!/bin/sh
# Says running, success or failed of one Grid Engine job: asks the queue, then the accounting.
if qstat -j "$1" >/dev/null 2>&1; then
    echo running
elif qacct -j "$1" 2>/dev/null | awk '/^(failed|exit_status)/ { if ($2 != 0) bad = 1; n++ } END { exit !(n && !bad) }'; then
    echo success
else
    echo failed
fi
