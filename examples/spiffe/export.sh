#!/usr/bin/env bash
# What the workload runs beside spiffe-helper (helper.conf), with COUNTERSIGN_TOKEN_FILE=/run/countersign/svid.jwt,
# and COUNTERSIGN_URL, TENANT and ORDERS_URL in its environment.
set -euo pipefail

token="$(countersign token --application events --tenant "$TENANT" --scope https://orders.example/.default)"
curl -sf "$ORDERS_URL" -H "Authorization: Bearer $token"
