#!/usr/bin/env bash
# Asks a gateway for what the example service behind it says, until it answers: .github/try-gateway.sh URL
set -euo pipefail

url=$1
curl --fail --silent --show-error --retry 60 --retry-delay 1 --retry-all-errors "$url/livez" > /dev/null
answer=$(curl --fail --silent --show-error --retry 60 --retry-delay 1 --retry-all-errors "$url/api/users")
echo "$answer"
[[ $answer == *'Welcome from AUTH service'* ]]
