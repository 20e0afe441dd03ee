#!/usr/bin/env bash
# Sends an event to the Event Hubs of two tenants, as one application. COUNTERSIGN_URL and COUNTERSIGN_TOKEN_FILE say
# where Countersign is and who asks; FABRIKAM and NORTHWIND are the tenants, and FABRIKAM_HUB and NORTHWIND_HUB where
# their hubs take events, such as https://fabrikam.servicebus.windows.net/orders/messages.
set -euo pipefail

send() {
  local token
  token="$(countersign token --application events --tenant "$1" --scope https://eventhubs.azure.net/.default)"
  # Not among the arguments of curl, which everybody on the machine can read.
  curl -sf -o /dev/null -w '%{http_code}\n' "$2" -H @<(printf 'Authorization: Bearer %s\n' "$token") \
    -H 'Content-Type: application/json' -d '{"order":"A-1001"}'
}

send "$FABRIKAM" "$FABRIKAM_HUB"
send "$NORTHWIND" "$NORTHWIND_HUB"
