#!/usr/bin/env bash
# Where no agent can run (see identity.sh): signs the Azure CLI in to another tenant with an assertion, and with
# COUNTERSIGN_URL, CLIENT_ID and TENANT in the environment. In jobs of GitHub Actions, GitLab (COUNTERSIGN_TOKEN among
# its id_tokens) and Azure Pipelines the caller's own token is found there. The CLI keeps the assertion and presents it
# again: its life is the time that the job has.
set -euo pipefail

az login --service-principal -u "$CLIENT_ID" -t "$TENANT" \
  --federated-token "$(countersign assertion --application deploy --tenant "$TENANT")"
