#!/usr/bin/env bash
# Signs the Azure CLI in to another tenant for as long as a job takes, with AGENT_FILE naming an agent.yaml such as the
# one beside this. What runs below the agent gets tokens, which are refreshed, good for one resource, and end with the
# grant; so every `az` of the job belongs in there. Azure PowerShell is run in the same way:
#
#   countersign agent --config "$AGENT_FILE" -- pwsh -Command 'Connect-AzAccount -Identity; Get-AzResource'
set -euo pipefail

countersign agent --config "$AGENT_FILE" -- bash -c '
  set -euo pipefail
  az login --identity
'
