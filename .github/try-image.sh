#!/usr/bin/env bash
# Runs the image munjigi-TARGET:ci as production would, with nothing to write to and no rights: it must become
# healthy, answer, and stop on SIGTERM. .github/try-image.sh gateway|auth
set -euo pipefail

target=$1
image="munjigi-$target:ci"
case $target in
  gateway) port=8080 path=/livez ;;
  auth) port=8001 path=/health ;;
  *) echo "gateway or auth, not $target" >&2 && exit 2 ;;
esac

container=$(
  docker run --detach --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
    --health-interval 2s --publish "127.0.0.1:$port:$port" \
    --env PUBLIC_URL=https://gateway.example --env DATABASE_URL=none \
    --env ENCRYPTION_KEYS="ci:$(head -c 32 /dev/urandom | base64)" \
    "$image"
)
trap 'docker logs "$container"; docker rm --force "$container" > /dev/null' EXIT

curl --fail --silent --show-error --retry 60 --retry-delay 1 --retry-all-errors "http://127.0.0.1:$port$path"
echo

for _ in {1..90}; do
  health=$(docker inspect --format '{{.State.Health.Status}}' "$container")
  [[ $health == healthy ]] && break
  sleep 1
done
echo "health: $health"
[[ $health == healthy ]]

user=$(docker inspect --format '{{.Config.User}}' "$container")
echo "user: $user"
[[ $user == 1000:1000 ]]

# What is killed after the time limit ends with 137.
docker stop --time 60 "$container" > /dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
echo "exit code: $code"
[[ $code == 0 ]]
